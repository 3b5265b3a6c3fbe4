"""What the reports that stations tell in parts have in common: their answers and the numbers of their parts."""

from collections.abc import Mapping
from typing import Any

from csms.intake import Work
from csms.versions.base import Context, Effect, Payload
from csms.versions.v2.members import number
from tasks import reports
from tasks.models import ReportKind, ReportStatus

# The answers after which parts follow, or need not; all others are refusals.
ANSWERS: Mapping[str, ReportStatus] = {
    "Accepted": ReportStatus.COLLECTING,
    "EmptyResultSet": ReportStatus.EMPTY,
    "NoProfiles": ReportStatus.EMPTY,
    "Unknown": ReportStatus.EMPTY,
}


def keep_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Note whether a report is to come, by what the command that asks for it was answered."""
    assert context.command_id is not None
    status = ANSWERS.get(answer["status"], ReportStatus.REFUSED)
    return [(reports.answer, reports.ReportAnswer(context.command_id, status, context.received_at))]


def part(payload: Payload, kind: ReportKind, content: Any, context: Context) -> reports.ReportPart:
    """Read where a message stands in its report; without ``tbc`` it is the last."""
    return reports.ReportPart(
        station=context.station,
        kind=kind,
        request_id=number(payload, "requestId"),
        # NotifyDisplayMessages and ReportChargingProfiles have none.
        number=number(payload, "seqNo") if "seqNo" in payload else None,
        last=not payload.get("tbc", False),
        content=content,
        at=context.received_at,
    )


# Of commands that ask for a report and whose answer changes nothing else.
EFFECTS: Mapping[str, Effect] = dict.fromkeys(
    (
        "GetBaseReport",
        "GetDisplayMessages",
        "GetMonitoringReport",
        "GetReport",
    ),
    keep_answer,
)
