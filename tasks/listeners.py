"""How many frontends may listen at once: each is a socket, and a queue that every update goes through."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

logger = logging.getLogger(__name__)

Application = Callable[[Any, Any, Any], Awaitable[None]]

# WebSocket's "try again later".
TRY_AGAIN_LATER = 1013


class Listeners:
    """An ASGI application that passes on so many sockets at a time, and closes the others with 1013."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._count = 0
        self._full = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._count >= settings.LIVE_MAX_LISTENERS:
            self._tell(full=True)
            await receive()
            # Accepted first: a refused handshake could not carry a close code to the frontend.
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": "too many listen already"})
            return
        self._tell(full=False)
        self._count += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._count -= 1

    def _tell(self, *, full: bool) -> None:
        if full and not self._full:
            logger.warning("%d frontends listen to live updates, and more are refused", self._count)
        self._full = full
