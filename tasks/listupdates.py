"""What requests that change local lists have in common, whatever the version."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db.transaction import atomic

from chargers import representation
from chargers.changes import Changes
from chargers.models import ChargePoint, LocalList
from chargers.models.locallist import MAX_VERSION
from chargers.services import locallists
from chargers.values import ListRefusal
from tasks.action import Draft, Payload
from tasks.errors import ListUpdateRunning
from tasks.models import OPEN, Command
from tasks.schemas import InvalidBody, moment, snake


def begin(draft: Draft, version: str, token: str, info: str) -> LocalList:
    """Check that what is sent can be a list, and claim the station's; its next version is free then.

    The names are those of the members of a version: ``listVersion``, ``idTag``, ``idTagInfo``.
    Raises InvalidBody, or ListUpdateRunning while the station is sent another change.
    """
    asked = draft.payload
    problems: dict[str, list[str]] = {}
    if not 0 < asked.get(version, 1) <= MAX_VERSION:
        problems[snake(version)] = ["must be above 0: -1 and 0 mean no list and an empty one"]
    seen: set[str] = set()
    for index, each in enumerate(asked.get("localAuthorizationList", ())):
        key = _text(each[token]).casefold()
        if key in seen:
            problems[f"local_authorization_list.{index}.{snake(token)}"] = ["is there more than once"]
        seen.add(key)
        if asked["updateType"] == "Full" and info not in each:
            problems[f"local_authorization_list.{index}.{snake(info)}"] = ["is needed in a full update"]
    if problems:
        raise InvalidBody(problems)
    given = [_id(each[token]) for each in asked.get("localAuthorizationList", ()) if info in each]
    with atomic():
        locallists.allow(claim(draft.station), given)
        return locallists.begin(draft.station, draft.now)


def _id(token: str | Mapping[str, str]) -> str:
    return token if isinstance(token, str) else token["idToken"]


def _text(token: str | Mapping[str, str]) -> str:
    # One text of two types names two tokens in 2.x.
    return token if isinstance(token, str) else f"{token['type']} {token['idToken']}"


def claim(station: ChargePoint) -> LocalList:
    """Return the station's list, locked. Raises ListUpdateRunning while the station is sent a change of it."""
    # Locked: of two who want this at once, the second one finds the command of the first.
    row = locallists.row_of(station)
    if Command.objects.filter(chargepoint=station, action="SendLocalList", status__in=OPEN).exists():
        raise ListUpdateRunning(f"{station} is being sent its local list")
    return row


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    locallists.refuse(
        [
            ListRefusal(command.chargepoint_id, command.error["code"] if command.error else command.status)
            for command in commands
            if command.chargepoint_id
        ],
        changes,
    )


def told(members: Mapping[str, object]) -> Payload:
    """Leave out what is not told."""
    return {name: each for name, each in members.items() if each is not None}


def whole_seconds(text: str) -> str:
    """Spell a time as entries do."""
    at = moment(text)
    return representation.time(at and at.replace(microsecond=0)) or text
