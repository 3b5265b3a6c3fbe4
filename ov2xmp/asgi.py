"""ASGI entry point: HTTP to Django, ``/ws/updates/`` to the live updates."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()

# These need Django set up, which the line above did.
from ov2xmp.backpressure import steady
from tasks.routing import websocket_application

application = ProtocolTypeRouter({"http": steady(http), "websocket": websocket_application})
