"""Where frontends connect for live updates."""

from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from tasks.consumers import UpdatesConsumer
from tasks.listeners import Listeners


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake: nothing is here, perhaps a station that has the wrong port."""
    await receive()
    await send({"type": "websocket.close"})


websocket_application = URLRouter(
    [re_path(r"^ws/updates/(?P<topic>[a-z]+)/?$", Listeners(UpdatesConsumer.as_asgi())), re_path(r"", refuse)]
)
