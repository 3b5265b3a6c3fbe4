"""How the schedules that stations tell are read, in every version."""

from collections.abc import Iterator, Sequence
from typing import Any

from chargers.values import SchedulePeriod
from csms.versions.base import Payload
from tasks.schemas import from_wire


def periods(told: Sequence[Payload]) -> Iterator[SchedulePeriod]:
    """Read periods; without its limit a period says nothing, and without its start only the first is clear (SC-03)."""
    for index, period in enumerate(told):
        read: Any = from_wire(period)
        if index == 0:
            read.setdefault("start_period", 0)
        if "limit" in read and "start_period" in read:
            yield read
