"""Requests that change local lists, and how their entries are spelt on the wire (section 7.1)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db.transaction import atomic

from chargers import representation
from chargers.changes import Changes
from chargers.models import ChargePoint, LocalList
from chargers.models.locallist import MAX_VERSION
from chargers.services import locallists
from chargers.values import ListChange, ListEntry, ListRefusal
from tasks.action import Draft, Payload
from tasks.errors import ListUpdateRunning
from tasks.models import OPEN, Command
from tasks.schemas import InvalidBody, moment


def prepare(draft: Draft) -> Payload:
    """Check that what is sent can be a list, and give it the next version where it was told none."""
    asked = draft.payload
    problems: dict[str, list[str]] = {}
    if not 0 < asked.get("listVersion", 1) <= MAX_VERSION:
        problems["list_version"] = ["must be above 0: -1 and 0 mean no list and an empty one"]
    seen: set[str] = set()
    for index, each in enumerate(asked.get("localAuthorizationList", ())):
        if each["idTag"].casefold() in seen:
            problems[f"local_authorization_list.{index}.id_tag"] = ["is there more than once"]
        seen.add(each["idTag"].casefold())
        if asked["updateType"] == "Full" and "idTagInfo" not in each:
            problems[f"local_authorization_list.{index}.id_tag_info"] = ["is needed in a full update"]
    if problems:
        raise InvalidBody(problems)
    with atomic():
        claim(draft.station)
        row = locallists.begin(draft.station, draft.now)
    return {"listVersion": row.next_version, **asked}


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


def request(change: ListChange) -> Payload:
    """Make the request that brings a change about; what is taken out comes first, to make room."""
    entries = sorted(change.entries.items(), key=lambda each: each[1] is not None)
    sent = {"localAuthorizationList": [_data(*each) for each in entries]} if entries else {}
    return {"listVersion": change.version, **sent, "updateType": "Full" if change.full else "Differential"}


def _data(id_tag: str, entry: ListEntry | None) -> Payload:
    if entry is None:
        return {"idTag": id_tag}
    info = {"expiryDate": entry.get("expiry_date"), "parentIdTag": entry.get("parent"), "status": entry["status"]}
    return {"idTag": id_tag, "idTagInfo": {name: told for name, told in info.items() if told is not None}}


def entries(payload: Payload) -> Mapping[str, ListEntry | None]:
    """Read the entries of a request; None stands for a tag that it takes out."""
    return {each["idTag"]: _entry(each.get("idTagInfo")) for each in payload.get("localAuthorizationList", ())}


def _entry(info: Payload | None) -> ListEntry | None:
    if info is None:
        return None
    read: ListEntry = {"status": info["status"]}
    if "expiryDate" in info:
        read["expiry_date"] = _whole_seconds(info["expiryDate"])
    if "parentIdTag" in info:
        read["parent"] = info["parentIdTag"]
    return read


def _whole_seconds(text: str) -> str:
    at = moment(text)
    return representation.time(at and at.replace(microsecond=0)) or text
