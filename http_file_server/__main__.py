"""Run the HTTP file server: ``python -m http_file_server``."""

import asyncio
import sys

from filestore import arguments, logs
from filestore.environment import SettingError
from http_file_server import server, settings


def main() -> int:
    """Serve until told to end; return the exit code."""
    try:
        logs.configure("http_file_server")
        asyncio.run(server.run(settings.read()))
    except SettingError as error:
        sys.stderr.write(f"http_file_server: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    arguments.take_none("http_file_server", "Run the HTTP server where stations upload logs and fetch firmware.")
    sys.exit(main())
