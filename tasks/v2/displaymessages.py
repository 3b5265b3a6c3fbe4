"""Messages on displays: how they are read, and what is checked before a station is asked for one (block O)."""

from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.services import displaymessages
from chargers.values import Message
from tasks import reports
from tasks.action import Draft, Payload
from tasks.models import Command, ReportKind
from tasks.schemas import NO_MOMENT, InvalidBody, moment


def message(told: Payload, number: int) -> Message:
    """Read a MessageInfoType, whoever tells it."""
    display, content = told.get("display", {}), told["message"]
    return Message(
        number=number,
        priority=told["priority"][:20],
        format=content["format"][:10],
        content=content["content"],
        language=content.get("language", "")[:10],
        state=told.get("state", "")[:20],
        start=moment(told.get("startDateTime")),
        end=moment(told.get("endDateTime")),
        transaction_uuid=told.get("transactionId", ""),
        display=display.get("name", "")[:50],
        evse_id=display.get("evse", {}).get("id", 0),
    )


def prepare_setting(draft: Draft) -> Payload:
    """Check the times of a message, and number it where no number was told."""
    told = draft.payload["message"]
    start, end = told.get("startDateTime"), told.get("endDateTime")
    problems = {
        f"message.{field}": [NO_MOMENT]
        for field, text in (("start_date_time", start), ("end_date_time", end))
        if text is not None and moment(text) is None
    }
    begins, ends = moment(start), moment(end)
    if begins and ends and ends <= begins:
        problems["message.end_date_time"] = ["Must lie after start_date_time."]
    if problems:
        raise InvalidBody(problems)
    if "id" in told:
        return draft.payload
    number = displaymessages.ask(draft.station.pk, message(told, 0), draft.command_id, draft.now, draft.changes)
    return {**draft.payload, "message": {**told, "id": number}}


def prepare_report(draft: Draft) -> Payload:
    return reports.request(draft, ReportKind.DISPLAY_MESSAGES)


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    displaymessages.drop([each.pk for each in commands], changes)
