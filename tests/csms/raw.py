"""Handshakes byte by byte, as no WebSocket library would send them."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

TIMEOUT = 10.0
UPGRADE = {
    "Host": "localhost",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "x3JJHMcDL1EzLkh9GBhXDw==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "ocpp1.6",
}


@dataclass
class Reply:
    """What a server answered to a request, and the connection it came on."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(TIMEOUT):
            return await self.reader.read()

    async def close_code(self) -> int:
        """Read the close frame that must come next."""
        async with asyncio.timeout(TIMEOUT):
            opcode, length = await self.reader.readexactly(2)
            assert opcode == 0x88, f"not a close frame: {opcode:#x}"
            return int(struct.unpack("!H", (await self.reader.readexactly(length))[:2])[0])


def request(path: str, headers: Mapping[str, str], method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


@asynccontextmanager
async def exchange(
    port: int,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
    method: str = "GET",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Reply]:
    """Ask for a WebSocket, with `headers` added to those that are usual, and yield the answer."""
    sent = {name: value for name, value in UPGRADE.items() if name not in without} | dict(headers or {})
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        writer.write(request(path, sent, method))
        async with asyncio.timeout(TIMEOUT):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.strip().split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        yield Reply(int(status.split(" ")[1]), found, reader, writer)
    finally:
        writer.transport.abort()
