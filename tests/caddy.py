"""A real Caddy of the tests' own."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.launcher import closed, wait_until

CADDY = str(Path(sys.executable).with_name("caddy"))
START_TIMEOUT = STOP_TIMEOUT = 20.0
# Clients of an IP address send no SNI, which Caddy demands where it asks for client certificates.
GLOBAL = """
{
	admin off
	persist_config off
	auto_https off
	servers {
		strict_sni_host insecure_off
	}
}
"""


@contextmanager
def running(
    command: Sequence[str], settings: Mapping[str, str], log: Path, serves: Callable[[], bool]
) -> Iterator[None]:
    """Run a Caddy until the block ends; it is entered once it `serves`."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=settings, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def ready() -> bool:
        assert process.poll() is None, log.read_text("utf-8")
        return serves()

    try:
        wait_until(ready, START_TIMEOUT, lambda: log.read_text("utf-8"))
        yield
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT)


@contextmanager
def caddy(directory: Path, sites: str, *ports: int) -> Iterator[None]:
    """Run Caddy with the sites of a Caddyfile until the block ends; it is entered once all ports answer."""
    config = directory / "Caddyfile"
    config.write_text(GLOBAL + sites, encoding="utf-8")
    command = (CADDY, "run", "--config", str(config), "--adapter", "caddyfile")

    def listens() -> bool:
        return not any(closed(f"http://127.0.0.1:{port}") for port in ports)

    with running(command, {"HOME": str(directory)}, directory / "caddy.log", listens):
        yield
