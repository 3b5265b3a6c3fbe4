"""Messages on stations' displays, as stations are believed to have them (2.0.1 block O)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings

from chargers import representation
from chargers.changes import Changes
from chargers.choices import DisplayMessageStatus
from chargers.models import DisplayMessage, Transaction
from chargers.services import removals, room
from chargers.values import Message, MessagesReport

TOPIC = "displaymessage"

CONTENT = (
    "status",
    "command_id",
    "priority",
    "state",
    "start",
    "end",
    "transaction_uuid",
    "format",
    "language",
    "content",
    "display",
    "evse_id",
    "told_at",
)


def ask(station: str, message: Message, command_id: UUID, at: datetime, changes: Changes) -> int:
    """Store a message that a station is about to be asked for, and return the number that is chosen for it."""
    row = DisplayMessage(chargepoint_id=station, message_id=None, command_id=command_id)
    _fill(row, message, at)
    row.save()
    taken = DisplayMessage.objects.filter(chargepoint=station)
    number = row.pk
    while taken.filter(message_id=number).exists():
        number += 1
    row.message_id = number
    row.save(update_fields=["message_id"])
    changes.note(TOPIC, row.pk, "created")
    return int(number)


def record(values: Sequence[MessagesReport], changes: Changes) -> list[None]:
    """Keep the messages that stations told or took, and forget those that they said to have no longer."""
    for value in values:
        _record(value, changes)
    return [None] * len(values)


def _record(value: MessagesReport, changes: Changes) -> None:
    rows = DisplayMessage.objects.filter(chargepoint=value.station)
    known = {row.message_id: row for row in rows.filter(message_id__in=[each.number for each in value.messages])}
    new: dict[int, DisplayMessage] = {}
    for told in value.messages:
        row = known.get(told.number) or new.setdefault(
            told.number, DisplayMessage(chargepoint_id=value.station, message_id=told.number)
        )
        _fill(row, told, value.at)
        row.status, row.command_id = DisplayMessageStatus.ACCEPTED, None
    for row in DisplayMessage.objects.bulk_create(room.fitting(list(new.values()), settings.OCPP_MAX_RECORDS, changes)):
        changes.note(TOPIC, row.pk, "created")
    DisplayMessage.objects.bulk_update(known.values(), CONTENT)
    for row in known.values():
        changes.note(TOPIC, row.pk)
    if value.gone:
        _remove(rows.filter(message_id__in=value.gone), changes)


def _remove(rows: Iterable[DisplayMessage], changes: Changes) -> None:
    removals.remove(rows, TOPIC, representation.displaymessage, changes)


def _fill(row: DisplayMessage, message: Message, at: datetime) -> None:
    row.priority, row.state, row.format = message.priority, message.state, message.format
    row.language, row.content = message.language, message.content
    row.start, row.end, row.transaction_uuid = message.start, message.end, message.transaction_uuid
    row.display, row.evse_id, row.told_at = message.display, message.evse_id, at


def drop(values: Sequence[UUID], changes: Changes) -> list[None]:
    """Forget messages that stations were asked for and did not take; one that they had before stays."""
    _remove(DisplayMessage.objects.filter(command_id__in=values, status=DisplayMessageStatus.REQUESTED), changes)
    return [None] * len(values)


def forget_untold(station: str, since: datetime, changes: Changes) -> None:
    """Forget the messages that a station has not told since: it no longer has them."""
    rows = DisplayMessage.objects.filter(chargepoint=station, told_at__lt=since)
    _remove(rows.filter(status=DisplayMessageStatus.ACCEPTED), changes)


def end(transactions: Iterable[Transaction], changes: Changes) -> None:
    """Forget the messages of transactions that have ended, as their stations do (O02.FR.02)."""
    ended = {(row.chargepoint_id, row.uuid) for row in transactions if row.uuid}
    if not ended:
        return
    stations, uuids = zip(*ended, strict=True)
    rows = DisplayMessage.objects.filter(chargepoint__in=stations, transaction_uuid__in=uuids)
    _remove([row for row in rows if (row.chargepoint_id, row.transaction_uuid) in ended], changes)
