"""A CSMS of a few lines, for the tests of the simulated stations."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets
from websockets.asyncio.server import ServerConnection, serve

ANSWERS = {
    "BootNotification": {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": 300},
    "Authorize": {"idTagInfo": {"status": "Accepted"}},
    "StartTransaction": {"idTagInfo": {"status": "Accepted"}, "transactionId": 7},
    "StopTransaction": {"idTagInfo": {"status": "Accepted"}},
}


class Csms:
    """Answers every call of the last station that connected and can call it."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.answers: dict[str, Callable[[str, dict[str, Any]], str | None]] = {}
        self.station: ServerConnection | None = None
        self.news = asyncio.Condition()

    async def serve(self, connection: ServerConnection) -> None:
        self.station = connection
        async for text in connection:
            message = json.loads(text)
            self.received.append(message)
            async with self.news:
                self.news.notify_all()
            if message[0] == 2:
                answer = self.answers.get(message[2], self.answer)(message[1], message)
                if answer is not None:
                    await connection.send(answer)

    def answer(self, message_id: str, message: Any) -> str | None:
        return json.dumps([3, message_id, ANSWERS.get(message[2], {})])

    async def call(self, action: str, payload: dict[str, Any]) -> Any:
        """Send a CALL and return the whole answer."""
        assert self.station is not None
        await self.station.send(json.dumps([2, action, action, payload]))
        return await self.until(lambda message: message[0] in (3, 4) and message[1] == action)

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """Wait for a message and forget those before it."""
        async with self.news, asyncio.timeout(5):
            while True:
                for position, message in enumerate(self.received):
                    if wanted(message):
                        del self.received[: position + 1]
                        return message
                await self.news.wait()

    async def until_call(self, action: str) -> dict[str, Any]:
        return (await self.until(lambda message: message[0] == 2 and message[2] == action))[3]


@asynccontextmanager
async def running_csms() -> AsyncIterator[tuple[Csms, str]]:
    csms = Csms()
    async with serve(csms.serve, "127.0.0.1", 0, subprotocols=[websockets.Subprotocol("ocpp1.6")]) as server:
        yield csms, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
