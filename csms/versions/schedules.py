"""How the schedules that stations tell are read, in every version."""

from collections.abc import Iterator, Sequence
from typing import Any

from chargers import profiles
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


def whole(value: Any) -> int | None:
    """Read a whole number that can be kept; None for any other."""
    return value if isinstance(value, int) and abs(value) <= profiles.MAX_NUMBER else None
