"""The web process as `make run` has it, for tests and benches that run the platform's processes one by one."""


def arguments(port: int) -> list[str]:
    """Return what Daphne is told to serve the platform at a port of this machine."""
    return ["-v", "0", "-e", f"tcp:port={port}:interface=127.0.0.1:backlog=4096", "ov2xmp.asgi:application"]
