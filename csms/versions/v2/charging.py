"""Smart charging: profiles, limits that others set, and what vehicles need (block K)."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from chargers.choices import ChargingLimitSource, ChargingProfilePurpose, ChargingRateUnit, LimitationKind
from chargers.services import charginglimits, compositeschedules, evcharging, installedprofiles
from chargers.values import (
    ChargingLimitCleared,
    ChargingLimitReport,
    CompositeReport,
    EVScheduleReport,
    Needs,
    NeedsReport,
    Negotiated,
    Profile,
    ProfileExpected,
    ProfileInstalled,
    ProfilesCleared,
    ProfilesListed,
    ProfilesTold,
    Schedule,
)
from csms.intake import Work
from csms.versions import schedules
from csms.versions.base import CallFailed, Context, Effect, Handler, Payload, Script, Step, Talk, limitation
from csms.versions.charging import Spelling, conclude, shown_by
from csms.versions.members import MAX_NUMBER, whole
from csms.versions.v2 import reports
from csms.versions.v2.members import MAX_WORD, nothing, number, token
from tasks.keepers import profile_criteria
from tasks.models import ReportKind
from tasks.reports import ReportPart, take
from tasks.schemas import from_wire, moment
from tasks.v2 import charging

# A member of 1.6 that no message of 2.x has (V2-02).
MEMBER_OF_16 = "csChargingProfiles"
# Of the words of a profile: a longer one is none that anybody knows, and cannot be kept.
LONGEST_WORDS = {"chargingProfilePurpose": MAX_WORD, "chargingProfileKind": 10, "recurrencyKind": 10}


# Profiles.


def _may_be_relative(profile: Profile) -> bool:
    # K01.FR.38.
    return profile.purpose != ChargingProfilePurpose.STATION_MAX


SPELLING = Spelling(charging.setting, _may_be_relative)


def set_profile(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    """Set a profile as the station takes it; one that checks it against the schema of 1.6 can be given none (V2-02)."""
    profile = charging.read_profile(request["chargingProfile"])
    answer = yield from SPELLING.set(request, request["evseId"], profile, talk)
    if isinstance(answer, CallFailed) and MEMBER_OF_16 in answer.error["description"]:
        talk.cannot(LimitationKind.ACTION, charging.SETTING, f"it expects that of OCPP 1.6: {answer}")
    return conclude(answer)


def keep_profile(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Believe in a profile that was taken, and in what the station can do by that."""
    if answer["status"] != "Accepted":
        return []
    profile = charging.read_profile(request["chargingProfile"])
    value = ProfileInstalled(
        context.station, request["evseId"], profile, context.received_at, context.command_id, stands_beside=True
    )
    able = [limitation(context, *each) for each in shown_by(profile, context.received_at)]
    return [(installedprofiles.install, value), *able]


