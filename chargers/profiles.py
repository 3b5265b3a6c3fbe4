"""Charging profiles: what makes one valid, what it allows when, and other ways to say the same.

Limits are in A per phase, or in W for all phases together; times within a schedule are seconds
from its start (OCPP 1.6 sections 3.13, 5.16 and 7.8 to 7.14 with the errata, 2.0.1 K01). A profile
of 2.x may have several schedules: a vehicle that speaks ISO 15118 chooses one.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple, TypeGuard

from chargers.choices import ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit, RecurrencyKind
from chargers.values import Profile, Schedule, SchedulePeriod

RECURRENCE: Mapping[str, timedelta] = {
    RecurrencyKind.DAILY: timedelta(days=1),
    RecurrencyKind.WEEKLY: timedelta(weeks=1),
}
# What a period means that names no number of phases (section 7.14, K01.FR.49).
PHASES = 3
# As many as ISO 15118 offers a vehicle (2.0.1 ChargingProfileType).
MOST_SCHEDULES = 3
# The largest number that stations and databases can be trusted to hold.
MAX_NUMBER = 2**31 - 1
TENTH, WHOLE = Decimal("0.1"), Decimal(1)

SCHEDULE_MEMBERS = Schedule.__annotations__.keys()
PERIOD_MEMBERS = SchedulePeriod.__annotations__.keys()

# Fields, inner ones as ``schedules.0.duration``, with the reasons against each.
Problems = dict[str, list[str]]
Found = Iterator[tuple[str, str]]


# What makes one valid.


def problems(profile: Profile) -> Problems:
    """Say what is wrong with a profile wherever it goes; its schedules may be of any shape."""
    return gathered(found(profile))


def gathered(found: Iterable[tuple[str, str]]) -> Problems:
    problems: Problems = {}
    for field, reason in found:
        problems.setdefault(field, []).append(reason)
    return problems


def found(profile: Profile) -> Found:
    if not -MAX_NUMBER <= profile.chargingprofile_id <= MAX_NUMBER:
        yield "chargingprofile_id", "Is a number of 32 bits."
    if not 0 <= profile.stack_level <= MAX_NUMBER:
        yield "stack_level", "Is 0 or more, in 32 bits."
    if profile.purpose == ChargingProfilePurpose.STATION_EXTERNAL:
        yield "purpose", "External constraints are set by others than the platform."
    if profile.transaction_id is not None and profile.purpose != ChargingProfilePurpose.TX:
        yield "transaction_id", "Only a TxProfile names a transaction."
    recurring = profile.kind == ChargingProfileKind.RECURRING
    if recurring and not profile.recurrency_kind:
        yield "recurrency_kind", "A Recurring profile says how often it recurs."
    if profile.recurrency_kind and not recurring:
        yield "recurrency_kind", "Only a Recurring profile recurs."
    if profile.valid_from and profile.valid_to and profile.valid_from >= profile.valid_to:
        yield "valid_to", "Is later than valid_from."
    if not isinstance(profile.schedules, list | tuple) or not 0 < len(profile.schedules) <= MOST_SCHEDULES:
        yield "schedules", f"Is a list of one schedule, or of up to {MOST_SCHEDULES} for a vehicle to choose from."
        return
    if len(profile.schedules) > 1 and profile.purpose != ChargingProfilePurpose.TX:
        yield "schedules", "Only a TxProfile has several schedules, for its vehicle to choose from."
    for index, schedule in enumerate(profile.schedules):
        yield from _schedule_problems(profile, schedule, f"schedules.{index}")
    yield from _id_problems(profile.schedules)


def _id_problems(schedules: Sequence[Any]) -> Found:
    met: set[int] = set()
    for index, schedule in enumerate(schedules):
        number = schedule.get("id") if isinstance(schedule, dict) else None
        if number is None:
            continue
        if not is_whole(number) or abs(number) > MAX_NUMBER:
            yield f"schedules.{index}.id", "Is a number of 32 bits."
        elif number in met:
            yield f"schedules.{index}.id", "Is the id of another schedule of the profile."
        else:
            met.add(number)


def _schedule_problems(profile: Profile, schedule: Any, path: str) -> Found:
    if not isinstance(schedule, dict):
        yield path, "Is an object."
        return
    for name in schedule.keys() - SCHEDULE_MEMBERS:
        yield f"{path}.{name}", "Is no member of a schedule."
    start, duration = schedule.get("start_schedule"), schedule.get("duration")
    if start is not None and moment(start) is None:
        yield f"{path}.start_schedule", "Is a time in ISO 8601, with its zone."
    if start is not None and profile.kind == ChargingProfileKind.RELATIVE:
        yield f"{path}.start_schedule", "A Relative profile begins with the charging, at no time of its own."
    if start is None and profile.kind == ChargingProfileKind.RECURRING:
        yield f"{path}.start_schedule", "A Recurring profile says when it first begins."
    recurrence = RECURRENCE.get(profile.recurrency_kind)
    longest = int(recurrence.total_seconds()) if recurrence else MAX_NUMBER
    if duration is not None and not (is_whole(duration) and 0 < duration <= longest):
        yield f"{path}.duration", f"Is from 1 to {longest} seconds."
        duration = None
    if schedule.get("charging_rate_unit") not in ChargingRateUnit.values:
        yield f"{path}.charging_rate_unit", "Is A or W."
    if (rate := schedule.get("min_charging_rate")) is not None and not is_limit(rate):
        yield f"{path}.min_charging_rate", "Is 0 or more, with one decimal at most."
    if not isinstance(schedule.get("sales_tariff"), dict | None):
        yield f"{path}.sales_tariff", "Is an object."
    periods = schedule.get("charging_schedule_period")
    yield from _period_problems(periods, duration or longest, f"{path}.charging_schedule_period")


def _period_problems(periods: Any, end: int, path: str) -> Found:
    if not isinstance(periods, list) or not periods:
        yield path, "Is a list of one period or more."
        return
    earlier = -1
    for index, period in enumerate(periods):
        if not isinstance(period, dict):
            yield f"{path}.{index}", "Is an object."
            continue
        for name in period.keys() - PERIOD_MEMBERS:
            yield f"{path}.{index}.{name}", "Is no member of a period."
        start, phases = period.get("start_period"), period.get("number_phases")
        if not is_whole(start):
            yield f"{path}.{index}.start_period", "Is a whole number of seconds."
        elif index == 0 and start != 0:
            yield f"{path}.{index}.start_period", "The first period starts at 0."
        elif not earlier < start < end:
            yield f"{path}.{index}.start_period", f"Is after the one before, and before the end at {end} seconds."
        earlier = start if is_whole(start) else earlier
        if not is_limit(period.get("limit")):
            yield f"{path}.{index}.limit", "Is 0 or more, with one decimal at most."
        if phases is not None and not (is_whole(phases) and 1 <= phases <= 3):
            yield f"{path}.{index}.number_phases", "Is 1, 2 or 3."
        if (phase := period.get("phase_to_use")) is not None:
            if not (is_whole(phase) and 1 <= phase <= 3):
                yield f"{path}.{index}.phase_to_use", "Is 1, 2 or 3."
            elif phases != 1:
                yield f"{path}.{index}.phase_to_use", "Is told only where number_phases is 1."


def is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_limit(value: Any) -> bool:
    """Tell whether a value is a limit that a schedule may hold: one digit after the point at most."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= MAX_NUMBER and round(value, 1) == value


