"""A real Caddy of the tests' own."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
START_TIMEOUT = 20.0


@contextmanager
def caddy(directory: Path, sites: str, *ports: int) -> Iterator[None]:
    """Run Caddy with the sites of a Caddyfile until the block ends; it is entered once all ports answer."""
    config, log = directory / "Caddyfile", directory / "caddy.log"
    config.write_text(GLOBAL + sites, encoding="utf-8")
    command = [Path(sys.executable).with_name("caddy"), "run", "--config", config, "--adapter", "caddyfile"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={"HOME": str(directory)}
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not all(map(answers, ports)):
            running = process.poll() is None and time.monotonic() < deadline
            assert running, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(START_TIMEOUT)


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