def forget_profiles(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Believe no longer in what was cleared, nor in what the station says that it does not have (K10.FR.01)."""
    if answer["status"] not in ("Accepted", "Unknown"):
        return []
    criteria = request.get("chargingProfileCriteria", {})
    cleared = ProfilesCleared(
        context.station,
        chargingprofile_id=request.get("chargingProfileId"),
        evse_id=criteria.get("evseId"),
        purpose=criteria.get("chargingProfilePurpose"),
        stack_level=criteria.get("stackLevel"),
    )
    return [(installedprofiles.clear, cleared)]


def keep_start(request: Payload, context: Context) -> list[Work]:
    """Keep the profile of an accepted remote start until its transaction begins (K05)."""
    if "chargingProfile" not in request:
        return []
    expected = ProfileExpected(
        context.station,
        request.get("evseId", 0),
        token(request["idToken"]),
        charging.read_profile(request["chargingProfile"]),
        context.received_at,
        context.command_id,
        remote_start_id=request["remoteStartId"],
    )
    return [(installedprofiles.expect, expected)]


def keep_schedule(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Keep the schedule that a station tells (K08); what it leaves out is unknown (SC-03)."""
    if answer["status"] != "Accepted":
        return []
    schedule = answer.get("schedule")
    if schedule is None:
        context.note("schedule-missing", f"EVSE {request['evseId']}")
        schedule = {}
    start = context.time(schedule.get("scheduleStart"), "scheduleStart")
    unit = schedule.get("chargingRateUnit", request.get("chargingRateUnit", ""))
    report = CompositeReport(
        station=context.station,
        evse_id=request["evseId"],
        unit=unit if unit in ChargingRateUnit.values else "",
        at=context.received_at,
        schedule_start=start.at if start.reliable else None,
        duration=whole(schedule.get("duration")),
        periods=list(schedules.periods(schedule.get("chargingSchedulePeriod", ()))),
    )
    return [(compositeschedules.record, report)]


# What stations say that they have.


def keep_report(request: Payload, answer: Payload, context: Context) -> Sequence[Work]:
    """Await the profiles that were asked for; where the station has none that match, believe in none."""
    work = reports.keep_answer(request, answer, context)
    if answer["status"] == "NoProfiles":
        listed = ProfilesListed(context.station, profile_criteria(request), context.received_at)
        work.append((installedprofiles.conclude, listed))
    return work


def profiles_told(payload: Payload, context: Context) -> ReportPart:
    told = ProfilesTold(
        context.station,
        number(payload, "evseId"),
        _source(payload["chargingLimitSource"]),
        [charging.read_profile(each) for each in payload["chargingProfile"] if _can_be_kept(each, context)],
        context.received_at,
    )
    return reports.part(payload, ReportKind.CHARGING_PROFILES, told, context)


def _can_be_kept(profile: Payload, context: Context) -> bool:
    if abs(profile["id"]) > MAX_NUMBER or not 0 <= profile["stackLevel"] <= MAX_NUMBER:
        context.note("unreadable-member", f"id {profile['id']}, stackLevel {profile['stackLevel']}")
        return False
    for member, longest in LONGEST_WORDS.items():
        if len(word := profile.get(member, "")) > longest:
            context.note("unreadable-member", f"{member} {word}")
            return False
    return True


def _source(word: str) -> str:
    return word if word in ChargingLimitSource.values else ChargingLimitSource.OTHER.value


# Limits that others set.


def limit(payload: Payload, context: Context) -> ChargingLimitReport:
    told = payload["chargingLimit"]
    return ChargingLimitReport(
        station=context.station,
        evse_id=number(payload, "evseId"),
        source=_source(told["chargingLimitSource"]),
        at=context.received_at,
        is_grid_critical=told.get("isGridCritical"),
        schedules=[_schedule(each) for each in payload.get("chargingSchedule", ())],
    )


def limit_cleared(payload: Payload, context: Context) -> ChargingLimitCleared:
    evse_id = number(payload, "evseId") if "evseId" in payload else None
    return ChargingLimitCleared(context.station, _source(payload["chargingLimitSource"]), evse_id)


def _schedule(sent: Payload) -> Schedule:
    read: Any = from_wire(sent)
    read["charging_schedule_period"] = list(schedules.periods(sent["chargingSchedulePeriod"]))
    return read  # type: ignore[no-any-return]


# What vehicles need.


def needs(payload: Payload, context: Context) -> NeedsReport:
    told = payload["chargingNeeds"]
    parameters = told.get("acChargingParameters", told.get("dcChargingParameters", {}))
    return NeedsReport(
        context.station,
        number(payload, "evseId"),
        Needs(
            requested_energy_transfer=told["requestedEnergyTransfer"][:MAX_WORD],
            departure_time=moment(told.get("departureTime")),
            max_schedule_tuples=number(payload, "maxScheduleTuples") or None,
            parameters=from_wire(parameters),
        ),
        context.received_at,
    )


def ev_schedule(payload: Payload, context: Context) -> EVScheduleReport:
    return EVScheduleReport(
        context.station,
        number(payload, "evseId"),
        context.time(payload.get("timeBase"), "timeBase").at,
        _schedule(payload["chargingSchedule"]),
        context.received_at,
    )


def negotiated(result: Negotiated, context: Context) -> Payload:
    info = {"statusInfo": {"reasonCode": result.reason}} if result.reason else {}
    return {"status": result.status, **info}


def set_negotiated(result: Negotiated, context: Context) -> Sequence[Step]:
    """Set the profile that was made for a vehicle (K15.FR.07, K16, K17.FR.07)."""
    placed = result.profile
    return [Step(charging.SETTING, charging.setting(placed.evse_id, placed.profile))] if placed else []


HANDLERS: Mapping[str, Handler] = {
    "ClearedChargingLimit": Handler(limit_cleared, charginglimits.clear, nothing, records=True),
    "NotifyChargingLimit": Handler(limit, charginglimits.record, nothing, records=True),
    "NotifyEVChargingNeeds": Handler(needs, evcharging.negotiate, negotiated, records=True, then=set_negotiated),
    "NotifyEVChargingSchedule": Handler(
        ev_schedule, evcharging.judge, negotiated, records=True, optional=("timeBase",), then=set_negotiated
    ),
    "ReportChargingProfiles": Handler(profiles_told, take, nothing, records=True),
}
EFFECTS: Mapping[str, Effect] = {
    "ClearChargingProfile": forget_profiles,
    "GetChargingProfiles": keep_report,
    "GetCompositeSchedule": keep_schedule,
    "SetChargingProfile": keep_profile,
}
SCRIPTS: Mapping[str, Script] = {
    "SetChargingProfile": set_profile,
}
DISPENSABLE: Mapping[str, Sequence[str]] = {
    "GetCompositeSchedule": ("chargingRateUnit", "chargingSchedulePeriod", "duration", "evseId", "scheduleStart"),
}
