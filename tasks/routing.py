"""Where frontends connect for live updates."""

from channels.routing import URLRouter
from django.urls import re_path

from tasks.consumers import UpdatesConsumer

websocket_application = URLRouter([re_path(r"^ws/updates/(?P<topic>[a-z]+)/?$", UpdatesConsumer.as_asgi())])
