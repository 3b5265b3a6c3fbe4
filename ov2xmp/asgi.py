"""ASGI entry point: HTTP to Django, ``/ws/updates/`` to the live updates, both as seen through trusted proxies."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()

# They need Django set up, which the line above did.
from tasks.proxies import ProxyHeaders
from tasks.routing import websocket_application

application = ProxyHeaders(ProtocolTypeRouter({"http": http, "websocket": websocket_application}))
