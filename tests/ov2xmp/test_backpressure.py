"""Daphne, with clients that read fast, slowly or not at all."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.launcher import BASE_DIR, free_ports, settled, wait_until
from tests.ov2xmp.streamer import TOTAL

# What the kernel's buffers on both sides and Twisted's may hold.
MOST_IN_FLIGHT = TOTAL // 4

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


def lazy_client(url: str) -> socket.socket:
    """Ask for the stream and read nothing."""
    target = httpx.URL(url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(10)
    client.connect((target.host, target.port))
    client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return client


def sent(url: str) -> int:
    """Wait until nothing goes out any more; return how much did."""
    return settled(lambda: int(httpx.get(f"{url}/sent", trust_env=False).text))


def read_to_the_end(client: socket.socket) -> int:
    total = 0
    try:
        while block := client.recv(1 << 20):
            total += len(block)
    except ConnectionResetError:
        pass
    return total


def test_a_client_that_reads_gets_everything(serve: Serve) -> None:
    assert len(httpx.get(f"{serve()}/stream", trust_env=False).content) == TOTAL


def test_what_a_client_does_not_read_is_not_kept_in_memory_and_is_there_when_it_does(serve: Serve) -> None:
    url = serve()
    with closing(lazy_client(url)) as client:
        assert sent(url) < MOST_IN_FLIGHT
        assert read_to_the_end(client) >= TOTAL


def test_a_client_that_reads_nothing_for_too_long_is_disconnected(serve: Serve) -> None:
    url = serve(OV2XMP_WEB_SEND_TIMEOUT="0.3")
    with closing(lazy_client(url)) as client:
        sent(url)
        target = httpx.URL(url)
        wait_until(lambda: not peers(target.port), 10, lambda: "it is still connected")
        assert read_to_the_end(client) < TOTAL
    assert answers(url)


def peers(port: int) -> list[object]:
    """Return the connections that a server on this machine has."""
    return [
        each
        for each in psutil.net_connections("tcp")
        if each.laddr and each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED
    ]
