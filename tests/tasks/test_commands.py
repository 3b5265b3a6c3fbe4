"""The life of a command in the database: one final state, whoever ends it and in whatever order."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import OcppVersion, RegistrationStatus
from chargers.models import ChargePoint, CsmsNode, Transaction
from chargers.services import reservations
from tasks import broker, commands
from tasks.actions import BY_NAME
from tasks.errors import CommandError, NotAccepted, NotCancellable, StationOffline, VersionMismatch
from tasks.models import OPEN, Command, CommandStatus

NOW = timezone.now()
LATER = NOW + timedelta(hours=1)
RESET = BY_NAME[OcppVersion.V16, "Reset"]

pytestmark = pytest.mark.usefixtures("db", "redis_settings")


def station(*, alive: bool = True, **fields: Any) -> ChargePoint:
    lease = timedelta(minutes=5 if alive else -5)
    node = CsmsNode.objects.create(node_id=str(uuid4()), name="n", started_at=NOW, lease_until=NOW + lease)
    defaults = {"chargepoint_id": "CP1", "node": node, "ocpp_version": OcppVersion.V16}
    ChargePoint.objects.create(**{**defaults, **fields})
    return ChargePoint.objects.with_connected(NOW).get()


def command(status: CommandStatus = CommandStatus.QUEUED, **fields: Any) -> Command:
    defaults: dict[str, Any] = {
        "ocpp_version": OcppVersion.V16,
        "action": "Reset",
        "payload": {"type": "Soft"},
        "created_at": NOW,
        "expires_at": NOW + timedelta(seconds=30),
    }
    return Command.objects.create(status=status, **{**defaults, **fields})


def news(command_id: UUID) -> list[bytes]:
    return broker.client().lrange(broker.news_list(command_id), 0, -1)  # type: ignore[return-value]


def handed(node_id: str | None) -> list[bytes]:
    return broker.client().lrange(broker.node_list(node_id or ""), 0, -1)  # type: ignore[return-value]


def create(of: ChargePoint, action: str = "Reset", payload: dict[str, Any] | None = None) -> Command:
    row = BY_NAME[OcppVersion.V16, action]
    return commands.create(station=of, action=row, payload=payload or {}, requested_by=None, now=NOW, changes=Changes())


def in_background(work: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# Asking


def test_a_command_waits_until_its_time_is_over(settings: Settings) -> None:
    settings.OCPP_TIMEOUT = 10
    row = create(station(), payload={"type": "Soft"})
    assert (row.status, row.is_open, row.payload) == ("queued", True, {"type": "Soft"})
    assert timedelta(seconds=10) < row.expires_at - row.created_at < timedelta(seconds=15)


@pytest.mark.parametrize(
    ("fields", "action", "error"),
    [
        ({"node": None}, "Reset", StationOffline),
        ({"alive": False}, "Reset", StationOffline),
        ({"ocpp_version": OcppVersion.V201}, "Reset", VersionMismatch),
        ({"registration_status": RegistrationStatus.REJECTED}, "TriggerMessage", NotAccepted),
        ({"registration_status": RegistrationStatus.PENDING}, "RemoteStartTransaction", NotAccepted),
        ({"registration_status": RegistrationStatus.PENDING}, "RemoteStopTransaction", NotAccepted),
        ({"registration_status": RegistrationStatus.PENDING}, "GetConfiguration", None),
        ({}, "RemoteStartTransaction", None),
    ],
)
def test_a_station_that_cannot_get_a_command_now_gets_none(
    fields: dict[str, Any], action: str, error: type[CommandError] | None
) -> None:
    of = station(**fields)
    if error is None:
        commands.check_sendable(of, BY_NAME[OcppVersion.V16, action])
        return
    with pytest.raises(error):
        create(of, action)
    assert not Command.objects.exists()


def test_a_foreign_transaction_is_stopped_by_the_id_its_station_knows() -> None:
    of = station()
    foreign = Transaction.objects.create(chargepoint=of, uuid="4711", received_at=NOW)
    named = Transaction.objects.create(chargepoint=of, uuid="a-b-c", received_at=NOW)
    own = Transaction.objects.create(chargepoint=of, received_at=NOW)
    for row, sent in ((foreign, 4711), (named, named.pk), (own, own.pk)):
        made = create(of, "RemoteStopTransaction", {"transactionId": row.pk})
        assert made.payload == {"transactionId": sent}


# Relaying


def test_a_command_is_handed_to_the_node_that_holds_the_station() -> None:
    of = station()
    row = create(of)
    commands.relay(row.pk, now=NOW, changes=Changes())
    assert handed(of.node_id) == [str(row.pk).encode()]
    row.refresh_from_db()
    assert row.status == "queued"


@pytest.mark.parametrize("gone", ["station", "connection", "lease", "node"])
def test_a_command_that_has_nowhere_to_go_ends_as_offline_and_says_so(gone: str) -> None:
    of = station()
    row = create(of)
    match gone:
        case "station":
            ChargePoint.objects.all().delete()
        case "connection":
            ChargePoint.objects.update(node=None)
        case "lease":
            CsmsNode.objects.update(lease_until=NOW - timedelta(seconds=1))
        case "node":
            CsmsNode.objects.all().delete()
    changes = Changes()
    commands.relay(row.pk, now=NOW, changes=changes)
    row.refresh_from_db()
    assert (row.status, row.finished_at) == ("offline", NOW)
    assert row.error is not None
    assert row.error["code"] == "offline"
    assert news(row.pk) == [b"offline"]
    assert changes.rows == {"tasks": {row.pk: "updated"}}


@pytest.mark.parametrize("status", [status for status in CommandStatus if status != CommandStatus.QUEUED])
def test_only_a_queued_command_is_relayed(status: CommandStatus) -> None:
    of = station()
    row = command(status, chargepoint=of)
    commands.relay(row.pk, now=NOW, changes=Changes())
    commands.relay(uuid4(), now=NOW, changes=Changes())
    assert handed(of.node_id) == []
    row.refresh_from_db()
    assert row.status == status


def test_threads_that_use_redis_for_the_first_time_at_once_do_not_disturb_each_other() -> None:
    failures: list[Exception] = []

    def hand(together: threading.Barrier) -> None:
        together.wait(5)
        try:
            broker.hand_to_node("n", uuid4())
        except Exception as error:
            failures.append(error)

    for _ in range(20):
        broker.client.cache_clear()
        together = threading.Barrier(8)
        threads = [in_background(lambda together=together: hand(together)) for _ in range(8)]
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(handed("n")) == 160


# Ending


@pytest.mark.parametrize("status", CommandStatus)
def test_a_command_ends_once_whoever_comes_first(status: CommandStatus) -> None:
    row = command(status)
    ended = commands.end(row.pk, CommandStatus.TIMEOUT, now=LATER, changes=Changes(), reason="why")
    assert ended == (status in OPEN)
    row.refresh_from_db()
    assert row.status == (CommandStatus.TIMEOUT if status in OPEN else status)
    assert news(row.pk) == ([b"timeout"] if ended else [])


def test_a_process_that_is_killed_leaves_the_command_open_with_what_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = command(action="ReserveNow", chargepoint=station())

    def die(*args: Any, **more: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(reservations, "fail", die)
    with pytest.raises(SystemExit):
        commands.end(row.pk, CommandStatus.OFFLINE, now=LATER, changes=Changes())
    row.refresh_from_db()
    assert (row.status, row.finished_at) == (CommandStatus.QUEUED, None)


@pytest.mark.parametrize("status", CommandStatus)
def test_only_a_command_that_waits_can_be_cancelled(status: CommandStatus) -> None:
    row = command(status)
    if status == CommandStatus.QUEUED:
        commands.cancel(row, now=LATER, changes=Changes())
        assert (row.status, row.finished_at, news(row.pk)) == ("cancelled", LATER, [b"cancelled"])
    else:
        with pytest.raises(NotCancellable):
            commands.cancel(row, now=LATER, changes=Changes())
        assert row.status == status


@pytest.mark.parametrize("status", CommandStatus)
def test_a_command_is_marked_as_sent_only_from_the_queue(status: CommandStatus) -> None:
    row = command(status)
    sent = commands.mark_sent([commands.Sending(row.pk, LATER, 30)], Changes())
    row.refresh_from_db()
    assert sent == [status == CommandStatus.QUEUED]
    if status == CommandStatus.QUEUED:
        assert (row.status, row.sent_at) == ("sent", LATER)
        assert row.expires_at > LATER + timedelta(seconds=30)
    else:
        assert row.status == status


@pytest.mark.parametrize("status", CommandStatus)
def test_a_node_takes_only_commands_that_are_queued(status: CommandStatus) -> None:
    row = command(status)
    taken = commands.take([row.pk, uuid4()], Changes())
    assert taken == [row if status == CommandStatus.QUEUED else None, None]


ANSWER = {"status": "Accepted"}


@pytest.mark.parametrize(
    ("before", "outcome", "after"),
    [
        ("sent", "answered", ("answered", ANSWER, None)),
        ("queued", "offline", ("offline", None, "offline")),
        ("sent", "error", ("error", None, "error")),
        ("timeout", "answered", ("timeout", ANSWER, "late")),
        ("offline", "answered", ("offline", ANSWER, "late")),
        ("timeout", "error", ("timeout", None, "before")),
        ("answered", "timeout", ("answered", {"first": 1}, "before")),
        ("answered", "answered", ("answered", {"first": 1}, "before")),
        ("cancelled", "offline", ("cancelled", None, "before")),
    ],
)
def test_the_first_end_stands_and_a_late_answer_is_kept_beside_it(
    before: str, outcome: str, after: tuple[str, Any, str | None]
) -> None:
    ended = before not in OPEN
    row = command(
        CommandStatus(before),
        response={"first": 1} if before == "answered" else None,
        error={"code": "before"} if ended else None,
        finished_at=NOW if ended else None,
    )
    error = None if outcome == "answered" else {"code": outcome, "description": "", "details": {}}
    response = ANSWER if outcome == "answered" else None
    value = commands.Outcome(row.pk, CommandStatus(outcome), LATER, response, error)
    assert commands.finish([value], Changes()) == [not ended]
    row.refresh_from_db()
    assert (row.status, row.response, row.error["code"] if row.error else None) == after
    assert row.finished_at == (NOW if ended else LATER)


def test_a_batch_of_ends_is_told_one_by_one() -> None:
    rows = [command(CommandStatus.SENT) for _ in range(3)]
    changes = Changes()
    values = [commands.Outcome(row.pk, CommandStatus.ANSWERED, LATER, {"n": n}) for n, row in enumerate(rows)]
    assert commands.finish(values, changes) == [True] * 3
    assert set(changes.rows["tasks"]) == {row.pk for row in rows}
    assert [Command.objects.get(pk=row.pk).response for row in rows] == [{"n": 0}, {"n": 1}, {"n": 2}]


# Sweeping


@pytest.mark.parametrize(
    ("status", "alive", "end"),
    [
        ("sent", True, "timeout"),
        ("sent", False, "timeout"),
        ("queued", False, "offline"),
        # The station is there: it had others to answer first, or their news got lost.
        ("queued", True, "timeout"),
        ("answered", True, "answered"),
        ("cancelled", False, "cancelled"),
    ],
)
def test_the_sweep_ends_what_is_open_beyond_its_time(status: str, alive: bool, end: str) -> None:
    row = command(CommandStatus(status), chargepoint=station(alive=alive))
    fresh = command(CommandStatus(status), chargepoint=row.chargepoint, expires_at=LATER + timedelta(seconds=1))
    changes = Changes()
    swept = commands.sweep(now=NOW + timedelta(seconds=31), changes=changes)
    row.refresh_from_db()
    fresh.refresh_from_db()
    assert (row.status, fresh.status) == (end, status)
    assert swept == (status in OPEN)
    assert (row.pk in changes.rows.get("tasks", {})) == (status in OPEN)
    if swept:
        assert row.error is not None
        assert (row.error["code"], news(row.pk)) == (end, [end.encode()])


def test_the_sweep_ends_commands_of_stations_that_are_gone() -> None:
    rows = [command(chargepoint_id="GONE"), command(CommandStatus.SENT, chargepoint_id="GONE")]
    assert commands.sweep(now=LATER, changes=Changes()) == 2
    assert [Command.objects.get(pk=row.pk).status for row in rows] == ["offline", "timeout"]


def test_a_command_that_cannot_be_ended_stops_the_sweep_of_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    of = station()
    first, broken, last = command(), command(action="ReserveNow", chargepoint=of), command()

    def fail(*args: Any, **more: Any) -> None:
        # What leaves a transaction of PostgreSQL unusable.
        Command.objects.create(task_id=first.pk, ocpp_version="", action="", created_at=NOW, expires_at=NOW)

    monkeypatch.setattr(reservations, "fail", fail)
    changes = Changes()
    assert commands.sweep(now=LATER, changes=changes) == 2
    for row in (first, broken, last):
        row.refresh_from_db()
    assert [row.status for row in (first, broken, last)] == ["offline", "queued", "offline"]
    assert changes.rows == {"tasks": {first.pk: "updated", last.pk: "updated"}}
    assert caplog.messages == [f"command {broken.pk} could not be ended"]
    assert news(broken.pk) == []


def test_a_command_that_is_sent_while_the_sweep_looks_is_not_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    row = command(chargepoint=station())
    end = commands.end

    def send_first(command_id: UUID, *args: Any, **options: Any) -> bool:
        commands.mark_sent([commands.Sending(row.pk, LATER, 30)], Changes())
        return end(command_id, *args, **options)

    monkeypatch.setattr(commands, "end", send_first)
    assert commands.sweep(now=LATER, changes=Changes()) == 0
    row.refresh_from_db()
    assert row.status == "sent"


# Waiting


@pytest.mark.usefixtures("transactional_db")
def test_whoever_waits_goes_on_as_soon_as_the_command_ends() -> None:
    row = command(CommandStatus.SENT)

    def finish() -> None:
        commands.finish([commands.Outcome(row.pk, CommandStatus.ANSWERED, LATER, ANSWER)], Changes())
        broker.tell_ended(row.pk, "answered")

    started = time.monotonic()
    thread = in_background(finish)
    waited = commands.wait(row, seconds=20, changes=Changes())
    thread.join()
    assert (waited.status, waited.response) == ("answered", ANSWER)
    assert time.monotonic() - started < 4


@pytest.mark.usefixtures("transactional_db")
def test_news_that_came_before_anybody_waited_are_not_lost() -> None:
    row = command(CommandStatus.SENT)
    commands.end(row.pk, CommandStatus.OFFLINE, now=NOW, changes=Changes())
    assert commands.wait(row, seconds=20, changes=Changes()).status == "offline"


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "GRACE", timedelta(0))


@pytest.mark.usefixtures("transactional_db", "no_grace")
@pytest.mark.parametrize(("status", "after"), [("queued", "timeout"), ("sent", "sent")])
def test_after_the_time_what_was_never_sent_ends_and_what_was_sent_stays_open(status: str, after: str) -> None:
    row = command(CommandStatus(status))
    changes = Changes()
    assert commands.wait(row, seconds=0.1, changes=changes).status == after
    assert bool(changes) == (status == "queued")


@pytest.mark.usefixtures("transactional_db", "no_grace")
def test_a_command_that_is_sent_in_the_last_moment_is_not_called_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    row = command()
    end = commands.end

    def send_first(command_id: UUID, *args: Any, **options: Any) -> bool:
        commands.mark_sent([commands.Sending(row.pk, NOW, 30)], Changes())
        return end(command_id, *args, **options)

    monkeypatch.setattr(commands, "end", send_first)
    assert commands.wait(row, seconds=0.1, changes=Changes()).status == "sent"


@pytest.mark.usefixtures("transactional_db")
def test_without_redis_the_row_tells_the_end(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    row = command(CommandStatus.SENT)
    thread = in_background(lambda: commands.end(row.pk, CommandStatus.TIMEOUT, now=NOW, changes=Changes()))
    assert commands.wait(row, seconds=20, changes=Changes()).status == "timeout"
    thread.join()


@pytest.mark.usefixtures("transactional_db")
def test_of_two_who_end_a_command_at_once_one_does() -> None:
    row = command(CommandStatus.SENT)
    won: list[bool] = []
    together = threading.Barrier(4)

    def end(status: CommandStatus) -> None:
        together.wait(5)
        won.append(commands.end(row.pk, status, now=NOW, changes=Changes()))

    statuses = (CommandStatus.TIMEOUT, CommandStatus.OFFLINE, CommandStatus.TIMEOUT, CommandStatus.ERROR)
    threads = [in_background(lambda status=status: end(status)) for status in statuses]
    for thread in threads:
        thread.join()
    assert sorted(won) == [False, False, False, True]
    row.refresh_from_db()
    assert [row.status.encode()] == news(row.pk)
