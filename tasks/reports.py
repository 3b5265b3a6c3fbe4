"""Reports: what a station is asked for by a command and tells in parts, each a message of its own.

A request is prepared with an id (`request`), answered (`answer`), and told in numbered parts
(`take`) that may come in any order, twice, or from the beginning again. What is kept of them is
the matter of `tasks.keepers`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from chargers.changes import Changes
from tasks.action import Draft, Payload
from tasks.keepers import KEEPERS
from tasks.models import MAX_PARTS, TOPIC, UNDER_WAY, Command, Report, ReportKind, ReportStatus
from tasks.schemas import InvalidBody

# OCPP's integers have 32 bits.
MAX_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """What a station answered to the command that asked for a report: Collecting, Empty or Refused."""

    command_id: UUID
    status: ReportStatus
    at: datetime


@dataclass(frozen=True, slots=True)
class ReportPart:
    """A part of a report. `content` is what the keeper of its kind stores.

    `number` counts from 0; it is None where a message has no number, and parts count as they come.
    """

    station: str
    kind: ReportKind
    request_id: int
    number: int | None
    last: bool
    content: Any
    at: datetime


def request(draft: Draft, kind: ReportKind) -> Payload:
    """Prepare a command that asks for a report; return its request with the id that the parts will name.

    Raises InvalidBody for an id by which the station is still telling another report of the kind.
    """
    number = draft.payload.get("requestId")
    if number is not None:
        _check(number, draft.station.pk, kind)
    report = Report.objects.create(
        command_id=draft.command_id,
        chargepoint=draft.station,
        kind=kind,
        request_id=number,
        asked_at=draft.now,
        heard_at=draft.now,
    )
    if number is None:
        report.request_id = _free_id(report)
        report.save(update_fields=["request_id"])
    return {**draft.payload, "requestId": report.request_id}


def _check(number: int, station: str, kind: ReportKind) -> None:
    if not 0 <= number <= MAX_INTEGER:
        raise InvalidBody({"request_id": [f"Must lie between 0 and {MAX_INTEGER}."]})
    if _of_request(station, kind, number).filter(status__in=UNDER_WAY).exists():
        raise InvalidBody({"request_id": ["The station is still at another request by this id."]})


def _free_id(report: Report) -> int:
    """Return the report's own number, or the next that no operator has given to another."""
    others = Report.objects.filter(chargepoint=report.chargepoint_id, kind=report.kind)
    number = report.pk
    while others.filter(request_id=number).exists():
        number += 1
    return int(number)


def _of_request(station: str, kind: str, number: int | None) -> Any:
    return Report.objects.filter(chargepoint=station, kind=kind, request_id=number)


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    """End the reports of commands that ended without an answer, unless parts have come all the same."""
    Report.objects.filter(command__in=[each.pk for each in commands], status=ReportStatus.REQUESTED).update(
        status=ReportStatus.FAILED, finished_at=now
    )


def answer(values: Sequence[ReportAnswer], changes: Changes) -> list[None]:
    """Believe what stations answered, unless their parts have told more already; an answer may come late."""
    for value in values:
        report = Report.objects.select_for_update().filter(command=value.command_id).first()
        if report is None or report.status not in (ReportStatus.REQUESTED, ReportStatus.FAILED):
            continue
        if report.status == ReportStatus.FAILED and _is_taken(report):
            continue
        report.status, report.heard_at = value.status, value.at
        report.finished_at = None if value.status in UNDER_WAY else value.at
        report.save(update_fields=["status", "heard_at", "finished_at"])
        if value.status == ReportStatus.EMPTY and (complete := KEEPERS[ReportKind(report.kind)].complete):
            complete(report, changes)
        changes.note(TOPIC, value.command_id)
    return [None] * len(values)


def _is_taken(report: Report) -> bool:
    others = _of_request(report.chargepoint_id or "", report.kind, report.request_id).exclude(pk=report.pk)
    return bool(others.filter(status__in=UNDER_WAY).exists())


def take(values: Sequence[ReportPart], changes: Changes) -> list[None]:
    """Keep what parts of reports tell, asked for or not, and note how far the reports are."""
    told: dict[ReportKind, list[Any]] = {}
    for value in values:
        told.setdefault(value.kind, []).append(value.content)
    for kind, contents in told.items():
        if store := KEEPERS[kind].store:
            store(contents, changes)
    for value in values:
        _take(value, changes)
    return [None] * len(values)


def _take(value: ReportPart, changes: Changes) -> None:
    keeper = KEEPERS[value.kind]
    report = _meant(value)
    number = report.next_number if value.number is None else value.number
    report.take_part(number, last=value.last)
    if keeper.store is None and len(report.content) < MAX_PARTS:
        report.content = {**report.content, str(number): value.content}
    report.heard_at = value.at
    if report.is_whole:
        report.status, report.finished_at = ReportStatus.COMPLETE, value.at
    else:
        report.status, report.finished_at = ReportStatus.COLLECTING, None
    report.save()
    if report.is_whole and keeper.complete:
        keeper.complete(report, changes)
    if report.command_id:
        changes.note(TOPIC, report.command_id)


def _meant(value: ReportPart) -> Report:
    """Find the report that a part belongs to, one that is under way before others, or make one nobody asked for."""
    reports = _of_request(value.station, value.kind, value.request_id).select_for_update()
    found = reports.filter(status__in=UNDER_WAY).first() or reports.first()
    return found or Report(
        chargepoint_id=value.station,
        kind=value.kind,
        request_id=value.request_id,
        asked_at=value.at,
        status=ReportStatus.COLLECTING,
    )


def time_out(*, now: datetime, changes: Changes) -> int:
    """Give up reports of which nothing was heard for too long; return how many. What came of them is kept."""
    silent = Report.objects.filter(
        status=ReportStatus.COLLECTING, heard_at__lt=now - timedelta(seconds=settings.OCPP_REPORT_TIMEOUT)
    )
    count = 0
    for key, command in silent.values_list("pk", "command_id")[:1000]:
        # A part may just have come.
        if silent.filter(pk=key).update(status=ReportStatus.TIMED_OUT, finished_at=now):
            count += 1
            if command:
                changes.note(TOPIC, command)
    return count
