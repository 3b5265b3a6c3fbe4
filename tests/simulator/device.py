"""What stations of every version have in common once they have a life of their own."""

import asyncio
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.simulator.station import Answer, Call, Payload, Station, handler_name

# The statuses of an answer after which the station does what it was asked for.
DONE = {"Accepted", "AcceptedCanceled", "Scheduled", "Unlocked"}


class Device(Station):
    """A station that, if `autonomous`, also does what it accepted, in methods named ``do_<action>``."""

    def __init__(
        self,
        url: str,
        identity: str,
        *,
        autonomous: bool = False,
        retry_after: float = 5,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        **options: Any,
    ) -> None:
        """`retry_after` is the time in s after which an autonomous station repeats what must arrive."""
        super().__init__(url, identity, **options)
        self.autonomous = autonomous
        self.retry_after = retry_after
        self.clock = clock

    def answered(self, call: Call, answer: Answer) -> None:
        """Let an autonomous station act on its answer: ``do_<action>`` when it accepted, else ``refused_<action>``."""
        if not self.autonomous or not isinstance(answer, dict):
            return
        name = handler_name(call.action).removeprefix("on_")
        if answer.get("status", "Accepted") in DONE:
            work = getattr(self, f"do_{name}", None)
        else:
            work = getattr(self, f"refused_{name}", None)
        if work is not None and inspect.iscoroutine(doing := work(call.payload)):
            self.spawn(doing)

    async def deliver_again(self, action: str, payload: Payload) -> Payload:
        return await self.deliver(action, payload, retry_after=self.retry_after)

    async def sleep_until(self, moment: datetime) -> None:
        await asyncio.sleep(max(0, (moment - self.clock()).total_seconds()))
