"""Ask the FTP server on this machine whether it serves: ``python -m ftp_server.health``."""

import ftplib
import sys

from filestore import configuration
from filestore.environment import SettingError

TIMEOUT = 5


def main() -> int:
    """Return 0 when it greets, 1 otherwise."""
    try:
        with ftplib.FTP() as client:  # noqa: S321 - nobody logs in
            client.connect(configuration.loopback(), configuration.ftp_port(), TIMEOUT)
    except (SettingError, OSError, EOFError, ftplib.Error) as error:
        sys.stderr.write(f"the FTP server does not greet: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
