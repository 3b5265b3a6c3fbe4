"""Daphne, with clients that read fast, slowly or not at all."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.launcher import BASE_DIR, free_ports, settled, wait_until
from tests.ov2xmp.streamer import TOO_SLOW, TOTAL

# What the kernel's buffers on both sides and Twisted's may hold.
MOST_IN_FLIGHT = TOTAL // 4

# The close frame of a server.
CLOSED = b"\x88\x02" + TOO_SLOW.to_bytes(2, "big")

Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Yield a function that starts Daphne with settings and returns its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def serve(**variables: str) -> str:
        (port,) = free_ports(1)
        environment = {**os.environ, "OV2XMP_DATA_DIR": str(tmp_path), **variables}
        environment["DJANGO_SETTINGS_MODULE"] = "ov2xmp.settings"
        command = ["-m", "daphne", "-v", "0", "-p", str(port), "tests.ov2xmp.streamer:application"]
        started.append(subprocess.Popen([sys.executable, *command], cwd=BASE_DIR, env=environment))
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url), 30, lambda: "daphne does not serve")
        return url

    yield serve
    for process in started:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/sent", trust_env=False).is_success
    except httpx.TransportError:
        return False


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)
HTTP = "Connection: close\r\n"
BOTH = pytest.mark.parametrize("headers", [HTTP, UPGRADE], ids=["http", "websocket"])


def lazy_client(url: str, headers: str = HTTP, path: str = "/stream") -> socket.socket:
    """Ask for the stream and read nothing."""
    target = httpx.URL(url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(10)
    client.connect((target.host, target.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
    return client


def sent(url: str) -> int:
    """Wait until nothing goes out any more; return how much did."""
    return settled(lambda: int(httpx.get(f"{url}/sent", trust_env=False).text))


def read_to_the_end(client: socket.socket, enough: int = sys.maxsize) -> int:
    """Read until the connection ends, or `enough` has come; return how much."""
    total = 0
    try:
        while total < enough and (block := client.recv(1 << 20)):
            total += len(block)
    except ConnectionResetError:
        pass
    return total


def test_a_client_that_reads_gets_everything(serve: Serve) -> None:
    assert len(httpx.get(f"{serve()}/stream", trust_env=False).content) == TOTAL


@BOTH
def test_what_a_client_does_not_read_is_not_kept_in_memory_and_is_there_when_it_does(
    serve: Serve, headers: str
) -> None:
    url = serve()
    with closing(lazy_client(url, headers)) as client:
        assert sent(url) < MOST_IN_FLIGHT
        assert read_to_the_end(client, TOTAL) >= TOTAL


@BOTH
def test_a_client_that_reads_nothing_for_too_long_is_disconnected(serve: Serve, headers: str) -> None:
    url = serve(OV2XMP_WEB_SEND_TIMEOUT="0.3")
    with closing(lazy_client(url, headers)) as client:
        sent(url)
        target = httpx.URL(url)
        wait_until(lambda: not peers(target.port), 10, lambda: "it is still connected")
        assert read_to_the_end(client) < TOTAL
    assert answers(url)


def test_a_listener_that_reads_late_still_hears_why_it_was_closed(serve: Serve) -> None:
    url = serve()
    with closing(lazy_client(url, UPGRADE, "/impatient")) as client:
        wait_until(lambda: httpx.get(f"{url}/closed", trust_env=False).text == "True", 10, lambda: "it is still open")
        # By itself Daphne would drop it after a second, and what it has not read with it.
        time.sleep(1.5)
        received = b""
        while not received.endswith(CLOSED):
            received = received[-len(CLOSED) :] + client.recv(1 << 20)


def peers(port: int) -> list[object]:
    """Return the connections that a server on this machine has."""
    return [
        each
        for each in psutil.net_connections("tcp")
        if each.laddr and each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED
    ]
