"""Ask the FTP server on this machine whether it serves: ``python -m ftp_server.health``."""

import ftplib
import sys

from filestore import configuration
from filestore.environment import SettingError

TIMEOUT = 5  # seconds


def greeting(address: str, port: int) -> str:
    """Return what is wrong with an FTP server; nothing where it greets with 220, "ready for new user" (RFC 959)."""
    try:
        with ftplib.FTP() as client:  # noqa: S321 - nobody logs in
            client.connect(address, port, TIMEOUT)
    except (OSError, EOFError, ftplib.Error) as error:
        return f"port {port} does not greet: {error}"
    return ""


def main() -> int:
    """Return 0 when it greets, 1 otherwise."""
    try:
        wrong = greeting(configuration.loopback(configuration.bind()), configuration.ftp_port())
    except SettingError as error:
        wrong = str(error)
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
