"""An application for Daphne that streams, and says how much it was let to send."""

import asyncio
from typing import Any

from ov2xmp.backpressure import steady

BLOCK = b"x" * 65536
BLOCKS = 1024
TOTAL = len(BLOCK) * BLOCKS
sent = 0


async def stream(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer `/sent` with the bytes that went out; stream to all others until they are gone."""
    global sent
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/sent":
        await send({"type": "http.response.body", "body": str(sent).encode()})
        return
    gone = asyncio.ensure_future(receive())
    sent = 0
    for _ in range(BLOCKS):
        if gone.done():
            return
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
        sent += len(BLOCK)
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


application = steady(stream)
