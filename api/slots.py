"""Only so many requests work at once; the others wait their turn.

Under ASGI each request has a thread of its own, and with it a database connection of its own.
Without a bound, a burst of requests takes every connection that PostgreSQL has, those of the csms
too. A request that waits for a station gives its turn away meanwhile.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from api import errors

_turns = threading.BoundedSemaphore(settings.WEB_MAX_REQUESTS)
_thread = threading.local()


class Slots:
    """The middleware before all others that work."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _turns.acquire(timeout=settings.WEB_QUEUE_TIMEOUT):
            busy = errors.body("BUSY", "Too many requests at once: try again later.", errors.traced())
            return JsonResponse(busy, status=503)
        _thread.has_turn = True
        try:
            return self.get_response(request)
        finally:
            # The thread ends with the request: a connection kept open would be nobody's.
            if not connection.in_atomic_block:
                connection.close()
            if _thread.has_turn:
                _thread.has_turn = False
                _turns.release()


@contextmanager
def turn_given_away() -> Iterator[None]:
    """Let another request work while this one waits; it must hold no database connection."""
    if not getattr(_thread, "has_turn", False):
        yield
        return
    _thread.has_turn = False
    _turns.release()
    try:
        yield
    finally:
        # What is left to do is little: without a turn in time it is done all the same.
        _thread.has_turn = _turns.acquire(timeout=settings.WEB_QUEUE_TIMEOUT)
