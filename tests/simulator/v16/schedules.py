"""The charging profiles that a station holds, and the limits that follow from them (section 3.13)."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.simulator.station import Payload
from tests.simulator.times import moment
from tests.simulator.v16.meter import VOLTAGE

STATION, DEFAULT, TRANSACTION = "ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"
RECURRENCE = {"Daily": timedelta(days=1), "Weekly": timedelta(weeks=1)}
# Phases where the period does not say (section 7.14).
PHASES = 3


@dataclass(frozen=True)
class Limit:
    """A charging rate: W altogether, or A of each phase."""

    value: float
    unit: str
    phases: int | None = None

    def watts(self, phases: int = PHASES) -> float:
        """Convert for a vehicle on `phases` phases; it may use no more than the limit is meant for."""
        if self.unit == "W":
            return self.value
        return self.value * VOLTAGE * min(self.phases or PHASES, phases)

    def to(self, unit: str) -> float:
        if unit == self.unit:
            return self.value
        return self.watts() if unit == "W" else self.value / VOLTAGE / (self.phases or PHASES)


@dataclass(frozen=True)
class Installed:
    """A profile as it was received. `connector` is 0 for all."""

    connector: int
    profile: Payload
    received: datetime

    @property
    def purpose(self) -> str:
        return str(self.profile["chargingProfilePurpose"])

    @property
    def level(self) -> int:
        return int(self.profile["stackLevel"])

    @property
    def unit(self) -> str:
        return str(self.profile["chargingSchedule"]["chargingRateUnit"])

    @property
    def periods(self) -> Sequence[Payload]:
        return self.profile["chargingSchedule"]["chargingSchedulePeriod"]  # type: ignore[no-any-return]

    def replaces(self, other: "Installed") -> bool:
        """Say whether `other` has this one's id, or its place (section 5.16.3)."""
        if self.profile["chargingProfileId"] == other.profile["chargingProfileId"]:
            return True
        return (self.connector, self.purpose, self.level) == (other.connector, other.purpose, other.level)

    def limit_at(self, at: datetime, began: datetime) -> Limit | None:
        """Find the limit at a time, for a transaction that `began`; None where the profile says nothing."""
        if not self._valid_from <= at < self._valid_to:
            return None
        start = self._start(at, began)
        elapsed = at - start
        if not timedelta() <= elapsed < self._length:
            return None
        current = [period for period in self.periods if period["startPeriod"] <= elapsed.total_seconds()]
        return Limit(current[-1]["limit"], self.unit, current[-1].get("numberPhases")) if current else None

    def changes(self, begin: datetime, end: datetime, began: datetime) -> Iterator[datetime]:
        """List the times at which the limit may become another."""
        yield from (self._valid_from, self._valid_to)
        start = self._start(begin, began)
        while start < end:
            yield start
            yield from (start + timedelta(seconds=period["startPeriod"]) for period in self.periods)
            if self._length < timedelta.max:
                yield start + self._length
            if self._every is None:
                return
            start += self._every

    @property
    def _every(self) -> timedelta | None:
        return RECURRENCE[self.profile["recurrencyKind"]] if self._kind == "Recurring" else None

    @property
    def _length(self) -> timedelta:
        """How long the schedule runs; what is longer than a recurrence is not executed (section 5.16.4)."""
        seconds = self.profile["chargingSchedule"].get("duration")
        length = timedelta.max if seconds is None else timedelta(seconds=seconds)
        return min(length, self._every or timedelta.max)

    @property
    def _kind(self) -> str:
        return str(self.profile["chargingProfileKind"])

    @property
    def _valid_from(self) -> datetime:
        return moment(self.profile.get("validFrom", "0001-01-01T00:00:00Z"))

    @property
    def _valid_to(self) -> datetime:
        return moment(self.profile.get("validTo", "9999-12-31T00:00:00Z"))

    def _start(self, at: datetime, began: datetime) -> datetime:
        """Find the beginning of the schedule's run at a time, or of its first run."""
        fixed = self.profile["chargingSchedule"].get("startSchedule")
        if fixed is None or self._kind == "Relative":
            return self.received if self.purpose == STATION else began
        start = moment(fixed)
        if self._every is not None and at > start:
            start += self._every * ((at - start) // self._every)
        return start


class ChargingProfiles:
    def __init__(self) -> None:
        self.installed: list[Installed] = []

    def add(self, new: Installed) -> None:
        self.installed = [*self.others(new), new]

    def others(self, new: Installed) -> list[Installed]:
        """List the profiles that stay when `new` is installed."""
        return [old for old in self.installed if not new.replaces(old)]

    def remove(self, unwanted: Callable[[Installed], bool]) -> bool:
        """Remove what fits; say whether anything did."""
        before = len(self.installed)
        self.installed = [old for old in self.installed if not unwanted(old)]
        return len(self.installed) < before

    def of(self, connector: int) -> list[Installed]:
        """List the profiles that concern a connector: its own, and those for all; for 0, every one."""
        return [each for each in self.installed if connector == 0 or each.connector in (0, connector)]

    def of_station(self, at: datetime) -> Limit | None:
        return self._prevailing(STATION, 0, at, at)

    def of_transaction(self, connector: int, at: datetime, began: datetime) -> Limit | None:
        """Find a transaction's limit: a TxProfile overrules the default (section 3.13.1)."""
        own = self._prevailing(TRANSACTION, connector, at, began)
        return own or self._prevailing(DEFAULT, connector, at, began)

    def _prevailing(self, purpose: str, connector: int, at: datetime, began: datetime) -> Limit | None:
        """Go down the stack to the first limit; on one level a connector's own profile comes before that for all."""
        stack = [each for each in self.installed if each.purpose == purpose and each.connector in (0, connector)]
        stack.sort(key=lambda each: (each.level, each.connector), reverse=True)
        limits = (each.limit_at(at, began) for each in stack)
        return next((limit for limit in limits if limit is not None), None)


def composite(
    begin: datetime, seconds: int, moments: Iterable[datetime], limit_at: Callable[[datetime], Limit]
) -> list[Payload]:
    """Build the periods of a composite schedule from the limit at each time that may change it."""
    end = begin + timedelta(seconds=seconds)
    periods: list[Payload] = []
    for at in sorted({begin, *(at for at in moments if begin < at < end)}):
        limit = limit_at(at)
        period: Payload = {"startPeriod": math.ceil((at - begin).total_seconds()), "limit": tenths(limit.value)}
        if limit.phases is not None:
            period["numberPhases"] = limit.phases
        if periods and periods[-1]["startPeriod"] == period["startPeriod"]:
            periods.pop()
        if not periods or {**periods[-1], "startPeriod": 0} != {**period, "startPeriod": 0}:
            periods.append(period)
    return periods


def tenths(value: float) -> float:
    """Round down to the one digit that a limit may have (section 7.14)."""
    return math.floor(value * 10 + 1e-6) / 10
