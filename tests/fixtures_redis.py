"""A redis for the tests that need one."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ov2xmp import redis_server

START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Yield the URL of the redis that OV2XMP_REDIS_URL names, else of one started for this run."""
    if url := os.environ.get("OV2XMP_REDIS_URL"):
        yield url
        return
    server = redis_server.find()
    if server is None:
        pytest.fail("Tests need a redis-server: install one, or set OV2XMP_REDIS_URL.")
    # Not in pytest's own directory, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="ov2xmp-tests-") as name:
        directory = Path(name)
        socket = directory / "redis.sock"
        process = subprocess.Popen(redis_server.command(server, socket, directory), stdin=subprocess.DEVNULL)
        try:
            wait_for_redis(process, f"unix://{socket}", directory / "redis.log")
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT)


def wait_for_redis(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            return redis_server.ping(url)
        except (redis.RedisError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"redis did not start: {log.read_text(encoding='utf-8')}") from error
        time.sleep(0.02)
