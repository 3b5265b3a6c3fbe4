"""What requests for reservations have in common, whatever the version."""

from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.models import Reservation
from chargers.services import idtags, reservations
from tasks.action import Draft
from tasks.models import Command
from tasks.schemas import NO_MOMENT, InvalidBody, moment


def note(
    draft: Draft,
    *,
    expiry: tuple[str, str],
    number: tuple[str, int | None],
    evse_id: int,
    id_tag: str,
    parent: str | None,
    connector_type: str = "",
    problems: dict[str, list[str]],
) -> Reservation:
    """Note a reservation that is about to be asked for, so that its answer finds it.

    `expiry` and `number` come with the fields that they are told in; without a number one is chosen.
    A parent that is not told, None, is that of the tag. Raises InvalidBody with `problems` and its own.
    """
    found = dict(problems)
    until = moment(expiry[1])
    if until is None:
        found[expiry[0]] = [NO_MOMENT]
    elif until <= draft.now:
        found[expiry[0]] = ["is over already"]
    if number[1] is not None and not 0 < number[1] <= reservations.MAX_RESERVATION_ID:
        # Stations say 0 where they mean none (TX-16).
        found[number[0]] = ["must be a number from 1 to 2147483647"]
    if found or until is None:
        raise InvalidBody(found)
    tag = idtags.find([id_tag])[id_tag]
    if parent is None:
        parent = tag.parent_id if tag else None
    return reservations.request(
        station=draft.station,
        number=number[1],
        evse_id=evse_id,
        id_tag=tag.pk if tag else id_tag,
        parent=parent or "",
        expiry_date=until,
        connector_type=connector_type,
        command_id=draft.command_id,
        now=draft.now,
        changes=draft.changes,
    )


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    reasons = {command.pk: command.error["code"] if command.error else command.status for command in commands}
    reservations.fail(reasons, now=now, changes=changes)
