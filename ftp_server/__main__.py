"""Run the FTP server: ``python -m ftp_server``."""

import logging
import sys

from filestore import arguments, logs
from filestore.environment import SettingError
from ftp_server import server, settings


def main() -> int:
    """Serve until told to end; return the exit code."""
    try:
        logs.configure("ftp_server")
        # pyftpdlib tells every step of every session at INFO.
        logging.getLogger("pyftpdlib").setLevel(logging.WARNING)
        read = settings.read()
        built = server.build(read)
    except SettingError as error:
        sys.stderr.write(f"ftp_server: {error}\n")
        return 1
    server.run(built, read)
    return 0


if __name__ == "__main__":
    arguments.take_none("ftp_server", "Run the FTP server, where stations upload logs and fetch firmware.")
    sys.exit(main())
