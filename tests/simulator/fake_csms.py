"""A CSMS of a few lines, for the tests of the simulated stations."""

import asyncio
import functools
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any

import jsonschema_rs
import websockets
from websockets.asyncio.server import ServerConnection, serve

ANSWERS = {
    "BootNotification": {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": 300},
    "Authorize": {"idTagInfo": {"status": "Accepted"}},
    "StartTransaction": {"idTagInfo": {"status": "Accepted"}, "transactionId": 7},
    "StopTransaction": {"idTagInfo": {"status": "Accepted"}},
    "DataTransfer": {"status": "UnknownVendorId"},
    "SignCertificate": {"status": "Accepted"},
}


@functools.cache
def validator(name: str) -> Any:
    """Compile an official schema; None for an action that a test has made up."""
    path = resources.files("ocpp") / "v16" / "schemas" / f"{name}.json"
    if not path.is_file():
        return None
    return jsonschema_rs.validator_for(json.loads(path.read_text(encoding="utf-8-sig")), validate_formats=True)


class Csms:
    """Answers every call of the last station that connected and can call it.

    What the station sends is checked against the official schemas.
    """

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.violations: list[str] = []
        self.answers: dict[str, Callable[[str, dict[str, Any]], str | None]] = {}
        self.station: ServerConnection | None = None
        self.news = asyncio.Condition()

    async def serve(self, connection: ServerConnection) -> None:
        self.station = connection
        async with self.news:
            self.news.notify_all()
        async for text in connection:
            message = json.loads(text)
            self.check(message)
            self.received.append(message)
            async with self.news:
                self.news.notify_all()
            if message[0] == 2:
                answer = self.answers.get(message[2], self.answer)(message[1], message)
                if answer is not None:
                    await connection.send(answer)

    def check(self, message: Any) -> None:
        """Note what an official schema has against a message; `call` names its messages after their actions."""
        match message:
            case [2, _, action, payload]:
                name = action
            case [3, action, payload]:
                name = f"{action}Response"
            case _:
                return
        if (schema := validator(name)) is not None:
            self.violations += [f"{name}: {error.message}" for error in schema.iter_errors(payload)]

    def answer(self, message_id: str, message: Any) -> str | None:
        return json.dumps([3, message_id, ANSWERS.get(message[2], {})])

    async def call(self, action: str, payload: dict[str, Any]) -> Any:
        """Send a CALL and return the whole answer."""
        assert self.station is not None
        await self.station.send(json.dumps([2, action, action, payload]))
        return await self.until(lambda message: message[0] in (3, 4) and message[1] == action)

    async def ask(self, action: str, payload: dict[str, Any]) -> Any:
        """Send a CALL and return the payload of its CALLRESULT."""
        answer = await self.call(action, payload)
        assert answer[0] == 3, answer
        return answer[2]

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """Wait for a message and forget those before it."""
        async with self.news, asyncio.timeout(5):
            while True:
                for position, message in enumerate(self.received):
                    if wanted(message):
                        del self.received[: position + 1]
                        return message
                await self.news.wait()

    async def until_call(self, action: str, **expected: Any) -> dict[str, Any]:
        """Wait for a call of the station that has the expected fields, and forget what came before it."""

        def wanted(message: Any) -> bool:
            return message[:1] == [2] and message[2] == action and expected.items() <= message[3].items()

        return (await self.until(wanted))[3]

    async def until_connected(self, before: ServerConnection | None = None) -> ServerConnection:
        """Wait for a connection that is not the one `before`."""
        async with self.news, asyncio.timeout(5):
            await self.news.wait_for(lambda: self.station is not None and self.station is not before)
        assert self.station is not None
        return self.station


@asynccontextmanager
async def running_csms(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Csms, str]]:
    """Run a CSMS, with TLS if it is given a context; a station that broke a schema fails the test."""
    csms = Csms()
    subprotocols = [websockets.Subprotocol("ocpp1.6")]
    async with serve(csms.serve, "127.0.0.1", 0, subprotocols=subprotocols, ssl=context) as server:
        yield csms, f"{'wss' if context else 'ws'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert csms.violations == []
