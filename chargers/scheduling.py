"""How a vehicle that speaks ISO 15118 is given a schedule: who makes it, and from what (2.0.1 K15 to K17)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from chargers import profiles
from chargers.choices import ChargingRateUnit
from chargers.profiles import Limit
from chargers.values import Needs, Profile, Schedule, SchedulePeriod

logger = logging.getLogger(__name__)

# What ISO 15118-2 wants to be covered where no departure is known.
WITHOUT_DEPARTURE = timedelta(hours=24)
# Phases of a vehicle that charges with alternating current.
PHASES = {"AC_single_phase": 1, "AC_two_phase": 2, "AC_three_phase": 3}
DIRECT_CURRENT = "DC"


class Later(Exception):
    """Raised by a scheduler that needs time: the station is told Processing, and the profile is set over REST."""


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of a session whose vehicle wants a schedule.

    `transaction_id` is our number, `began` its start, `id_token` who charges, if that is known.
    `units` are the rate units that the station takes, none where it does not say, `max_periods` how
    many periods a schedule may have. `limits` are stacks of profiles that hold at the EVSE, those
    of the station as a whole and of others too: each stack counts, by the first of its profiles
    that says something at a moment (`chargers.profiles.prevailing`).
    """

    station: str
    evse_id: int
    transaction_id: int
    id_token: str | None
    began: datetime | None
    needs: Needs
    at: datetime
    units: frozenset[str]
    max_periods: int | None
    limits: Sequence[Sequence[Profile]]


class Scheduler(Protocol):
    """What OV2XMP_CHARGING_SCHEDULER names."""

    def schedule(self, session: Session) -> Sequence[Schedule]:
        """Return one to three schedules for the vehicle to choose from; none where it is to get none.

        It is called while the station's message is served, so it must not wait for anybody: raise
        Later, and set a TxProfile with SetChargingProfile when it is known.
        """


def ask(session: Session) -> Sequence[Schedule]:
    """Return the schedules that the scheduler makes; none where none is set up, or it fails. Raises Later."""
    if not settings.CHARGING_SCHEDULER:
        return []
    scheduler: Scheduler = import_string(settings.CHARGING_SCHEDULER)()
    try:
        return list(scheduler.schedule(session))
    except Later:
        raise
    except Exception:
        # A vehicle without a schedule charges by the profiles that the station has.
        logger.exception("%s: no schedule was made for EVSE %d", session.station, session.evse_id)
        return []


class Fastest:
    """As fast as the vehicle can until it leaves, within every limit that is known."""

    def schedule(self, session: Session) -> Sequence[Schedule]:
        begin = session.at.replace(microsecond=0)
        departure = session.needs.departure_time
        end = departure if departure and departure > session.at else begin + WITHOUT_DEPARTURE
        points = {session.at}
        for each in (profile for stack in session.limits for profile in stack):
            points |= profiles.turning_points(each, session.at, end, session.began)
        unit, phases = _unit(session), PHASES.get(session.needs.requested_energy_transfer)
        limits: dict[int, float] = {}
        for point in sorted(points):
            limit = _limit_at(point, unit, phases, session)
            if limit is None:
                return []
            start = int((point - begin).total_seconds())
            # Schedules know whole seconds.
            limits[start] = min(limit, limits.get(start, limit))
        periods = list(_periods(limits, phases))
        return [
            {
                "id": 1,
                "start_schedule": begin.isoformat().replace("+00:00", "Z"),
                "duration": max(1, int((end - begin).total_seconds())),
                "charging_rate_unit": unit,
                "charging_schedule_period": _shortened(periods, session.max_periods),
            }
        ]


def _periods(limits: Mapping[int, float], phases: int | None) -> Iterator[SchedulePeriod]:
    """Say limits by the second they begin at as periods, one for each change."""
    before: float | None = None
    for start, limit in limits.items():
        if limit != before:
            period: SchedulePeriod = {"start_period": start, "limit": limit}
            yield {**period, "number_phases": phases} if phases else period
        before = limit


def _unit(session: Session) -> str:
    """Choose watts for direct current, whose voltage is the vehicle's, and amperes else, if the station takes them."""
    direct = session.needs.requested_energy_transfer == DIRECT_CURRENT
    wanted = ChargingRateUnit.W if direct else ChargingRateUnit.A
    return wanted.value if wanted in session.units or not session.units else min(session.units)


def _limit_at(at: datetime, unit: str, phases: int | None, session: Session) -> float | None:
    """Return the least of what the vehicle can take and what is allowed at a moment; None where nothing is known."""
    allowed = [found for each in session.limits if (found := profiles.prevailing(each, at, session.began))]
    known = [*_of_vehicle(session.needs), *allowed]
    limits = [said.limit for each in known if (said := _said(each, unit, phases, session))]
    return profiles.rounded_down(min(limits)) if limits else None


def _said(limit: Limit, unit: str, phases: int | None, session: Session) -> Limit | None:
    """Say a limit in a unit. W are those of all phases, so that the vehicle's phases share them."""
    if limit.unit == unit:
        return limit
    if phases is None:
        voltage = session.needs.parameters.get("ev_max_voltage")
        # The voltage of direct current is the vehicle's, and at most this.
        return Limit(profiles.converted(limit._replace(phases=1), unit, voltage), unit, 1) if voltage else None
    return Limit(profiles.converted(limit._replace(phases=phases), unit, settings.NOMINAL_VOLTAGE), unit, phases)


def _of_vehicle(needs: Needs) -> Sequence[Limit]:
    found = []
    phases = PHASES.get(needs.requested_energy_transfer, 1)
    if current := needs.parameters.get("ev_max_current"):
        found.append(Limit(current, ChargingRateUnit.A.value, phases))
    if power := needs.parameters.get("ev_max_power"):
        found.append(Limit(power, ChargingRateUnit.W.value, phases))
    return found


def _shortened(periods: list[SchedulePeriod], most: int | None) -> list[SchedulePeriod]:
    """Keep as many periods as can be told; the last then allows no more than any that it stands for (K15.FR.07)."""
    if not most or len(periods) <= most:
        return periods
    kept, rest = periods[:most], periods[most - 1 :]
    return [*kept[:-1], {**kept[-1], "limit": min(each["limit"] for each in rest)}]
