"""Tell a container engine whether a process of the platform works: ``python -m deployment.healthcheck web``.

Exits 0 when it does, else 1 with the reason on stderr. It runs every few seconds, so it loads no more than it needs.
"""

import http.client
import sys
from collections.abc import Callable
from http import HTTPStatus
from os import environ

# Seconds; the engine's own limit is longer, so that the reason is told.
TIMEOUT = 5


def web() -> str:
    return page(int(environ.get("OV2XMP_WEB_PORT") or 8000), "/api/health/")


def csms() -> str:
    return page(int(environ.get("OV2XMP_CSMS_PORT") or 9000), "/healthz")


def page(port: int, path: str, address: str = "127.0.0.1", name: str = "localhost") -> str:
    """Return what is wrong with a page of a server on this machine; nothing where it answers 200.

    Django answers to the names of OV2XMP_DJANGO_ALLOWED_HOSTS only, of which `name` must be one.
    """
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path, headers={"Host": name})
        response = connection.getresponse()
        if response.status == HTTPStatus.OK:
            return ""
        return f"{path} answers {response.status} {response.read(300).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return f"port {port} does not answer: {error}"
    finally:
        connection.close()


def worker() -> str:
    """Return what is wrong with the worker; nothing while one does beat's housekeeping."""
    # Only this check needs redis and the settings.
    environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")
    from tasks import broker

    try:
        return "" if broker.worker_is_alive() else "no worker did its housekeeping of late"
    except broker.RedisError as error:
        return f"redis does not answer: {error}"


CHECKS: dict[str, Callable[[], str]] = {"web": web, "csms": csms, "worker": worker}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in CHECKS:
        sys.stderr.write(f"usage: python -m deployment.healthcheck {'|'.join(CHECKS)}\n")
        return 2
    wrong = CHECKS[arguments[0]]()
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