def moment(text: Any) -> datetime | None:
    """Read a time of a schedule; None where it is none, or names no zone."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else None


def phases_of(schedule: Schedule) -> set[int]:
    """Name the numbers of phases that a schedule's periods are for."""
    return {_phases(period) for period in schedule["charging_schedule_period"]}


def _phases(period: SchedulePeriod) -> int:
    return period.get("number_phases") or PHASES


# What it allows.


class Limit(NamedTuple):
    limit: float
    unit: str
    phases: int = PHASES


def limit_at(profile: Profile, at: datetime, began: datetime | None) -> Limit | None:
    """Tell what a profile allows at a moment; None where it says nothing then.

    `began` is the start of the charging, which relative schedules count from. Of several schedules
    the most generous counts, for the vehicle may have chosen it.
    """
    if (profile.valid_from and at < profile.valid_from) or (profile.valid_to and at >= profile.valid_to):
        return None
    limits = [found for each in profile.schedules if (found := _limit_at(profile, each, at, began))]
    return max((each for each in limits if each.unit == limits[0].unit), default=None)


def prevailing(stack: Sequence[Profile], at: datetime, began: datetime | None) -> Limit | None:
    """Tell what the first profile of a stack allows that says something at a moment (K01.FR.17)."""
    return next((found for each in stack if (found := limit_at(each, at, began))), None)


def _limit_at(profile: Profile, schedule: Schedule, at: datetime, began: datetime | None) -> Limit | None:
    start = _start(profile, schedule, at, began)
    if start is None or at < start:
        return None
    elapsed = (at - start).total_seconds()
    duration = schedule.get("duration")
    if duration is not None and elapsed >= duration:
        return None
    current = [period for period in schedule["charging_schedule_period"] if period["start_period"] <= elapsed]
    return Limit(current[-1]["limit"], schedule["charging_rate_unit"], _phases(current[-1])) if current else None


def _start(profile: Profile, schedule: Schedule, at: datetime, began: datetime | None) -> datetime | None:
    """Return when the schedule began that runs at a moment."""
    start = moment(schedule.get("start_schedule"))
    if start is None:
        return began
    recurrence = RECURRENCE.get(profile.recurrency_kind)
    if recurrence is None or at < start:
        return start
    return start + (at - start) // recurrence * recurrence


