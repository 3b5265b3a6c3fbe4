"""Send no faster than the client reads.

Daphne takes whatever an application sends and keeps in memory what the client has not read yet: for
a slow download that would be most of the file, and for a listener that reads nothing every update
from then on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from daphne.http_protocol import WebRequest
from daphne.ws_protocol import WebSocketProtocol
from django.conf import settings
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

logger = logging.getLogger(__name__)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


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
        if self._open.is_set():
            return
        async with asyncio.timeout(settings.WEB_SEND_TIMEOUT):
            await self._open.wait()


def steady(application: Application) -> Application:
    """Make an ASGI application wait with each part of what it sends until the one before is on its way."""

    async def served(scope: Message, receive: Receive, send: Send) -> None:
        match _protocol_behind(send):
            case WebRequest() as request:
                send = _response(request, scope, send)
            case WebSocketProtocol() as protocol:
                send = _frames(protocol, scope, send)
        await application(scope, receive, send)

    return served


def _response(request: WebRequest, scope: Message, send: Send) -> Send:
    """Return a `send` that waits where a response is streamed."""
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

    return send_steadily


def _frames(protocol: WebSocketProtocol, scope: Message, send: Send) -> Send:
    """Return a `send` that waits with each frame of a WebSocket."""
    flow = Flow()

    async def send_steadily(message: Message) -> None:
        await send(message)
        if message["type"] == "websocket.accept":
            # What the HTTP connection was, before it became this one, still has the place.
            protocol.transport.unregisterProducer()
            protocol.transport.registerProducer(flow, True)
            # A close frame waits behind what is unread; a client that reads on shall know why it was closed.
            protocol.closeHandshakeTimeout = settings.WEB_SEND_TIMEOUT
        elif message["type"] == "websocket.send":
            try:
                await flow.wait()
            except TimeoutError:
                logger.info("%s left updates unread, and was disconnected", scope["client"])
                protocol.transport.abortConnection()

    return send_steadily


def _protocol_behind(send: Send) -> WebRequest | WebSocketProtocol | None:
    """Return the connection that Daphne's `send` belongs to; other servers wait by themselves."""
    arguments = send.args if isinstance(send, partial) else ()
    return next((each for each in arguments if isinstance(each, WebRequest | WebSocketProtocol)), None)
