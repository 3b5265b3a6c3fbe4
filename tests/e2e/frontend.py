"""A frontend that listens to the live updates."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets

from tests.e2e.launcher import Platform

TIMEOUT = 15


class Listener:
    """A frontend that keeps whatever it is told about one station."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self.told: list[dict[str, Any]] = []

    async def until(self, topic: str, **expected: Any) -> dict[str, Any]:
        """Wait for news of a topic whose data holds what is expected."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                message = json.loads(await self._socket.recv())
                self.told.append(message)
                data = message["data"]
                if message["topic"] == topic and all(data.get(name) == value for name, value in expected.items()):
                    return data  # type: ignore[no-any-return]


@asynccontextmanager
async def listening(platform: Platform, identity: str) -> AsyncIterator[Listener]:
    token = platform.client.headers["Authorization"].removeprefix("Bearer ")
    address = f"{platform.live}/all/?token={token}&chargepoint_id={identity}"
    async with websockets.connect(address, proxy=None) as socket:
        # Whoever answers a ping has joined its groups.
        await (await socket.ping())
        yield Listener(socket)