def turning_points(profile: Profile, begin: datetime, end: datetime, began: datetime | None) -> set[datetime]:
    """Name the moments after `begin` and before `end` at which a profile may allow something else than before."""
    points = {each for each in (profile.valid_from, profile.valid_to) if each}
    for schedule in profile.schedules:
        offsets = [period["start_period"] for period in schedule["charging_schedule_period"]]
        if (duration := schedule.get("duration")) is not None:
            offsets.append(duration)
        for start in _starts(profile, schedule, begin, end, began):
            points |= {start + timedelta(seconds=offset) for offset in offsets}
    return {point for point in points if begin < point < end}


def _starts(
    profile: Profile, schedule: Schedule, begin: datetime, end: datetime, began: datetime | None
) -> Iterator[datetime]:
    start = _start(profile, schedule, begin, began)
    recurrence = RECURRENCE.get(profile.recurrency_kind)
    while start is not None and start < end:
        yield start
        start = start + recurrence if recurrence else None


def converted(limit: Limit, unit: str, voltage: float) -> float:
    """Say a limit of alternating current in a unit: A per phase, or W for all its phases (K01.FR.50, K01.FR.51)."""
    if limit.unit == unit:
        return limit.limit
    watts_per_ampere = voltage * limit.phases
    return limit.limit / watts_per_ampere if unit == ChargingRateUnit.A else limit.limit * watts_per_ampere


def overlap(one: Profile, other: Profile) -> bool:
    """Tell whether there is a moment at which both profiles are valid."""
    starts = [each.valid_from for each in (one, other) if each.valid_from]
    ends = [each.valid_to for each in (one, other) if each.valid_to]
    return not starts or not ends or max(starts) < min(ends)


# Other ways to say it, for stations that do not understand the first.


def has_fractions(profile: Profile) -> bool:
    return in_whole_numbers(profile).schedules[0] != profile.schedules[0]


def in_whole_numbers(profile: Profile) -> Profile:
    """Round every limit down to a whole number (SC-05)."""
    return _with_limits(profile, lambda limit, _: _round_down(Decimal(str(limit)), WHOLE))


def in_other_unit(profile: Profile, voltage: float) -> Profile | None:
    """Say the same in W for A or in A for W, never more (SC-06, errata 3.69).

    None where that is not to be had: a lowest rate belongs to no period, so the periods must agree
    in their phases.
    """
    (schedule,) = profile.schedules
    if schedule.get("min_charging_rate") is not None and len(phases_of(schedule)) > 1:
        return None
    volts = Decimal(str(voltage))
    if schedule["charging_rate_unit"] == ChargingRateUnit.A:
        unit = ChargingRateUnit.W
        converted = _with_limits(profile, lambda amps, n: _round_down(Decimal(str(amps)) * volts * n, TENTH))
    else:
        unit = ChargingRateUnit.A
        converted = _with_limits(profile, lambda watts, n: _round_down(Decimal(str(watts)) / (volts * n), TENTH))
    (schedule,) = converted.schedules
    return replace(converted, schedules=[{**schedule, "charging_rate_unit": unit.value}])


def _with_limits(profile: Profile, change: Callable[[float, int], float]) -> Profile:
    """Change each limit; `change` gets it with its number of phases."""
    (schedule,) = profile.schedules
    periods: list[SchedulePeriod] = [
        {**period, "limit": change(period["limit"], _phases(period))} for period in schedule["charging_schedule_period"]
    ]
    changed: Schedule = {**schedule, "charging_schedule_period": periods}
    if (rate := schedule.get("min_charging_rate")) is not None:
        changed["min_charging_rate"] = change(rate, _phases(periods[0]))
    return replace(profile, schedules=[changed])


def rounded_down(limit: float) -> int | float:
    """Round a limit down to what a schedule may hold."""
    return _round_down(Decimal(str(limit)), TENTH)


def _round_down(value: Decimal, step: Decimal) -> int | float:
    rounded = value.quantize(step, ROUND_DOWN)
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)


def began_before(profile: Profile, now: datetime) -> bool:
    """Tell whether a profile's fixed start lies in the past."""
    start = moment(profile.schedules[0].get("start_schedule"))
    return profile.kind == ChargingProfileKind.ABSOLUTE and start is not None and start < now


def as_relative(profile: Profile, now: datetime) -> Profile | None:
    """Say without a time what a schedule that began in the past says from now on (SC-04).

    None where more than one limit is left, or the last one ends: what is relative to the start of
    the charging would then change at another time.
    """
    (schedule,) = profile.schedules
    start = moment(schedule.get("start_schedule"))
    if start is None or schedule.get("duration") is not None:
        return None
    elapsed = math.floor((now - start).total_seconds())
    last = schedule["charging_schedule_period"][-1]
    if last["start_period"] > elapsed:
        return None
    timeless: Schedule = {**schedule, "charging_schedule_period": [{**last, "start_period": 0}]}
    del timeless["start_schedule"]
    return replace(profile, kind=ChargingProfileKind.RELATIVE.value, schedules=[timeless])
