"""Charging profiles: how OCPP 1.6 and REST spell them, and the requests that carry one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chargers import representation
from chargers.changes import Changes
from chargers.choices import ChargingProfilePurpose, LimitationKind
from chargers.errors import UnknownChargingProfile
from chargers.models import ChargePoint, ChargingProfile
from chargers.profiles import Problems
from chargers.services import chargingprofiles, installedprofiles, limitations
from chargers.values import Facts, Profile, ProfileExpected, Schedule
from tasks.action import Draft, Need, Payload
from tasks.models import Command, CommandStatus
from tasks.schemas import NO_MOMENT, InvalidBody, from_wire, in_utc, moment, snake
from tasks.v16.transactions import station_number

# The words of 1.6 for the purposes it knows (section 7.10).
PURPOSES: Mapping[str, ChargingProfilePurpose] = {
    "ChargePointMaxProfile": ChargingProfilePurpose.STATION_MAX,
    "TxDefaultProfile": ChargingProfilePurpose.TX_DEFAULT,
    "TxProfile": ChargingProfilePurpose.TX,
}
WORDS: Mapping[str, str] = {purpose.value: word for word, purpose in PURPOSES.items()}

SCHEDULE = ("duration", "startSchedule", "chargingRateUnit", "chargingSchedulePeriod", "minChargingRate")
PERIOD = ("startPeriod", "limit", "numberPhases")


# On the wire.


def read_profile(sent: Payload) -> Profile:
    """Read a ChargingProfile that fits its schema."""
    return Profile(
        chargingprofile_id=sent["chargingProfileId"],
        stack_level=sent["stackLevel"],
        purpose=PURPOSES[sent["chargingProfilePurpose"]].value,
        kind=sent["chargingProfileKind"],
        recurrency_kind=sent.get("recurrencyKind", ""),
        valid_from=moment(sent.get("validFrom")),
        valid_to=moment(sent.get("validTo")),
        transaction_id=sent.get("transactionId"),
        schedules=[from_wire(sent["chargingSchedule"])],
    )


def write_profile(profile: Profile) -> Payload:
    """Spell a profile, members in the order of the schema and times in UTC."""
    members = {
        "chargingProfileId": profile.chargingprofile_id,
        "transactionId": profile.transaction_id,
        "stackLevel": profile.stack_level,
        "chargingProfilePurpose": WORDS[profile.purpose],
        "chargingProfileKind": str(profile.kind),
        "recurrencyKind": str(profile.recurrency_kind) or None,
        "validFrom": _spelt(profile.valid_from),
        "validTo": _spelt(profile.valid_to),
        "chargingSchedule": _write_schedule(profile.schedules[0]),
    }
    return {name: value for name, value in members.items() if value is not None}


def _spelt(at: datetime | None) -> str | None:
    return representation.time(at and at.replace(microsecond=0))


def _write_schedule(schedule: Schedule) -> Payload:
    written = _pick(schedule, SCHEDULE)
    written["chargingSchedulePeriod"] = [_pick(each, PERIOD) for each in written["chargingSchedulePeriod"]]
    if "startSchedule" in written:
        written["startSchedule"] = in_utc(written["startSchedule"])
    return written


def _pick(members: Mapping[str, Any], names: Sequence[str]) -> Payload:
    return {name: members[snake(name)] for name in names if members.get(snake(name)) is not None}


# In REST.

# How the flat resource spells what the domain calls otherwise.
FLAT: Mapping[str, str] = {
    "charging_schedule_period": "chargingschedule_period",
    "kind": "chargingprofile_kind",
    "purpose": "chargingprofile_purpose",
}
# How the request of a command spells it, inside the profile.
NESTED: Mapping[str, str] = {
    "chargingprofile_id": "charging_profile_id",
    "kind": "charging_profile_kind",
    "purpose": "charging_profile_purpose",
}


def represent(row: ChargingProfile) -> Payload:
    """Represent a profile in store the flat way of 1.6."""
    schedule = representation.schedule(row.schedules[0])
    start = schedule["start_schedule"]
    return {
        "chargingprofile_id": row.chargingprofile_id,
        "stack_level": row.stack_level,
        "chargingprofile_purpose": WORDS.get(row.purpose, row.purpose),
        "chargingprofile_kind": row.kind,
        "recurrency_kind": row.recurrency_kind or None,
        "valid_from": representation.time(row.valid_from),
        "valid_to": representation.time(row.valid_to),
        "duration": schedule["duration"],
        "start_schedule": start and in_utc(start),
        "charging_rate_unit": schedule["charging_rate_unit"],
        "chargingschedule_period": schedule["charging_schedule_period"],
        "min_charging_rate": schedule["min_charging_rate"],
        "transaction_id": row.transaction_id,
    }


def flat(problems: Problems) -> Problems:
    """Name the fields of problems as the flat resource does."""
    return {_renamed(field.removeprefix("schedules.0."), FLAT): reasons for field, reasons in problems.items()}


def _renamed(field: str, names: Mapping[str, str]) -> str:
    first, dot, rest = field.partition(".")
    return names.get(first, first) + dot + rest


# In requests.


def prepare_setting(draft: Draft) -> Payload:
    """Complete and check a SetChargingProfile, whose profile is told or is one in store."""
    profile = _asked_for(draft, "csChargingProfiles")
    if profile is None:
        raise InvalidBody({"cs_charging_profiles": ["Is required, or charging_profile_id of one in store."]})
    evse_id = draft.payload["connectorId"]
    problems = chargingprofiles.problems_of_setting(
        profile, station=draft.station.pk, evse_id=evse_id, facts=_facts(draft)
    )
    if problems:
        raise InvalidBody(_told(problems, draft, "csChargingProfiles"))
    return {"connectorId": evse_id, "csChargingProfiles": write_profile(profile)}


def prepare_start(draft: Draft) -> Payload:
    """Complete and check a RemoteStartTransaction.

    A station that starts nothing with a profile gets it once the transaction has begun (SC-07).
    """
    evse_id = draft.payload.get("connectorId", 0)
    profile = _asked_for(draft, "chargingProfile")
    if profile is None:
        return draft.payload
    problems = chargingprofiles.problems_of_starting(
        profile, station=draft.station.pk, evse_id=evse_id, facts=_facts(draft)
    )
    if problems:
        raise InvalidBody(_told(problems, draft, "chargingProfile"))
    payload = {**draft.payload, "chargingProfile": write_profile(profile)}
    if draft.force or not limitations.certain(draft.station.pk, [(LimitationKind.REMOTE_START_PROFILE, "")]):
        return payload
    del payload["chargingProfile"]
    expected = ProfileExpected(
        draft.station.pk, evse_id, payload["idTag"], profile, draft.now, draft.command_id, due=True
    )
    installedprofiles.expect([expected], draft.changes)
    return payload


def start_unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    """Forget what waits for starts that stations never heard of, or answered with an error; others may begin yet."""
    hopeless = [each.pk for each in commands if each.sent_at is None or each.status == CommandStatus.ERROR]
    installedprofiles.forget_expected(hopeless, changes)


def _asked_for(draft: Draft, member: str) -> Profile | None:
    """Return the profile that a request tells, or that it names in store; None where it does neither.

    Its id is chosen where it has none. Raises UnknownChargingProfile, or InvalidBody.
    """
    told, stored = draft.payload.get(member), draft.extras.get("charging_profile_id")
    if told is not None and stored is not None:
        raise InvalidBody({"charging_profile_id": [f"Stands in place of {snake(member)}, which is there too."]})
    if stored is not None:
        row = ChargingProfile.objects.filter(pk=stored).first()
        if row is None:
            raise UnknownChargingProfile(stored)
        profile = row.profile()
    elif told is not None:
        if odd := [name for name in ("validFrom", "validTo") if name in told and moment(told[name]) is None]:
            raise InvalidBody({f"{snake(member)}.{snake(name)}": [NO_MOMENT] for name in odd})
        profile = read_profile({"chargingProfileId": chargingprofiles.choose_id(draft.station.pk), **told})
    else:
        return None
    return _of_transaction(profile, draft, told)


def _of_transaction(profile: Profile, draft: Draft, told: Payload | None) -> Profile:
    """Name the transaction that is told beside a profile, as its station does (TX-18)."""
    beside = draft.extras.get("transaction_id")
    if beside is not None and told is not None and "transactionId" in told:
        raise InvalidBody({"transaction_id": ["Stands in the profile too."]})
    number = profile.transaction_id if beside is None else beside
    return profile if number is None else replace(profile, transaction_id=station_number(draft.station, number))


def _facts(draft: Draft) -> Facts | None:
    """Return what is known of the station, nothing where the operator does not want it heeded."""
    return None if draft.force else limitations.facts([draft.station.pk], draft.changes)[0]


def _told(problems: Problems, draft: Draft, member: str) -> Problems:
    """Name the fields of problems as the request does; what is wrong with one in store is wrong with its id."""
    told: dict[str, list[str]] = {}
    for field, reasons in problems.items():
        if field == "evse_id":
            name = "connector_id"
        elif field == "transaction_id" and "transaction_id" in draft.extras:
            name = field
        elif member in draft.payload:
            inner = field.replace("schedules.0.", "charging_schedule.", 1)
            name = f"{snake(member)}.{_renamed(inner, NESTED)}"
        else:
            name = "charging_profile_id"
            reasons = [f"{field}: {reason}" for field in flat({field: []}) for reason in reasons]
        told.setdefault(name, []).extend(reasons)
    return told


def needs_of_setting(payload: Payload) -> Sequence[Need]:
    return [(LimitationKind.PROFILE_PURPOSE, payload["csChargingProfiles"]["chargingProfilePurpose"])]


def purposes_taken(station: ChargePoint) -> str:
    """Tell the purposes of which a station has taken profiles (SC-01)."""
    taken = Command.objects.filter(
        chargepoint=station,
        action="SetChargingProfile",
        status=CommandStatus.ANSWERED,
        response__status="Accepted",
    )
    purposes = taken.order_by().values_list("payload__csChargingProfiles__chargingProfilePurpose", flat=True)
    words = ", ".join(sorted(set(purposes.distinct())))
    return f"It has taken profiles of the purpose {words}. " if words else ""
