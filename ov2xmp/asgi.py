"""ASGI entry point: HTTP to Django, ``/ws/updates/`` to the live updates, both as seen through trusted proxies."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()

# They need Django set up, which the line above did.
from api.requestids import RequestIds
from ov2xmp import incoming
from ov2xmp.backpressure import steady
from tasks import logcontext
from tasks.proxies import ProxyHeaders
from tasks.routing import websocket_application

logcontext.name_process("web")
incoming.install()
routes = ProtocolTypeRouter({"http": http, "websocket": websocket_application})
# Outermost: it must meet Daphne itself.
application = steady(RequestIds(ProxyHeaders(routes)))
