"""Smart charging: charging profiles, and the schedules they come to (section 3.13).

A station that refuses a profile is asked once more in another way where that says the same, or
less, and what it does not take is remembered. Not so in a strict platform, where a refusal stands.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings

from chargers import profiles
from chargers.choices import ChargingProfilePurpose, ChargingRateUnit, LimitationKind
from chargers.services import chargingprofiles, compositeschedules, installedprofiles
from chargers.values import (
    CompositeReport,
    Facts,
    Profile,
    ProfileExpected,
    ProfileInstalled,
    ProfilesCleared,
    Started,
)
from csms.intake import Work
from csms.versions import schedules
from csms.versions.base import CallFailed, Context, Effect, Payload, Script, Step, Talk, limitation
from csms.versions.members import whole
from tasks.models import CommandStatus
from tasks.v16.charging import PURPOSES, read_profile, write_profile

# Error codes of a station that understands a profile and does not want it (errata 3.38).
REFUSALS = frozenset({"PropertyConstraintViolation", "TypeConstraintViolation"})

# The answer to a CALL, or why it has none.
Outcome = Payload | CallFailed


def is_tolerant() -> bool:
    return bool(settings.OCPP_VALIDATION != "strict")


# Setting a profile.


class Way(NamedTuple):
    """Another way to say a profile; `kind` and `subject` name what the station does not take if that works."""

    kind: LimitationKind
    subject: str
    profile: Profile


def set_profile(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    """Set a profile as the station takes it, as far as that is known or can be found out (SC-04 to SC-06)."""
    connector = request["connectorId"]
    profile = _as_known(read_profile(request["csChargingProfiles"]), connector, talk.facts)
    answer = yield from _set_in_time(profile, connector, talk)
    if not _is_refused(answer) or not is_tolerant():
        return _conclude(answer)
    for way in _other_ways(profile, connector, talk.facts):
        again = yield from _try(_setting(way.profile, connector))
        if _is_refused(again):
            continue
        if isinstance(again, CallFailed):
            break
        talk.cannot(way.kind, way.subject, f"{_refusal(answer)}; took it in another way")
        return again
    if not isinstance(answer, CallFailed) and profile.purpose != ChargingProfilePurpose.TX:
        # A TxProfile may be refused for its transaction (section 3.13.1).
        purpose = request["csChargingProfiles"]["chargingProfilePurpose"]
        talk.cannot(LimitationKind.PROFILE_PURPOSE, purpose, _refusal(answer), certain=False)
    return _conclude(answer)


def _setting(profile: Profile, connector: int) -> Step:
    return Step("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": write_profile(profile)})


def _as_known(profile: Profile, connector: int, facts: Facts) -> Profile:
    """Say a profile as the station is known to take it."""
    if facts.cannot(LimitationKind.PAST_SCHEDULE):
        profile = _timeless(profile) or profile
    unit = profile.schedules[0]["charging_rate_unit"]
    if facts.cannot(LimitationKind.RATE_UNIT, unit):
        profile = _in_other_unit(profile, connector, facts) or profile
    return _rounded(profile, facts)


def _rounded(profile: Profile, facts: Facts) -> Profile:
    return profiles.in_whole_numbers(profile) if facts.cannot(LimitationKind.FRACTIONAL_LIMIT) else profile


def _set_in_time(profile: Profile, connector: int, talk: Talk) -> Generator[Step, Payload, Outcome]:
    """Set a profile; one that began in the past and is not answered is said without a time (SC-04)."""
    answer = yield from _try(_setting(profile, connector))
    silent = isinstance(answer, CallFailed) and answer.status == CommandStatus.TIMEOUT
    if not silent or not is_tolerant() or not (timeless := _timeless(profile)):
        return answer
    again = yield from _try(_setting(timeless, connector))
    if not isinstance(again, CallFailed):
        talk.cannot(LimitationKind.PAST_SCHEDULE, "", f"{_refusal(answer)}; answered one without a time")
    return again


def _timeless(profile: Profile) -> Profile | None:
    now = datetime.now(UTC)
    return profiles.as_relative(profile, now) if profiles.began_before(profile, now) else None


def _in_other_unit(profile: Profile, connector: int, facts: Facts) -> Profile | None:
    """Convert a profile to the other unit; None where the voltage is the vehicle's, or the station rules it out."""
    direct = facts.direct_current
    if connector in direct or (not connector and direct):
        return None
    converted = profiles.in_other_unit(profile, settings.NOMINAL_VOLTAGE)
    allowed = chargingprofiles.allowed_units(facts)
    if converted is None or (allowed and converted.schedules[0]["charging_rate_unit"] not in allowed):
        return None
    return _rounded(converted, facts)


def _other_ways(profile: Profile, connector: int, facts: Facts) -> Iterator[Way]:
    if profiles.has_fractions(profile):
        yield Way(LimitationKind.FRACTIONAL_LIMIT, "", profiles.in_whole_numbers(profile))
    if converted := _in_other_unit(profile, connector, facts):
        yield Way(LimitationKind.RATE_UNIT, profile.schedules[0]["charging_rate_unit"], converted)


def _try(step: Step) -> Generator[Step, Payload, Outcome]:
    """Make a CALL and return its answer, or why it has none."""
    try:
        return (yield step)
    except CallFailed as failure:
        return failure


def _is_refused(answer: Outcome) -> bool:
    if isinstance(answer, CallFailed):
        return answer.code in REFUSALS
    return bool(answer["status"] != "Accepted")


