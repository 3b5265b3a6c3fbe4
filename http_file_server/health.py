"""Ask the HTTP file server on this machine whether it serves: ``python -m http_file_server.health``."""

import http.client
import sys

from filestore import configuration
from filestore.environment import SettingError

TIMEOUT = 5


def main() -> int:
    """Return 0 when it can store files, 1 otherwise."""
    try:
        address = configuration.loopback(configuration.bind())
        connection = http.client.HTTPConnection(address, configuration.files_port(), timeout=TIMEOUT)
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
    except (SettingError, OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"the HTTP file server does not answer: {error}\n")
        return 1
    sys.stderr.write("" if answer.status == 200 else answer.read().decode())
    connection.close()
    return int(answer.status != 200)


if __name__ == "__main__":
    sys.exit(main())
