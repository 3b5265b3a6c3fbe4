"""Only so many frontends listen at once."""

import asyncio
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from pytest_django.fixtures import Settings

from tasks.listeners import Listeners


async def listener(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def test_one_more_than_may_listen_is_told_to_come_later_and_finds_room_when_somebody_leaves(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LIVE_MAX_LISTENERS = 2
    application = Listeners(listener)
    sockets = [WebsocketCommunicator(application, "/") for _ in range(5)]
    for socket in sockets[:4]:
        assert (await socket.connect())[0]
    async with asyncio.timeout(5):
        for socket in sockets[2:4]:
            closed = await socket.receive_output()
            assert (closed["type"], closed["code"]) == ("websocket.close", 1013)
        await sockets[0].disconnect()
        assert (await sockets[4].connect())[0]
        assert await sockets[4].receive_nothing()
    assert caplog.text.count("2 frontends listen to live updates, and more are refused") == 1
    for socket in (sockets[1], sockets[4]):
        await socket.disconnect()