def _refusal(answer: Outcome) -> str:
    return str(answer) if isinstance(answer, CallFailed) else f"answered {answer['status']}"


def _conclude(answer: Outcome) -> Payload:
    if isinstance(answer, CallFailed):
        raise answer
    return answer


def keep_profile(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Believe in a profile that was taken, and in what the station can do by that; NotSupported is for good (SC-01)."""
    word = request["csChargingProfiles"]["chargingProfilePurpose"]
    if answer["status"] == "NotSupported":
        return [limitation(context, LimitationKind.PROFILE_PURPOSE, word, "answered NotSupported", certain=True)]
    if answer["status"] != "Accepted":
        return []
    profile = read_profile(request["csChargingProfiles"])
    shown = [
        (LimitationKind.PROFILE_PURPOSE, word),
        (LimitationKind.RATE_UNIT, profile.schedules[0]["charging_rate_unit"]),
    ]
    if profiles.has_fractions(profile):
        shown.append((LimitationKind.FRACTIONAL_LIMIT, ""))
    if profiles.began_before(profile, context.received_at):
        shown.append((LimitationKind.PAST_SCHEDULE, ""))
    value = ProfileInstalled(context.station, request["connectorId"], profile, context.received_at, context.command_id)
    return [(installedprofiles.install, value), *(limitation(context, *each) for each in shown)]


# Clearing profiles.


def forget_profiles(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Believe no longer in what was cleared, nor in what the station says that it does not have."""
    if answer["status"] not in ("Accepted", "Unknown"):
        return []
    word = request.get("chargingProfilePurpose")
    cleared = ProfilesCleared(
        context.station,
        chargingprofile_id=request.get("id"),
        evse_id=request.get("connectorId"),
        purpose=PURPOSES[word].value if word else None,
        stack_level=request.get("stackLevel"),
    )
    return [(installedprofiles.clear, cleared)]


# Starting with a profile.


def remote_start(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    """Start a transaction; without its profile, which follows, where the station refuses both together (SC-07)."""
    answer = yield Step("RemoteStartTransaction", request)
    if answer["status"] == "Accepted" or "chargingProfile" not in request or not is_tolerant():
        return answer
    bare = {name: value for name, value in request.items() if name != "chargingProfile"}
    again = yield Step("RemoteStartTransaction", bare)
    if again["status"] == "Accepted":
        talk.cannot(LimitationKind.REMOTE_START_PROFILE, "", f"{_refusal(answer)}; started without one")
    return again


def keep_start(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Keep the profile of a start until its transaction begins; `remote_start` goes on where it is refused."""
    accepted = answer["status"] == "Accepted"
    if "chargingProfile" not in request:
        refused = not accepted and context.command_id is not None
        return [(installedprofiles.forget_expected, context.command_id)] if refused else []
    if not accepted and (context.late or not is_tolerant()):
        return []
    expected = ProfileExpected(
        context.station,
        request.get("connectorId", 0),
        request["idTag"],
        read_profile(request["chargingProfile"]),
        context.received_at,
        context.command_id,
        due=not accepted,
    )
    work: list[Work] = [(installedprofiles.expect, expected)]
    return [*work, limitation(context, LimitationKind.REMOTE_START_PROFILE, "")] if accepted else work


def set_due_profile(started: Started, context: Context) -> Sequence[Step]:
    """Set the profile that a station would not start with, now that its transaction has begun (SC-07)."""
    return [_setting(started.due.profile, started.due.evse_id)] if started.due else []


# Composite schedules.


def keep_schedule(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Keep the schedule that a station tells; what it leaves out or cannot say is unknown (SC-03)."""
    if answer["status"] != "Accepted" or not 0 <= request["connectorId"] <= profiles.MAX_NUMBER:
        return []
    schedule = answer.get("chargingSchedule")
    if schedule is None:
        context.note("schedule-missing", f"connector {request['connectorId']}")
        schedule = {}
    unit = schedule.get("chargingRateUnit", request.get("chargingRateUnit", ""))
    return [
        (
            compositeschedules.record,
            CompositeReport(
                station=context.station,
                evse_id=request["connectorId"],
                unit=unit if unit in ChargingRateUnit.values else "",
                at=context.received_at,
                schedule_start=_start(answer, schedule, context),
                duration=whole(schedule.get("duration")),
                min_charging_rate=schedule.get("minChargingRate"),
                periods=list(schedules.periods(schedule.get("chargingSchedulePeriod", ()))),
            ),
        )
    ]


def _start(answer: Payload, schedule: Payload, context: Context) -> datetime | None:
    """Read when a schedule starts; stations tell it in either of two places (errata 3.57)."""
    told = answer.get("scheduleStart", schedule.get("startSchedule"))
    moment = context.time(told, "scheduleStart")
    return moment.at if moment.reliable else None


EFFECTS: Mapping[str, Effect] = {
    "ClearChargingProfile": forget_profiles,
    "GetCompositeSchedule": keep_schedule,
    "RemoteStartTransaction": keep_start,
    "SetChargingProfile": keep_profile,
}
SCRIPTS: Mapping[str, Script] = {
    "RemoteStartTransaction": remote_start,
    "SetChargingProfile": set_profile,
}
DISPENSABLE: Mapping[str, Sequence[str]] = {
    "GetCompositeSchedule": ("chargingRateUnit", "chargingSchedulePeriod", "limit", "startPeriod"),
}
