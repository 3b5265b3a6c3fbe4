"""Requests and WebSockets byte by byte, as no library would send them, and what comes back."""

import contextlib
import http.client
import json
import os
import re
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, settings

# Seconds after which a server hangs.
PATIENCE = 20.0
# What makes a request one for a WebSocket (RFC 6455, section 4.1).
UPGRADE = (
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"x3JJHMcDL1EzLkh9GBhXDw=="),
)
FAILURE = re.compile("Traceback|ERROR|CRITICAL|Unhandled")
FINAL, MASKED = 0x80, 0x80
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

Header = tuple[bytes, bytes]
Property = TypeVar("Property", bound=Callable[..., Any])


def fuzzed(examples: int) -> Callable[[Property], Property]:
    """Decorate a property: so many examples that are always the same, else as many as the environment asks for."""
    asked = os.environ.get("OV2XMP_FUZZ_EXAMPLES")
    configured = settings(
        max_examples=int(asked or examples),
        derandomize=not asked,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: configured(test)


class Answer(NamedTuple):
    """What a server said to a request; nothing at all is status 0."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


def request(method: bytes, target: bytes, headers: Sequence[Header], body: bytes = b"") -> bytes:
    lines = [b"%s %s HTTP/1.1" % (method, target), *(b"%s: %s" % header for header in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def without(headers: Sequence[Header], others: Sequence[Header]) -> list[Header]:
    """Leave out the headers that others stand in for."""
    names = {name.lower() for name, _ in others}
    return [each for each in headers if each[0].lower() not in names]


def ask(port: int, raw: bytes) -> Answer:
    """Send a request and read the answer. A server that says nothing and keeps the connection hangs: TimeoutError."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        # Refused before all of it was there; why may still be told.
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw)
        return read(connection, raw.partition(b" ")[0])


def read(connection: socket.socket, method: bytes = b"GET") -> Answer:
    with contextlib.closing(http.client.HTTPResponse(connection, method=method.decode("latin-1"))) as answer:
        try:
            answer.begin()
            body = answer.read() if answer.status != 101 else b""
        except ConnectionError:
            return Answer(0)
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def upgrade(connection: socket.socket, raw: bytes) -> None:
    """Ask for a WebSocket that must be granted, and read no further than the answer."""
    connection.sendall(raw)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1) or pytest.fail(f"no answer but {head!r}")
    assert head.startswith(b"HTTP/1.1 101 "), head


def frame(opcode: int, payload: bytes, flags: int = FINAL) -> bytes:
    """Make a frame of a client (RFC 6455, section 5.2), masked with nothing."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", flags | opcode, MASKED | length)
    elif length < 2**16:
        head = struct.pack("!BBH", flags | opcode, MASKED | 126, length)
    else:
        head = struct.pack("!BBQ", flags | opcode, MASKED | 127, length)
    return head + bytes(4) + payload


def exchange(connection: socket.socket, frames: Sequence[bytes]) -> bytes:
    """Send frames, and return what comes until the server closes the connection."""
    told = b""
    with contextlib.suppress(ConnectionError):
        # One by one, as a server may have closed meanwhile.
        for each in frames:
            connection.sendall(each)
    with contextlib.suppress(ConnectionError):
        while block := connection.recv(1 << 16):
            told += block
    return told


class Log:
    """What processes write, to see that none of it tells of a failure."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._seen = len(read())

    def failures(self) -> str:
        """Return the lines since the last look that tell of a failure, with what follows the first of them."""
        text = self._read()
        lines, self._seen = text[self._seen :].splitlines(), len(text)
        at = next((number for number, line in enumerate(lines) if FAILURE.search(line)), len(lines))
        return "\n".join(lines[at : at + 60])
