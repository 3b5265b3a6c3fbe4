"""Charging profiles: how OCPP 1.6 and REST spell them, and the requests that carry one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chargers import representation
from chargers.changes import Changes
from chargers.choices import ChargingProfilePurpose, LimitationKind
from chargers.models import ChargePoint, ChargingProfile
from chargers.profiles import Found, Problems
from chargers.services import installedprofiles, limitations
from chargers.values import Profile, ProfileExpected, Schedule
from tasks import charging
from tasks.action import Draft, Need, Payload
from tasks.models import Command, CommandStatus
from tasks.schemas import from_wire, in_utc, moment, snake
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
        "chargingschedule_period": [
            {name: each[name] for name in map(snake, PERIOD)} for each in schedule["charging_schedule_period"]
        ],
        "min_charging_rate": schedule["min_charging_rate"],
        "transaction_id": row.transaction_id,
    }


def flat(problems: Problems) -> Problems:
    """Name the fields of problems as the flat resource does."""
    return {_flat(field): reasons for field, reasons in problems.items()}


def _flat(field: str) -> str:
    return charging.renamed(field.removeprefix("schedules.0."), FLAT)


def _unsayable(profile: Profile, draft: Draft) -> Found:
    """Say what a profile holds that 1.6 has no words for."""
    if len(profile.schedules) > 1:
        yield "schedules", "OCPP 1.6 knows one schedule."
    for name in ("id", "sales_tariff"):
        if profile.schedules[0].get(name) is not None:
            yield f"schedules.0.{name}", "OCPP 1.6 does not know it."
    for index, period in enumerate(profile.schedules[0].get("charging_schedule_period", ())):
        if period.get("phase_to_use") is not None:
            yield f"schedules.0.charging_schedule_period.{index}.phase_to_use", "OCPP 1.6 does not know it."


# In requests.

WORDS_16 = charging.Words(
    number="chargingProfileId",
    evse="connector_id",
    inside=lambda field: charging.renamed(field.replace("schedules.0.", "charging_schedule.", 1), NESTED),
    in_store=_flat,
    read=read_profile,
    transaction=station_number,
    unsayable=_unsayable,
)


def prepare_setting(draft: Draft) -> Payload:
    """Complete and check a SetChargingProfile, whose profile is told or is one in store."""
    evse_id = draft.payload["connectorId"]
    profile = charging.to_be_set(draft, "csChargingProfiles", WORDS_16, evse_id)
    return {"connectorId": evse_id, "csChargingProfiles": write_profile(profile)}


def prepare_start(draft: Draft) -> Payload:
    """Complete and check a RemoteStartTransaction.

    A station that starts nothing with a profile gets it once the transaction has begun (SC-07).
    """
    evse_id = draft.payload.get("connectorId", 0)
    profile = charging.to_be_started_with(draft, "chargingProfile", WORDS_16, evse_id)
    if profile is None:
        return draft.payload
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
    """Forget what waits for starts that will not come."""
    installedprofiles.forget_expected(charging.hopeless(commands), changes)


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
