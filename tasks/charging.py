"""Requests that carry a charging profile: what every version does about them before they are sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chargers.errors import UnknownChargingProfile
from chargers.models import ChargePoint, ChargingProfile
from chargers.profiles import Found, Problems
from chargers.services import chargingprofiles, installedprofiles, limitations
from chargers.values import Facts, Profile
from tasks.action import Draft, Payload
from tasks.models import Command, CommandStatus
from tasks.schemas import NO_MOMENT, InvalidBody, moment, snake

STORED_PROFILE: Payload = {"type": "integer", "description": "a charging profile in store, in place of one told here"}
ITS_TRANSACTION: Payload = {"type": "integer", "description": "the transaction that a TxProfile is for"}


@dataclass(frozen=True, slots=True)
class Words:
    """How a version spells a profile and the requests that carry one.

    `number` is the member with a profile's id, `evse` the field with its EVSE. `inside` and
    `in_store` name the domain's fields as REST does, in a request and of a profile in store.
    `transaction` names a transaction as its station does, and `unsayable` tells what this version
    cannot say, or not to this station. `exclusive` says that a station holds no two profiles of one purpose, level and
    place that are valid at the same time (2.0.1 K01.FR.06, K01.FR.39).
    """

    number: str
    evse: str
    inside: Callable[[str], str]
    in_store: Callable[[str], str]
    read: Callable[[Payload], Profile]
    transaction: Callable[[ChargePoint, Any], int | str]
    unsayable: Callable[[Profile, Draft], Found]
    exclusive: bool = False


def to_be_set(draft: Draft, member: str, words: Words, evse_id: int) -> Profile:
    """Return the profile that a SetChargingProfile is about, completed and checked. Raises InvalidBody."""
    profile = _asked_for(draft, member, words)
    if profile is None:
        raise InvalidBody({snake(member): ["Is required, or charging_profile_id of one in store."]})
    if words.exclusive and words.number not in draft.payload.get(member, {words.number: None}):
        # Without an id of its own it takes the place of the one that has its level.
        replaced = installedprofiles.in_the_way(profile, draft.station.pk, evse_id)
        profile = replace(profile, chargingprofile_id=replaced.chargingprofile_id) if replaced else profile
    problems = chargingprofiles.problems_of_setting(
        profile,
        station=draft.station.pk,
        evse_id=evse_id,
        facts=_facts(draft),
        besides=words.unsayable(profile, draft),
        exclusive=words.exclusive,
    )
    refuse(problems, draft, member, words)
    return profile


def to_be_started_with(draft: Draft, member: str, words: Words, evse_id: int) -> Profile | None:
    """Return the profile that goes along with a remote start, completed and checked; `evse_id` is 0 for any.

    Raises InvalidBody.
    """
    profile = _asked_for(draft, member, words)
    if profile is None:
        return None
    problems = chargingprofiles.problems_of_starting(
        profile, station=draft.station.pk, evse_id=evse_id, facts=_facts(draft), besides=words.unsayable(profile, draft)
    )
    refuse(problems, draft, member, words)
    return profile


def _asked_for(draft: Draft, member: str, words: Words) -> Profile | None:
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
        profile = words.read({words.number: chargingprofiles.choose_id(draft.station.pk), **told})
    else:
        return None
    return _of_transaction(profile, draft, told, words)


def _of_transaction(profile: Profile, draft: Draft, told: Payload | None, words: Words) -> Profile:
    """Name the transaction that is told beside a profile, as its station does (TX-18)."""
    beside = draft.extras.get("transaction_id")
    if beside is not None and told is not None and "transactionId" in told:
        raise InvalidBody({"transaction_id": ["Stands in the profile too."]})
    number = profile.transaction_id if beside is None else beside
    return profile if number is None else replace(profile, transaction_id=words.transaction(draft.station, number))


def _facts(draft: Draft) -> Facts | None:
    """Return what is known of the station, nothing where the operator does not want it heeded."""
    return None if draft.force else limitations.facts([draft.station.pk], draft.changes)[0]


def refuse(problems: Problems, draft: Draft, member: str, words: Words) -> None:
    """Raise InvalidBody for problems, if any, with their fields named as the request does.

    What is wrong with a profile in store is wrong with its id.
    """
    if not problems:
        return
    told: dict[str, list[str]] = {}
    for field, reasons in problems.items():
        if field == "evse_id":
            name = words.evse
        elif field == "transaction_id" and "transaction_id" in draft.extras:
            name = field
        elif member in draft.payload:
            name = f"{snake(member)}.{words.inside(field)}"
        else:
            name = "charging_profile_id"
            reasons = [f"{words.in_store(field)}: {reason}" for reason in reasons]
        told.setdefault(name, []).extend(reasons)
    raise InvalidBody(told)


def renamed(field: str, names: Mapping[str, str]) -> str:
    """Rename the first part of a field's path."""
    first, dot, rest = field.partition(".")
    return names.get(first, first) + dot + rest


def hopeless(commands: Sequence[Command]) -> list[Any]:
    """Name the remote starts that stations never heard of, or answered with an error; others may begin yet."""
    return [each.pk for each in commands if each.sent_at is None or each.status == CommandStatus.ERROR]
