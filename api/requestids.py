"""An id for each request, in its answer and on every log line that it leaves."""

import re
from uuid import uuid4

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from tasks import logcontext

HEADER = b"x-request-id"
# What a client or a proxy may choose: nothing that could be taken for something else in a log.
_SOUND = re.compile(rb"[A-Za-z0-9._:~@+/=-]{1,128}")


class RequestIds:
    """ASGI middleware: takes the id in ``X-Request-ID`` if it is sound, else makes one, and answers it there.

    The sockets of live updates get one too, for the log alone.
    """

    def __init__(self, application: ASGI3Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        given = dict(scope.get("headers", ())).get(HEADER, b"")
        request_id = given if _SOUND.fullmatch(given) else uuid4().hex.encode()

        async def answer(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event.get("headers", ()), (HEADER, request_id)]
            await send(event)

        with logcontext.bound(request_id=request_id.decode()):
            await self._application(scope, receive, answer)
