"""Charging profiles on their way to a station: whether they can be sent, as far as the platform can know.

What no station may be sent is in `chargers.profiles`; here is what depends on where a profile goes.
"""

import random
import re
from collections.abc import Iterable

from chargers import profiles
from chargers.choices import ChargingProfilePurpose, ChargingRateUnit
from chargers.models import InstalledProfile
from chargers.profiles import Found, Problems
from chargers.services import installedprofiles
from chargers.values import Facts, Profile, Schedule

# Ids that the platform chooses begin here, beyond those of the profiles in store.
FIRST_CHOSEN_ID = 1_000_000

# The words for a unit in ChargingScheduleAllowedChargingRateUnit, folded (section 9.4.2, SC-06).
UNIT_WORDS = {
    "a": ChargingRateUnit.A,
    "amp": ChargingRateUnit.A,
    "ampere": ChargingRateUnit.A,
    "amperes": ChargingRateUnit.A,
    "amps": ChargingRateUnit.A,
    "current": ChargingRateUnit.A,
    "power": ChargingRateUnit.W,
    "w": ChargingRateUnit.W,
    "watt": ChargingRateUnit.W,
    "watts": ChargingRateUnit.W,
}


def choose_id(station: str) -> int:
    """Choose an id for a profile that has none; no other on the station has it."""
    taken = set(InstalledProfile.objects.filter(chargepoint=station).values_list("chargingprofile_id", flat=True))
    while True:
        # Others may be on their way, so counting on would meet them.
        number = random.randrange(FIRST_CHOSEN_ID, profiles.MAX_NUMBER)
        if number not in taken:
            return number


def allowed_units(facts: Facts) -> frozenset[str]:
    """Name the units that a station says it takes; none where it does not say, or in words of its own."""
    words = re.findall(r"[a-z]+", (facts.text("ChargingScheduleAllowedChargingRateUnit") or "").casefold())
    return frozenset(UNIT_WORDS[word].value for word in words if word in UNIT_WORDS)


def max_periods(facts: Facts) -> int | None:
    """Return how many periods a station says a schedule may have; None where it does not say."""
    return facts.number("ChargingScheduleMaxPeriods")


def problems_of_setting(
    profile: Profile,
    *,
    station: str,
    evse_id: int,
    facts: Facts | None,
    besides: Iterable[tuple[str, str]] = (),
    exclusive: bool = False,
) -> Problems:
    """Say why a profile cannot be set at an EVSE of a station; without `facts` what it told does not count.

    `besides` are problems of its version. `exclusive` says that another with its purpose and level
    stands in its way, where that is valid at the same time (2.0.1 K01.FR.06, K01.FR.39).
    """
    problems = profiles.gathered([*profiles.found(profile), *_placing_problems(profile, evse_id), *besides])
    if problems:
        return problems
    on_site = [*_station_problems(profile, station, evse_id, facts)]
    if exclusive and facts is not None:
        on_site += _level_problems(profile, station, evse_id)
    return profiles.gathered(on_site)


def problems_of_starting(
    profile: Profile,
    *,
    station: str,
    evse_id: int,
    facts: Facts | None,
    besides: Iterable[tuple[str, str]] = (),
) -> Problems:
    """Say why a profile cannot go along with a remote start (section 5.16.2); `evse_id` is 0 for any.

    `besides` are problems of its version.
    """
    problems = profiles.gathered([*profiles.found(profile), *_starting_problems(profile, evse_id), *besides])
    return problems or profiles.gathered(_station_problems(profile, station, evse_id, facts))


def _level_problems(profile: Profile, station: str, evse_id: int) -> Found:
    other = installedprofiles.in_the_way(profile, station, evse_id)
    if other is not None:
        place = f"EVSE {other.evse_id}" if other.evse_id else "the station"
        yield "stack_level", f"Profile {other.chargingprofile_id} has it at {place}: clear it, or replace it by its id."


def _placing_problems(profile: Profile, evse_id: int) -> Found:
    match profile.purpose:
        case ChargingProfilePurpose.STATION_MAX if evse_id:
            yield "evse_id", "The maximum of the station is set at 0, the station as a whole."
        case ChargingProfilePurpose.TX:
            if evse_id == 0:
                yield "evse_id", "A TxProfile is set where its transaction runs, above 0."
            if profile.transaction_id is None:
                yield "transaction_id", "A TxProfile is set for a transaction."
    yield from _place_problems(evse_id)


def _place_problems(evse_id: int) -> Found:
    if not 0 <= evse_id <= profiles.MAX_NUMBER:
        yield "evse_id", "Is 0 or more, in 32 bits."


def _starting_problems(profile: Profile, evse_id: int) -> Found:
    yield from _place_problems(evse_id)
    if profile.purpose != ChargingProfilePurpose.TX:
        yield "purpose", "What goes along with a remote start is a TxProfile."
    if profile.transaction_id is not None:
        yield "transaction_id", "The transaction of a remote start has no id yet."


def _station_problems(profile: Profile, station: str, evse_id: int, facts: Facts | None) -> Found:
    """Hold a profile against what the station told of itself (section 3.13.5)."""
    if facts is None:
        return
    highest = facts.number("ChargeProfileMaxStackLevel", least=0)
    if highest is not None and profile.stack_level > highest:
        yield "stack_level", f"The station's highest level is {highest}."
    for index, schedule in enumerate(profile.schedules):
        yield from _schedule_problems(schedule, f"schedules.{index}", facts)
    room = facts.number("MaxChargingProfilesInstalled")
    if room is not None and installedprofiles.left_beside(profile, station, evse_id) >= room:
        yield "chargingprofile_id", f"The station holds {room} profiles at most, and has them: clear or replace one."


def _schedule_problems(schedule: Schedule, path: str, facts: Facts) -> Found:
    periods, unit = schedule["charging_schedule_period"], schedule["charging_rate_unit"]
    units = allowed_units(facts)
    if units and unit not in units:
        yield f"{path}.charging_rate_unit", f"The station takes {' or '.join(sorted(units))}."
    most = max_periods(facts)
    if most is not None and len(periods) > most:
        yield f"{path}.charging_schedule_period", f"The station takes {most} periods at most."
    if facts.flag("ConnectorSwitch3to1PhaseSupported") is False and len(profiles.phases_of(schedule)) > 1:
        yield f"{path}.charging_schedule_period", "The station cannot change its phases while it charges."
    if facts.flag("SmartChargingCtrlr.ACPhaseSwitchingSupported") is False:
        for index, period in enumerate(periods):
            if period.get("phase_to_use") is not None:
                where = f"{path}.charging_schedule_period.{index}.phase_to_use"
                yield where, "The station cannot choose its phase (K01.FR.20)."
