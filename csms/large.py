"""Large messages: read beside the event loop, and few of them at once.

A payload of megabytes takes seconds to mend and to read, in which nobody else would be served, and
a hundred times its size in memory. Those that are in work together are no larger than the largest
message, so any number of stations may send some: each waits for its turn.
"""

import asyncio
import contextvars
import ctypes
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from django.conf import settings

Read = TypeVar("Read")

# Bytes; what is not larger holds up nobody, and reading it elsewhere would take longer.
LARGE = 16 * 1024
# Bytes; the memory of what is larger is given back to the system.
HUGE = 1024 * 1024


def _trim() -> None:
    """Have the C library give up free memory, which glibc would keep, between what is in use, for as long as it runs."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Large:
    """Gives turns to large messages, first come, first served, and reads them in a thread of its own."""

    def __init__(self) -> None:
        self._room = settings.OCPP_MAX_MESSAGE_SIZE
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        # Whether memory was taken that the system may have back.
        self._took = False

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Wait until there is room for a message of `size` bytes, and keep it inside."""
        size = min(size, settings.OCPP_MAX_MESSAGE_SIZE)
        coming = asyncio.get_running_loop().create_future()
        self._waiting.append((size, coming))
        self._admit()
        try:
            await coming
            yield
        finally:
            if coming.cancelled():
                # Nobody passed it by while it waited.
                self._waiting = deque(each for each in self._waiting if each[1] is not coming)
            else:
                self._room += size
                self._took |= size > HUGE
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._room:
            size, coming = self._waiting.popleft()
            if not coming.done():
                self._room -= size
                coming.set_result(None)

    async def read(self, read: Callable[[], Read]) -> Read:
        """Return what `read` returns, or raise what it raises; one after the other."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._thread, context.run, read)

    def give_back(self) -> None:
        """Give the system back, in the thread, what huge messages took, once none is in work."""
        if self._took and self._room == settings.OCPP_MAX_MESSAGE_SIZE:
            self._took = False
            self._thread.submit(_trim)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
