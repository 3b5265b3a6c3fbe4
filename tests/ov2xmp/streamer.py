"""An application for Daphne that streams, over HTTP or a WebSocket, and says how much it was let to send."""

import asyncio
from typing import Any

from ov2xmp.backpressure import steady

BLOCK = b"x" * 65536
TEXT = BLOCK.decode()
BLOCKS = 1024
TOTAL = len(BLOCK) * BLOCKS
# Seconds, in which what is not read fills every buffer.
PATIENCE = 1.0
TOO_SLOW = 4408
sent = 0
closed = False


async def stream(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Stream until the client is gone.

    Answer `/sent` with the bytes that went out, and `/closed` with whether `/impatient`, a
    WebSocket, was closed.
    """
    global sent, closed
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        sent = 0
        frames = asyncio.create_task(send_frames(send))
        if scope["path"] == "/impatient":
            await asyncio.wait([frames], timeout=PATIENCE)
            await send({"type": "websocket.close", "code": TOO_SLOW})
            closed = True
        await receive()
        frames.cancel()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/sent":
        await send({"type": "http.response.body", "body": str(sent).encode()})
        return
    if scope["path"] == "/closed":
        await send({"type": "http.response.body", "body": str(closed).encode()})
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


async def send_frames(send: Any) -> None:
    global sent
    for _ in range(BLOCKS):
        await send({"type": "websocket.send", "text": TEXT})
        sent += len(BLOCK)
        await asyncio.sleep(0)


application = steady(stream)
