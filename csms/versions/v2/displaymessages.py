"""Messages on stations' displays (block O)."""

from collections.abc import Mapping

from chargers.services import displaymessages
from chargers.values import Message, MessagesReport
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.members import MAX_OWN_NUMBER, whole
from csms.versions.v2 import reports
from csms.versions.v2.members import nothing, number
from tasks.models import ReportKind
from tasks.reports import ReportPart, take
from tasks.v2 import displaymessages as requests


def notify_display_messages(payload: Payload, context: Context) -> ReportPart:
    told = [
        requests.message(each, each["id"])
        for each in payload.get("messageInfo", ())
        if whole(each["id"], MAX_OWN_NUMBER) is not None
    ]
    for each in payload.get("messageInfo", ()):
        number(each.get("display", {}).get("evse", {}), "id")
    return reports.part(payload, ReportKind.DISPLAY_MESSAGES, _report(context, told), context)


def _report(context: Context, told: list[Message], gone: tuple[int, ...] = ()) -> MessagesReport:
    return MessagesReport(context.station, told, gone, context.received_at)


def keep_set(request: Payload, answer: Payload, context: Context) -> list[Work]:
    if answer["status"] != "Accepted":
        assert context.command_id is not None
        return [(displaymessages.drop, context.command_id)]
    told = requests.message(request["message"], request["message"]["id"])
    return [(displaymessages.record, _report(context, [told]))]


def keep_cleared(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Forget a message that is cleared, or that the station does not know (O05.FR.02)."""
    if answer["status"] not in ("Accepted", "Unknown"):
        return []
    return [(displaymessages.record, _report(context, [], (request["id"],)))]


HANDLERS: Mapping[str, Handler] = {
    "NotifyDisplayMessages": Handler(notify_display_messages, take, nothing, records=True),
}
EFFECTS: Mapping[str, Effect] = {"ClearDisplayMessage": keep_cleared, "SetDisplayMessage": keep_set}
