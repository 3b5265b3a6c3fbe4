"""Live updates over WebSockets, for frontends that only listen."""

import asyncio
import logging
import time
from collections import deque
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken

from chargers.models.station import identity_key
from tasks import updates
from tasks.roles import Role, may

logger = logging.getLogger(__name__)

UNAUTHENTICATED = 4401
UNKNOWN_TOPIC = 4404
TOO_SLOW = 4408


def token_lifetime(raw: str) -> float | None:
    """Return how many seconds an access token is still good for, or None if it is not."""
    authentication = JWTAuthentication()
    try:
        token = authentication.get_validated_token(raw.encode())
        user = authentication.get_user(token)
    except (InvalidToken, AuthenticationFailed):
        return None
    return token["exp"] - time.time() if may(user, Role.VIEWER) else None


class UpdatesConsumer(AsyncWebsocketConsumer):
    """Passes the updates of a topic on to one frontend, from the group of that topic.

    The token is the one REST takes; when it runs out the socket is closed with 4401, and the
    frontend comes back with a fresh one. Sending takes as long as the frontend takes to read, so
    frames wait in a queue; when too many do, the socket is closed with 4408, and the frontend comes
    back and reads REST again.
    """

    groups: list[str]

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Pass updates on at once; with other messages Channels first looks after the database connections.

        That changes the thread, in which all listeners wait for each other, and updates need no database.
        """
        if message["type"] == "updates":
            await self.updates(message)
        else:
            await super().dispatch(message)

    async def connect(self) -> None:
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        topic = self.scope["url_route"]["kwargs"]["topic"]
        self.station = identity_key(query.get("chargepoint_id", [""])[0])
        self.expiry: asyncio.Task[None] | None = None
        self.sender: asyncio.Task[None] | None = None
        self.waiting: deque[str] = deque()
        self.topics = updates.TOPICS if topic == updates.ALL else (topic,)

        lifetime = await database_sync_to_async(token_lifetime)(query.get("token", [""])[0])
        if lifetime is None:
            await self.refuse(UNAUTHENTICATED, "a valid access token is needed in ?token=")
        elif topic not in (*updates.TOPICS, updates.ALL):
            await self.refuse(UNKNOWN_TOPIC, "no such topic")
        else:
            for each in self.topics:
                await self.channel_layer.group_add(updates.group(each), self.channel_name)
            # From here on nothing is missed: a frontend that reads REST once it is connected knows all.
            await self.accept()
            self.expiry = asyncio.create_task(self.close_after(lifetime))

    async def refuse(self, code: int, reason: str) -> None:
        # Accepted first: a refused handshake could not carry a close code to the frontend.
        await self.accept()
        await self.close(code, reason)

    async def close_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.close(UNAUTHENTICATED, "the access token has expired")

    async def disconnect(self, code: int) -> None:
        self.waiting.clear()
        for task in (self.expiry, self.sender):
            if task is not None:
                task.cancel()
        for each in self.topics:
            await self.channel_layer.group_discard(updates.group(each), self.channel_name)

    async def updates(self, message: dict[str, Any]) -> None:
        if not self.topics:
            # Given up: what comes now was on its way.
            return
        # Looked at before, since one batch alone may hold more.
        if len(self.waiting) >= settings.LIVE_MAX_WAITING:
            await self.give_up()
            return
        wanted = [
            frame for station, frame in message["frames"] if not self.station or identity_key(station) == self.station
        ]
        self.waiting.extend(wanted)
        if self.waiting and (self.sender is None or self.sender.done()):
            self.sender = asyncio.create_task(self.send_waiting())

    async def send_waiting(self) -> None:
        while self.waiting:
            await self.send(self.waiting.popleft())

    async def give_up(self) -> None:
        """Close the socket of a frontend that reads too slowly, behind what is on its way already."""
        logger.info("%s reads live updates too slowly, and is told to come back", self.scope["client"])
        self.waiting.clear()
        for each in self.topics:
            await self.channel_layer.group_discard(updates.group(each), self.channel_name)
        self.topics = ()
        await self.close(TOO_SLOW, "updates are read too slowly")
