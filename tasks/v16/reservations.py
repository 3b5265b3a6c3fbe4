"""Requests for reservations."""

from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.services import idtags, reservations
from tasks.action import Draft, Payload
from tasks.models import Command
from tasks.schemas import NO_MOMENT, InvalidBody, moment


def prepare(draft: Draft) -> Payload:
    """Complete a request for a reservation and note it, so that its answer finds it."""
    asked = draft.payload
    expiry = moment(asked["expiryDate"])
    problems = {}
    if expiry is None:
        problems["expiry_date"] = [NO_MOMENT]
    elif expiry <= draft.now:
        problems["expiry_date"] = ["is over already"]
    if not 0 <= asked["connectorId"] <= reservations.MAX_RESERVATION_ID:
        problems["connector_id"] = ["is no connector: they count from 1, and 0 is any of them"]
    if not 0 < asked.get("reservationId", 1) <= reservations.MAX_RESERVATION_ID:
        # Stations say 0 where they mean none (TX-16).
        problems["reservation_id"] = ["must be a number from 1 to 2147483647"]
    if problems or expiry is None:
        raise InvalidBody(problems)
    tag = idtags.find([asked["idTag"]])[asked["idTag"]]
    parent = asked.get("parentIdTag", tag.parent_id if tag else None) or ""
    row = reservations.request(
        station=draft.station,
        number=asked.get("reservationId"),
        evse_id=asked["connectorId"],
        id_tag=tag.pk if tag else asked["idTag"],
        parent=parent,
        expiry_date=expiry,
        command_id=draft.command_id,
        now=draft.now,
        changes=draft.changes,
    )
    sent = {**asked, "reservationId": row.reservation_id}
    # A longer one cannot be told.
    return {**sent, "parentIdTag": parent} if 0 < len(parent) <= idtags.TAG_LENGTH_16 else sent


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    reasons = {command.pk: command.error["code"] if command.error else command.status for command in commands}
    reservations.fail(reasons, now=now, changes=changes)
