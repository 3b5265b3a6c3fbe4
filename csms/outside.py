"""Asking somebody outside, who may be slow: beside the event loop, and beside all who store something."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connection

logger = logging.getLogger(__name__)


class Outside:
    """Runs questions in threads of their own, so many at a time.

    A question that takes too long is answered with nothing while its thread goes on, and keeps its
    place until it ends. The threads hold up no end of the process.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(settings.ISO15118_MAX_REQUESTS)

    async def ask(self, ask: Callable[[Any], Any], value: Any) -> Any:
        """Return what is told within the time for it; None where nothing is, whatever went wrong."""
        try:
            async with asyncio.timeout(settings.ISO15118_TIMEOUT):
                await self._places.acquire()
                return await self._start(ask, value)
        except Exception as error:
            # Whatever a provider raises; that the time is over says nothing by itself.
            logger.warning("%s: nothing was told: %s", ask.__name__, str(error) or type(error).__name__)
            return None

    def _start(self, ask: Callable[[Any], Any], value: Any) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def end(told: Any, error: Exception | None) -> None:
            self._places.release()
            if answer.done():
                return
            if error is None:
                answer.set_result(told)
            else:
                answer.set_exception(error)

        def run() -> None:
            told, error = None, None
            try:
                told = context.run(ask, value)
            except Exception as raised:
                error = raised
            finally:
                connection.close()
            try:
                loop.call_soon_threadsafe(end, told, error)
            except RuntimeError:
                # The server has ended meanwhile.
                return

        try:
            threading.Thread(target=run, name="outside", daemon=True).start()
        except RuntimeError:
            self._places.release()
            raise
        return answer
