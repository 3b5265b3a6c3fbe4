"""Smart charging: charging profiles, and the schedules they come to (section 3.13)."""

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime

from chargers import profiles
from chargers.choices import ChargingProfilePurpose, ChargingRateUnit, LimitationKind
from chargers.services import compositeschedules, installedprofiles
from chargers.values import (
    CompositeReport,
    Profile,
    ProfileExpected,
    ProfileInstalled,
    ProfilesCleared,
    Started,
)
from csms.intake import Work
from csms.versions import schedules
from csms.versions.base import CallFailed, Context, Effect, Payload, Script, Step, Talk, limitation
from csms.versions.charging import ACTION, Spelling, conclude, is_refused, is_tolerant, refusal, shown_by
from csms.versions.members import whole
from tasks.v16.charging import PURPOSES, read_profile, write_profile


def _request(connector: int, profile: Profile) -> Payload:
    return {"connectorId": connector, "csChargingProfiles": write_profile(profile)}


SPELLING = Spelling(_request, lambda profile: True)


# Setting a profile.


def set_profile(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    """Set a profile as the station takes it; what it refuses in every way tells of its purpose (SC-01)."""
    profile = read_profile(request["csChargingProfiles"])
    answer = yield from SPELLING.set(request, request["connectorId"], profile, talk)
    silent = isinstance(answer, CallFailed)
    if is_refused(answer) and is_tolerant() and not silent and profile.purpose != ChargingProfilePurpose.TX:
        # A TxProfile may be refused for its transaction (section 3.13.1).
        purpose = request["csChargingProfiles"]["chargingProfilePurpose"]
        talk.cannot(LimitationKind.PROFILE_PURPOSE, purpose, refusal(answer), certain=False)
    return conclude(answer)


def keep_profile(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Believe in a profile that was taken, and in what the station can do by that; NotSupported is for good (SC-01)."""
    word = request["csChargingProfiles"]["chargingProfilePurpose"]
    if answer["status"] == "NotSupported":
        return [limitation(context, LimitationKind.PROFILE_PURPOSE, word, "answered NotSupported", certain=True)]
    if answer["status"] != "Accepted":
        return []
    profile = read_profile(request["csChargingProfiles"])
    shown = [(LimitationKind.PROFILE_PURPOSE, word), *shown_by(profile, context.received_at)]
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
        talk.cannot(LimitationKind.REMOTE_START_PROFILE, "", f"{refusal(answer)}; started without one")
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
    return [Step(ACTION, _request(started.due.evse_id, started.due.profile))] if started.due else []


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
