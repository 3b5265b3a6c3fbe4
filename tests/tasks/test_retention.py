"""Retention as the worker and an operator run it."""

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from chargers.models import StatusNotification
from tasks import broker, retention, tasks
from tasks.models import Command, CommandStatus, Report, ReportStatus
from tests.api import rows

NOW = timezone.now()
OLD = NOW - timedelta(days=800)

pytestmark = pytest.mark.usefixtures("db", "redis_settings")

# Tables that do not grow without end, or are never removed from, and why.
KEPT = {
    # Who has charged what is billed, and somebody may ask for it years later.
    "chargers_transaction",
    # A row or a few for each station, connector, variable, or way to break the rules; replaced, not added to.
    "chargers_chargepoint chargers_connector chargers_variable chargers_variablemonitor chargers_deviation",
    "chargers_limitation chargers_locallist chargers_compositeschedule chargers_charginglimit",
    "chargers_installedprofile chargers_displaymessage",
    # A few a year for each station, and they say whom it could be.
    "chargers_certificate",
    # Nodes are forgotten a while after their lease has run out.
    "chargers_csmsnode",
    # What operators have entered, and what they did.
    "chargers_idtag chargers_location chargers_chargingprofile",
    "auth_user auth_group auth_permission django_admin_log django_content_type",
}


@pytest.fixture
def failing() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Return a function that has something happen at the second statement that deletes."""
    wrappers = []

    def at_second_delete(happen: Callable[[], Any]) -> None:
        seen = []

        def execute(run: Any, statement: str, *rest: Any) -> Any:
            if statement.startswith("DELETE"):
                seen.append(statement)
                if len(seen) == 2:
                    happen()
            return run(statement, *rest)

        wrapper = connection.execute_wrapper(execute)
        wrapper.__enter__()
        wrappers.append(wrapper)

    yield at_second_delete
    for wrapper in wrappers:
        wrapper.__exit__(None, None, None)


def add_old_statuses(number: int) -> None:
    station = rows.station()
    for _ in range(number):
        rows.status(station, received_at=OLD)


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("prune", *arguments, stdout=output)
    return output.getvalue()


def test_every_table_is_removed_from_or_kept_for_a_reason() -> None:
    tables = {model._meta.db_table for model in apps.get_models()}
    assert tables == {*retention.NAMES, *" ".join(KEPT).split()}


def test_commands_that_have_ended_go_with_their_reports_and_open_ones_stay() -> None:
    station = rows.station()
    old = rows.command(station, created_at=OLD, status=CommandStatus.ANSWERED)
    rows.report(station, old, asked_at=OLD, status=ReportStatus.COMPLETE)
    rows.report(station, None, asked_at=OLD, status=ReportStatus.COMPLETE)
    kept = {
        rows.command(station, created_at=OLD, status=CommandStatus.SENT).pk,
        rows.command(station, status=CommandStatus.ANSWERED).pk,
    }
    tasks.prune()
    assert set(Command.objects.values_list("pk", flat=True)) == kept
    assert not Report.objects.exists()


def test_many_commands_of_one_moment_all_go(settings: Settings) -> None:
    settings.RETENTION_STEP = 2
    station = rows.station()
    for _ in range(5):
        rows.command(station, created_at=OLD, status=CommandStatus.TIMEOUT)
    tasks.prune()
    assert not Command.objects.exists()


def test_sessions_that_have_expired_go() -> None:
    for number, days in enumerate((-1, 1)):
        expiry = NOW + timedelta(days=days)
        Session.objects.create(session_key=str(number), session_data="", expire_date=expiry)
    tasks.prune(of_a_later_version=True)
    assert Session.objects.get().session_key == "1"


def test_beat_runs_it_and_what_it_removed_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    add_old_statuses(3)
    caplog.set_level("INFO")
    tasks.prune()
    assert not StatusNotification.objects.exists()
    assert [record.message for record in caplog.records if record.name == "tasks.retention"] == [
        "removed for their age: 3 status notifications"
    ]
    assert broker.client().hgetall(broker.removed_key()) == {b"chargers_statusnotification": b"3"}


def test_one_worker_at_a_time_runs_it() -> None:
    add_old_statuses(1)
    with broker.alone("prune", 60):
        tasks.prune()
    assert StatusNotification.objects.count() == 1


def test_without_redis_nothing_is_removed_and_it_says_so(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    add_old_statuses(1)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    tasks.prune()
    assert StatusNotification.objects.count() == 1
    assert "redis does not answer" in caplog.text


def test_what_was_removed_before_the_database_refused_is_told(
    settings: Settings, failing: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    settings.RETENTION_STEP = 2
    add_old_statuses(5)

    def refuse() -> None:
        raise OperationalError("database is locked")

    failing(refuse)
    caplog.set_level("INFO")
    tasks.prune()
    assert "removed for their age: 2 status notifications" in caplog.text
    assert "database is locked" in caplog.text
    assert StatusNotification.objects.count() == 3


def test_an_operator_is_told_what_would_go_and_then_what_went() -> None:
    add_old_statuses(3)
    assert run("--dry-run").split() == ["3", "status", "notifications", "would", "be", "removed"]
    assert StatusNotification.objects.count() == 3
    assert run().split() == ["3", "status", "notifications", "removed"]
    assert run() == "Nothing is old enough.\n"


def test_it_ends_after_the_step_it_is_at_when_it_is_told_to(settings: Settings, failing: Callable[..., None]) -> None:
    settings.RETENTION_STEP = 2
    add_old_statuses(7)
    failing(lambda: signal.raise_signal(signal.SIGTERM))
    assert run().split() == ["4", "status", "notifications", "removed", "There", "is", "more:", "it", "was", "stopped."]
    assert StatusNotification.objects.count() == 3
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_it_may_be_given_a_time(settings: Settings) -> None:
    settings.RETENTION_STEP = 2
    add_old_statuses(5)
    assert run("--seconds", "0").split() == [
        "2",
        "status",
        "notifications",
        "removed",
        "There",
        "is",
        "more:",
        "time",
        "is",
        "over.",
    ]


def test_an_operator_is_told_that_the_database_refused(settings: Settings, failing: Callable[..., None]) -> None:
    settings.RETENTION_STEP = 2
    add_old_statuses(5)

    def refuse() -> None:
        raise OperationalError("database is locked")

    failing(refuse)
    with pytest.raises(CommandError, match="database is locked"):
        run()
