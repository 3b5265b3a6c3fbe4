"""Wait for what is not told to anybody."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.csms.conftest import query_in_thread


async def until(condition: Callable[[], Any], seconds: float = 8) -> None:
    """Wait until `condition`, a query, holds."""
    deadline = time.monotonic() + seconds
    while not await query_in_thread(condition):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {condition}"
        await asyncio.sleep(0.02)
