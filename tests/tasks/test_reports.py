"""Reports: asked for by a command, told in parts, and found whole, empty, refused or given up."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError
from django.utils import timezone
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.models import ChargePoint
from tasks import reports, tasks
from tasks.action import Draft
from tasks.models import Command, CommandStatus, Report, ReportKind, ReportStatus
from tasks.reports import ReportAnswer, ReportPart
from tasks.schemas import InvalidBody
from tasks.updates import represent_command
from tests.api import rows

NOW = timezone.now()
KIND = ReportKind.CUSTOMER_INFORMATION

pytestmark = pytest.mark.django_db


@pytest.fixture
def station() -> ChargePoint:
    return rows.station("CP1")


def ask(station: ChargePoint, kind: ReportKind = KIND, **payload: Any) -> Report:
    """Ask for a report; return it as stored."""
    draft = Draft(uuid4(), station, payload, {}, NOW, Changes())
    asked = reports.request(draft, kind)
    report = Report.objects.get(command_id=draft.command_id)
    assert asked == {**payload, "requestId": report.request_id}
    rows.command(station, "CustomerInformation", task_id=draft.command_id, status=CommandStatus.ANSWERED)
    return report


def answer(report: Report, status: ReportStatus = ReportStatus.COLLECTING) -> str:
    assert report.command_id is not None
    reports.answer([ReportAnswer(report.command_id, status, NOW)], Changes())
    report.refresh_from_db()
    return report.status


def take(of: Report, number: int, content: Any = "x", *, last: bool = False, later: float = 0) -> Changes:
    changes = Changes()
    at = NOW + timedelta(seconds=later)
    assert of.request_id is not None
    part = ReportPart("CP1", ReportKind(of.kind), of.request_id, number, last, content, at)
    assert reports.take([part], changes) == [None]
    of.refresh_from_db()
    return changes


def shown(report: Report) -> dict[str, Any]:
    command = Command.objects.select_related("requested_by", "report").get(pk=report.command_id)
    return dict(represent_command(command)["report"])


def test_a_report_is_whole_when_all_parts_up_to_the_last_have_come(station: ChargePoint) -> None:
    report = ask(station)
    assert answer(report) == "Collecting"
    for number in (2, 0, 3):
        take(report, number, f"part {number}", last=number == 3)
        assert report.status == "Collecting"
    assert (shown(report)["parts"], shown(report)["missing"]) == (3, [1])
    changes = take(report, 1, "part 1")
    assert changes.rows == {"tasks": {report.command_id: "updated"}}
    told = shown(report)
    assert (told["status"], told["parts"], told["missing"]) == ("Complete", 4, [])
    assert told["content"] == ["part 0", "part 1", "part 2", "part 3"]
    assert told["finished_at"]


def test_a_part_that_comes_twice_counts_once(station: ChargePoint) -> None:
    report = ask(station)
    answer(report)
    take(report, 0)
    take(report, 1)
    take(report, 1, "again")
    take(report, 2, last=True)
    take(report, 2, last=True)
    assert (report.status, report.parts, report.content["1"]) == ("Complete", 3, "again")


def test_a_report_that_begins_again_is_counted_from_there(station: ChargePoint) -> None:
    report = ask(station)
    answer(report)
    for number in range(5):
        take(report, number)
    take(report, 0, "after the boot")
    assert (report.status, report.parts) == ("Collecting", 1)
    take(report, 1, "the rest", last=True)
    assert (report.status, shown(report)["content"]) == ("Complete", ["after the boot", "the rest"])


def test_a_station_that_never_says_that_more_is_to_come_is_read_to_its_end(station: ChargePoint) -> None:
    report = ask(station)
    answer(report)
    for number in range(3):
        take(report, number, last=True)
        assert report.status == "Complete"
    assert report.parts == 3


def test_parts_that_come_before_the_answer_count(station: ChargePoint) -> None:
    report = ask(station)
    take(report, 0, last=True)
    assert answer(report) == "Complete"


@pytest.mark.parametrize("status", [ReportStatus.EMPTY, ReportStatus.REFUSED])
def test_a_report_that_will_not_come_is_over_with_its_answer(station: ChargePoint, status: ReportStatus) -> None:
    report = ask(station)
    assert answer(report, status) == status
    assert shown(report)["finished_at"]


def test_a_command_without_an_answer_ends_its_report_until_the_answer_comes_after_all(station: ChargePoint) -> None:
    report = ask(station)
    command = Command.objects.get(pk=report.command_id)
    reports.unanswered([command], NOW, Changes())
    report.refresh_from_db()
    assert (report.status, report.finished_at) == ("Failed", NOW)
    assert answer(report) == "Collecting"
    assert report.finished_at is None


def test_a_report_that_is_under_way_outlives_its_command(station: ChargePoint) -> None:
    report = ask(station)
    take(report, 0)
    reports.unanswered([Command.objects.get(pk=report.command_id)], NOW, Changes())
    report.refresh_from_db()
    assert report.status == "Collecting"


def test_a_silent_report_is_given_up_and_a_late_part_revives_it(
    station: ChargePoint, settings: Settings, redis_settings: None
) -> None:
    settings.OCPP_REPORT_TIMEOUT = 10_000
    silent, talking = ask(station), ask(station)
    answer(silent)
    answer(talking)
    take(silent, 0, later=-10_001)
    take(talking, 0)
    tasks.time_out_reports()
    silent.refresh_from_db()
    talking.refresh_from_db()
    assert (silent.status, talking.status) == ("TimedOut", "Collecting")
    take(silent, 1, last=True)
    assert (silent.status, silent.parts) == ("Complete", 2)


def test_what_nobody_asked_for_is_kept(station: ChargePoint) -> None:
    part = ReportPart("CP1", KIND, 77, 0, False, "unasked", NOW)
    reports.take([part, part, ReportPart("CP1", KIND, 77, 1, True, "more", NOW)], Changes())
    report = Report.objects.get()
    assert (report.command, report.request_id, report.status) == (None, 77, "Complete")
    assert report.content == {"0": "unasked", "1": "more"}


def test_reports_of_one_id_and_other_kinds_or_stations_are_told_apart(station: ChargePoint) -> None:
    report = ask(station, requestId=5)
    answer(report)
    rows.station("CP2")
    reports.take([ReportPart("CP2", KIND, 5, 0, True, "other", NOW)], Changes())
    report.refresh_from_db()
    assert report.parts == 0


def test_an_id_is_chosen_that_no_operator_has_given(station: ChargePoint) -> None:
    first = ask(station)
    taken = ask(station, requestId=first.pk + 2)
    assert taken.pk == first.pk + 1
    assert ask(station).request_id == first.pk + 3


@pytest.mark.parametrize("number", [-1, 2**31])
def test_an_id_that_no_station_can_hold_is_refused(station: ChargePoint, number: int) -> None:
    with pytest.raises(InvalidBody, match="request_id: Must lie between 0 and 2147483647"):
        ask(station, requestId=number)


def test_an_id_is_free_again_when_its_report_is_over(station: ChargePoint) -> None:
    report = ask(station, requestId=5)
    with pytest.raises(InvalidBody, match="request_id: The station is still at another request by this id"):
        ask(station, requestId=5)
    take(report, 0, last=True)
    again = ask(station, requestId=5)
    take(again, 0, "anew", last=True)
    report.refresh_from_db()
    assert (report.content, again.content) == ({"0": "x"}, {"0": "anew"})


def test_the_database_holds_no_two_live_reports_of_one_id(station: ChargePoint) -> None:
    ask(station, requestId=5)
    with pytest.raises(IntegrityError):
        Report.objects.create(chargepoint=station, kind=KIND, request_id=5, asked_at=NOW, heard_at=NOW)


def test_parts_without_end_and_without_order_do_not_fill_the_row(station: ChargePoint) -> None:
    report = Report(chargepoint=station)
    for number in range(0, 3000, 2):
        report.take_part(number, last=False)
    assert len(report.told) == 500
    assert len(report.missing) == 100


def test_a_report_keeps_so_many_parts_itself(station: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MAX_PARTS", 2)
    for number in range(4):
        part = ReportPart("CP1", KIND, 7, number, number == 3, f"part {number}", NOW)
        reports.take([part], Changes())
    report = Report.objects.get()
    assert (report.content, report.status) == ({"0": "part 0", "1": "part 1"}, "Complete")
