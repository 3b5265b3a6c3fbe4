"""Charging profiles: how OCPP 2.x and REST spell them, and the requests that are about them (block K)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chargers import representation
from chargers.changes import Changes
from chargers.choices import (
    ChargingLimitSource,
    ChargingProfileKind,
    ChargingProfilePurpose,
    LimitationKind,
    OcppVersion,
)
from chargers.models import ChargePoint, ChargingNeeds, ChargingProfile, Transaction
from chargers.profiles import Found, Problems
from chargers.services import installedprofiles
from chargers.values import Profile
from tasks import charging, reports, schemas
from tasks.action import Draft, Need, Payload
from tasks.models import Command, ReportKind
from tasks.schemas import InvalidBody, from_wire, moment
from tasks.v2.names import station_id

# Who may have set what a station has.
SOURCES = ChargingLimitSource.values
SETTING = "SetChargingProfile"
EXTERNAL = ChargingProfilePurpose.STATION_EXTERNAL.value


# On the wire.


def read_profile(sent: Payload) -> Profile:
    """Read a ChargingProfile that fits its schema."""
    return Profile(
        chargingprofile_id=sent["id"],
        stack_level=sent["stackLevel"],
        purpose=sent["chargingProfilePurpose"],
        kind=sent["chargingProfileKind"],
        recurrency_kind=sent.get("recurrencyKind", ""),
        valid_from=moment(sent.get("validFrom")),
        valid_to=moment(sent.get("validTo")),
        transaction_id=sent.get("transactionId"),
        schedules=[from_wire(each) for each in sent["chargingSchedule"]],
    )


def write_profile(profile: Profile) -> Payload:
    """Spell a profile, members in the order of the schema and times in UTC; schedules without an id are numbered.

    Raises InvalidBody where its schema forbids what the domain does not look into, as in a sales tariff.
    """
    return setting(0, profile)["chargingProfile"]  # type: ignore[no-any-return]


def setting(evse_id: int, profile: Profile) -> Payload:
    """Spell the SetChargingProfile that sets a profile at an EVSE. Raises InvalidBody as `write_profile` does."""
    members: Payload = {
        "id": profile.chargingprofile_id,
        "stack_level": profile.stack_level,
        "charging_profile_purpose": str(profile.purpose),
        "charging_profile_kind": str(profile.kind),
        "recurrency_kind": str(profile.recurrency_kind) or None,
        "valid_from": _spelt(profile.valid_from),
        "valid_to": _spelt(profile.valid_to),
        "charging_schedule": _numbered(profile),
        "transaction_id": profile.transaction_id,
    }
    return schemas.to_wire(OcppVersion.V201, SETTING, {"evse_id": evse_id, "charging_profile": _told(members)})


def _numbered(profile: Profile) -> list[Any]:
    taken = {each.get("id") for each in profile.schedules}
    free = (number for number in range(1, 2 * len(profile.schedules) + 1) if number not in taken)
    return [each if each.get("id") is not None else {**each, "id": next(free)} for each in profile.schedules]


def _told(value: Any) -> Any:
    """Leave out what is null, which no schema of OCPP knows."""
    if isinstance(value, Mapping):
        return {name: _told(each) for name, each in value.items() if each is not None}
    return [_told(each) for each in value] if isinstance(value, list) else value


def _spelt(at: datetime | None) -> str | None:
    return representation.time(at and at.replace(microsecond=0))


# In REST.

# How the resource of profiles in store spells what the domain calls otherwise.
STORED: Mapping[str, str] = {
    "kind": "chargingprofile_kind",
    "purpose": "chargingprofile_purpose",
    "schedules": "charging_schedule",
}
# How the request of a command spells it, inside the profile.
NESTED: Mapping[str, str] = {
    "chargingprofile_id": "id",
    "kind": "charging_profile_kind",
    "purpose": "charging_profile_purpose",
    "schedules": "charging_schedule",
}


def represent(row: ChargingProfile) -> Payload:
    """Represent a profile in store, with all that 2.x knows of it."""
    return {
        "chargingprofile_id": row.chargingprofile_id,
        "stack_level": row.stack_level,
        "chargingprofile_purpose": row.purpose,
        "chargingprofile_kind": row.kind,
        "recurrency_kind": row.recurrency_kind or None,
        "valid_from": representation.time(row.valid_from),
        "valid_to": representation.time(row.valid_to),
        "transaction_id": row.transaction_id,
        "charging_schedule": [representation.schedule(each) for each in row.schedules],
    }


def problems(profile: Profile, found: Problems) -> Problems:
    """Name the fields of problems as the resource does, and add what only a schema knows."""
    if found:
        return {_in_store(field): reasons for field, reasons in found.items()}
    try:
        # Which transaction it is for is said when it is sent.
        write_profile(replace(profile, transaction_id=None))
    except InvalidBody as error:
        return {field.removeprefix("charging_profile."): reasons for field, reasons in error.fields.items()}
    return {}


def _in_store(field: str) -> str:
    return charging.renamed(field, STORED)


# In requests.


def _unsayable(profile: Profile, draft: Draft) -> Found:
    """Say what the rules of 2.x forbid a profile that 1.6 leaves open."""
    if profile.purpose == ChargingProfilePurpose.STATION_MAX and profile.kind == ChargingProfileKind.RELATIVE:
        yield "kind", "A ChargingStationMaxProfile belongs to no transaction, so it is not Relative (K01.FR.38)."
    if profile.kind == ChargingProfileKind.ABSOLUTE:
        for index, schedule in enumerate(profile.schedules):
            if schedule.get("start_schedule") is None:
                yield f"schedules.{index}.start_schedule", "An Absolute profile says when it begins (K01.FR.40)."
    if len(profile.schedules) > 1 and not draft.force and not _can_choose(profile, draft.station):
        yield "schedules", "Several are for a vehicle that has told its needs, and here none has (K01.FR.34)."


def _can_choose(profile: Profile, station: ChargePoint) -> bool:
    transaction = Transaction.objects.filter(chargepoint=station, uuid=str(profile.transaction_id))
    return ChargingNeeds.objects.filter(transaction__in=transaction).exists()


WORDS_2 = charging.Words(
    number="id",
    evse="evse_id",
    inside=lambda field: charging.renamed(field, NESTED),
    in_store=_in_store,
    read=read_profile,
    transaction=lambda station, told: station_id(station, str(told)),
    unsayable=_unsayable,
    exclusive=True,
)


def prepare_setting(draft: Draft) -> Payload:
    """Complete and check a SetChargingProfile, whose profile is told or is one in store."""
    evse_id = draft.payload["evseId"]
    profile = charging.to_be_set(draft, "chargingProfile", WORDS_2, evse_id)
    return setting(evse_id, profile)


def needs_of_setting(payload: Payload) -> Sequence[Need]:
    return [(LimitationKind.PROFILE_PURPOSE, payload["chargingProfile"]["chargingProfilePurpose"])]


def with_profile(draft: Draft) -> Payload:
    """Return a RequestStartTransaction with its profile completed and checked, if it has one (K05)."""
    profile = charging.to_be_started_with(draft, "chargingProfile", WORDS_2, draft.payload.get("evseId", 0))
    return draft.payload if profile is None else {**draft.payload, "chargingProfile": write_profile(profile)}


def start_unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    """Forget what waits for starts that will not come."""
    installedprofiles.forget_expected(charging.hopeless(commands), changes)


def prepare_clearing(draft: Draft) -> Payload:
    """Check a ClearChargingProfile: one by its id, else at least one criterion (K10.FR.02, K10.FR.06)."""
    criteria = draft.payload.get("chargingProfileCriteria", {})
    if "chargingProfileId" in draft.payload:
        if criteria:
            raise InvalidBody({"charging_profile_criteria": ["Stands in place of charging_profile_id, told too."]})
    elif not criteria:
        raise InvalidBody({"charging_profile_criteria": ["Says at least one thing, or charging_profile_id does."]})
    _check_place(criteria, "charging_profile_criteria.evse_id")
    if criteria.get("chargingProfilePurpose") == EXTERNAL:
        reason = "External constraints are cleared by others than the platform."
        raise InvalidBody({"charging_profile_criteria.charging_profile_purpose": [reason]})
    return draft.payload


def prepare_composite(draft: Draft) -> Payload:
    """Check a GetCompositeSchedule."""
    _check_place(draft.payload, "evse_id")
    return draft.payload


def _check_place(told: Payload, field: str) -> None:
    if told.get("evseId", 0) < 0:
        raise InvalidBody({field: ["Is 0, the station as a whole, or more."]})


def prepare_report(draft: Draft) -> Payload:
    """Complete and check a GetChargingProfiles: by their ids, else by criteria; without either all are asked for.

    All are those of any source, for a station must be told something (K09.FR.03).
    """
    _check_place(draft.payload, "evse_id")
    criteria = draft.payload.get("chargingProfile", {})
    if "chargingProfileId" in criteria and len(criteria) > 1:
        reason = "Name the profile, so nothing else may be told beside them."
        raise InvalidBody({"charging_profile.charging_profile_id": [reason]})
    payload = {**draft.payload, "chargingProfile": criteria or {"chargingLimitSource": SOURCES}}
    return reports.request(replace(draft, payload=payload), ReportKind.CHARGING_PROFILES)
