"""Send no faster than the client reads.

Daphne takes whatever an application sends and keeps in memory what the client has not read yet: for
a slow download that would be most of the file.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from daphne.http_protocol import WebRequest
from django.conf import settings
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Callable[[], Awaitable[Message]], Send], Awaitable[None]]


@implementer(IPushProducer)
class Flow:
    """Is told by Twisted when a connection has enough to send, and when it has sent that."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def pauseProducing(self) -> None:
        self._open.clear()

    def resumeProducing(self) -> None:
        self._open.set()

    def stopProducing(self) -> None:
        self._open.set()

    async def wait(self) -> None:
        """Wait until there is room. Raises TimeoutError: the client reads nothing any more."""
        async with asyncio.timeout(settings.WEB_SEND_TIMEOUT):
            await self._open.wait()


def steady(application: Application) -> Application:
    """Make an ASGI application wait with each part of a streamed response until the one before is on its way."""

    async def served(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        request = _request_behind(send)
        if request is None:
            await application(scope, receive, send)
            return
        flow = Flow()

        async def send_steadily(message: Message) -> None:
            if request.channel is None:
                # The client is gone, and the application about to be told so.
                return
            if not message.get("more_body"):
                if request.producer is not None:
                    request.unregisterProducer()
                await send(message)
                return
            if request.producer is None:
                request.registerProducer(flow, True)
            await send(message)
            try:
                await flow.wait()
            except TimeoutError:
                logger.info("%s left a response unread, and was disconnected", scope["client"])
                request.transport.abortConnection()

        await application(scope, receive, send_steadily)

    return served


def _request_behind(send: Send) -> WebRequest | None:
    """Return the request that Daphne's `send` belongs to; other servers wait by themselves."""
    arguments = send.args if isinstance(send, partial) else ()
    return next((each for each in arguments if isinstance(each, WebRequest)), None)
