"""Frontends that listen to the live updates of meter values: a process with many, as cheap as Python allows.

An update carries the time at which its station sent the reading; what has passed when it is here
is its latency. ``--deaf`` listeners read nothing until they are told to.

Speaks like the load generator (`tests.bench.load`): ``begin`` and ``report`` on standard input;
``read`` makes deaf listeners read to the end and report how they were closed.
"""

import argparse
import array
import asyncio
import collections
import re
import socket
import sys
import time
from datetime import datetime
from typing import cast

import uvloop

from tests.bench.load import percentile, say
from tests.bench.station import CLOSE, PING, PONG, TEXT, masked

AT = re.compile(rb'"timestamp":"([^"]+)"')
# Of a deaf listener: so that it is soon full.
RECEIVE_BUFFER = 65536
READ_TIMEOUT = 60  # seconds
STILL_OPEN, NO_CODE = "still open", "no code"


class Listener(asyncio.Protocol):
    """One frontend."""

    def __init__(self, request: bytes, deaf: bool) -> None:
        self._request = request
        self.deaf = deaf
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._code: int | None = None
        self._buffer = bytearray()
        self.heard = self.heard_in_all = 0
        self.latencies = array.array("d")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"refused: {bytes(self._buffer)!r} {error}"))
        self.closed.set_result(self._code)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done():
            head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self.transport.close()
                return
            self._buffer = bytearray(rest)
            self.opened.set_result(None)
            if self.deaf:
                self.transport.pause_reading()
        self._take_frames()

    def _take_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            start, length = at + 2, buffer[at + 1]
            if length == 126:
                start, length = at + 4, int.from_bytes(buffer[at + 2 : at + 4], "big")
            elif length == 127:
                start, length = at + 10, int.from_bytes(buffer[at + 2 : at + 10], "big")
            if len(buffer) < start + length:
                break
            self._take(buffer[at] & 0x0F, bytes(buffer[start : start + length]))
            at = start + length
        del buffer[:at]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self.heard += 1
            self.heard_in_all += 1
            if sent := AT.search(payload):
                self.latencies.append(time.time() - datetime.fromisoformat(sent[1].decode()).timestamp())
        elif opcode == PING:
            self.transport.write(masked(payload, PONG))
        elif opcode == CLOSE:
            self._code = int.from_bytes(payload[:2], "big")
            self.transport.write(masked(payload[:2], CLOSE))
            self.transport.close()


async def connect(options: argparse.Namespace) -> list[Listener]:
    request = (
        f"GET /ws/updates/metervalues/?token={options.token} HTTP/1.1\r\nHost: 127.0.0.1:{options.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    listeners = []
    for _ in range(options.listeners):
        sock = socket.socket()
        sock.setblocking(False)
        if options.deaf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        await loop.sock_connect(sock, ("127.0.0.1", options.port))
        _, listener = await loop.create_connection(lambda: Listener(request, options.deaf), sock=sock)
        await listener.opened
        listeners.append(listener)
    return listeners


async def read_on(listeners: list[Listener]) -> None:
    """Let deaf listeners read what is there, and say how they were closed."""
    for listener in listeners:
        listener.transport.resume_reading()
    closed = [listener.closed for listener in listeners]
    await asyncio.wait(closed, timeout=READ_TIMEOUT)
    codes = collections.Counter(str(each.result() or NO_CODE) if each.done() else STILL_OPEN for each in closed)
    say("read", codes=codes, heard=sum(listener.heard for listener in listeners))


async def run(options: argparse.Namespace) -> None:
    listeners = await connect(options)
    say("ready", listeners=len(listeners))
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().strip():
        if line == "begin":
            for listener in listeners:
                listener.heard, listener.latencies = 0, array.array("d")
            say("measuring")
        elif line == "read":
            await read_on(listeners)
        else:
            latencies = sorted(each for listener in listeners for each in listener.latencies)
            say(
                "result",
                heard=sum(listener.heard for listener in listeners),
                heard_in_all=sum(listener.heard_in_all for listener in listeners),
                closed=sum(listener.closed.done() for listener in listeners),
                p50_ms=percentile(latencies, 0.5) * 1000,
                p99_ms=percentile(latencies, 0.99) * 1000,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="of the web process")
    parser.add_argument("--token", required=True)
    parser.add_argument("--listeners", type=int, default=1)
    parser.add_argument("--deaf", action="store_true", help="read nothing")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
