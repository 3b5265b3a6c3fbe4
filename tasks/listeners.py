"""Which frontends may listen: each is a socket, and a queue that every update goes through, and all need redis."""

import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

logger = logging.getLogger(__name__)

Application = Callable[[Any, Any, Any], Awaitable[None]]

# WebSocket's "try again later".
TRY_AGAIN_LATER = 1013


class Listeners:
    """An ASGI application that passes on so many sockets at a time, and closes the others with 1013.

    So it does with those whom redis does not let listen, or not any more.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._count = 0
        self._full = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._count >= settings.LIVE_MAX_LISTENERS:
            self._tell(full=True)
            await receive()
            await _refuse(send, "too many listen already")
            return
        self._tell(full=False)
        self._count += 1
        accepted = False

        async def note(message: Any) -> None:
            nonlocal accepted
            accepted |= message["type"] == "websocket.accept"
            await send(message)

        try:
            await self._application(scope, receive, note)
        except Exception as error:
            if not _is_of_layer(error):
                raise
            reason = f"{type(error).__name__}: {error}"
            logger.warning("redis does not answer, and %s is told to come back: %s", scope.get("client"), reason)
            await _refuse(send, "redis does not answer", accepted=accepted)
        finally:
            self._count -= 1

    def _tell(self, *, full: bool) -> None:
        if full and not self._full:
            logger.warning("%d frontends listen to live updates, and more are refused", self._count)
        self._full = full


def _is_of_layer(error: Exception) -> bool:
    """Tell whether the channel layer raised it, which is so when redis is away.

    Not all of that is an error of redis: a subscriber and the reader may find out at the same time.
    """
    names = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(name.startswith("channels_redis.") for name in names)


async def _refuse(send: Callable[[Any], Awaitable[None]], reason: str, *, accepted: bool = False) -> None:
    if not accepted:
        # A refused handshake could not carry a close code to the frontend.
        await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": reason})
