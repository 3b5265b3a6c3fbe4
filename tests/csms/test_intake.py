"""Group commit: what is answered is stored, together where that is faster, alone where something fails."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.errors import ChargersError
from chargers.models import Connector, IdTag, Location, SecurityEvent, Transaction
from csms import metrics
from csms.errors import IntakeUnavailable
from csms.intake import ATTEMPTS, Intake
from ov2xmp.logformat import ContextFilter
from tasks import logcontext, updates
from tests.csms import outage
from tests.csms.conftest import Query
from tests.csms.gate import Gate, put_before
from tests.simulator.station import CallError
from tests.simulator.v16 import Station16

# Services, of which real ones are batches of rows too.


def store(values: Sequence[str], changes: Changes) -> list[str]:
    Location.objects.bulk_create(Location(name=value) for value in values)
    for value in values:
        changes.note_reading({"chargepoint_id": "CP1", "name": value})
    return [f"stored {value}" for value in values]


def stumble(values: Sequence[str], changes: Changes) -> list[str]:
    """Store, then fail for a value that is poisoned."""
    results = store(values, changes)
    if "poison" in values:
        raise ValueError("a poisoned value")
    return results


def refuse(values: Sequence[str], changes: Changes) -> list[Any]:
    return [ChargersError(value) if value == "refused" else value for value in values]


def store_tag(values: Sequence[str], changes: Changes) -> list[None]:
    IdTag.objects.bulk_create(IdTag(id_token=value, lookup_key=value.casefold()) for value in values)
    return [None] * len(values)


def store_connector(values: Sequence[str], changes: Changes) -> list[None]:
    """Store what the database refuses at the commit, not before."""
    Connector.objects.bulk_create(Connector(chargepoint_id=value, evse_id=1) for value in values)
    return [None] * len(values)


def stored() -> list[str]:
    return sorted(Location.objects.values_list("name", flat=True))


@pytest.fixture
def published() -> list[updates.Batch]:
    return []


@pytest.fixture
async def intake(transactional_db: None, published: list[updates.Batch]) -> AsyncIterator[Intake]:
    async with Intake(published.append) as running:
        yield running


async def behind(gate: Gate, intake: Intake, *units: tuple[tuple[Any, Any], ...]) -> list[Any]:
    """Submit units that the writer finds waiting all at once; return their results, or what they raised."""
    first = asyncio.create_task(intake.submit((gate, "first")))
    await gate.entered()
    waiting = [asyncio.create_task(intake.submit(*unit)) for unit in units]
    # Each is in the queue once its task has begun.
    await asyncio.sleep(0)
    gate.open()
    await first
    return await asyncio.gather(*waiting, return_exceptions=True)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with every commit of the writer."""
    made: list[str] = []
    commit = BaseDatabaseWrapper._commit

    def count(self: BaseDatabaseWrapper) -> Any:
        if threading.current_thread().name == "intake":
            made.append(self.alias)
        return commit(self)

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", count)
    return made


# A batch


async def test_what_waits_is_committed_once_and_each_service_called_once(
    intake: Intake, query: Query, commits: list[str]
) -> None:
    calls: list[Sequence[str]] = []

    def counted(values: Sequence[str], changes: Changes) -> list[str]:
        calls.append(list(values))
        return store(values, changes)

    names = [f"name{number:02}" for number in range(40)]
    results = await behind(Gate(store), intake, *[((counted, name),) for name in names])
    assert results == [[f"stored {name}"] for name in names]
    assert calls == [names]
    assert len(commits) == 2
    assert await query(stored) == ["first", *names]


async def test_a_batch_is_no_larger_than_the_setting(intake: Intake, settings: Settings) -> None:
    settings.INTAKE_MAX_BATCH = 10
    sizes: list[int] = []

    def measure(values: Sequence[str], changes: Changes) -> list[str]:
        sizes.append(len(values))
        return list(values)

    await behind(Gate(store), intake, *[((measure, "x"),) for _ in range(25)])
    assert sizes == [10, 10, 5]


async def test_one_unit_alone_does_not_wait_for_company(intake: Intake, commits: list[str]) -> None:
    assert await intake.submit((store, "alone")) == ["stored alone"]
    assert len(commits) == 1


async def test_results_of_a_unit_come_in_the_order_of_its_work(intake: Intake) -> None:
    work = [(store, "a"), (refuse, "b"), (store, "c")]
    assert await intake.submit(*work) == ["stored a", "b", "stored c"]


# What fails, fails alone


async def test_a_value_that_its_service_cannot_take_fails_alone(intake: Intake, query: Query) -> None:
    poisoned = metrics.POISONED._value.get()
    results = await behind(Gate(store), intake, *[((stumble, name),) for name in ("a", "b", "poison", "c")])
    assert [type(result) for result in results] == [list, list, ValueError, list]
    assert await query(stored) == ["a", "b", "c", "first"]
    assert metrics.POISONED._value.get() == poisoned + 1


async def test_the_line_about_a_value_that_failed_alone_names_its_station_and_message(
    intake: Intake, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caplog.handler, "filters", [ContextFilter()])

    async def submit(station: str, value: str) -> None:
        with logcontext.bound(chargepoint_id=station, request_id=f"{station}-17"):
            await intake.submit((stumble, value))

    await asyncio.gather(submit("CP1", "a"), submit("CP2", "poison"), submit("CP3", "b"), return_exceptions=True)
    (failed,) = [record for record in caplog.records if record.exc_info]
    assert (failed.chargepoint_id, failed.request_id) == ("CP2", "CP2-17")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("service", "good", "bad"),
    [(store_tag, "TAG2", "tag1"), (store_connector, None, "nowhere")],
    ids=["at once", "at the commit"],
)
async def test_a_value_that_the_database_refuses_fails_alone(
    intake: Intake, query: Query, service: Any, good: str | None, bad: str
) -> None:
    await query(lambda: IdTag.objects.create(id_token="TAG1"))
    units = [((store, "a"),), ((service, bad),), ((store, "b"),)]
    if good:
        units.append(((service, good),))
    results = await behind(Gate(store), intake, *units)
    assert [isinstance(result, Exception) for result in results] == [False, True, False, False][: len(units)]
    assert await query(stored) == ["a", "b", "first"]
    assert await intake.submit((store, "later")) == ["stored later"]


async def test_a_result_that_is_an_error_is_raised_for_its_unit_only_and_the_rest_is_stored(
    intake: Intake, query: Query, commits: list[str]
) -> None:
    units = [((store, "a"), (refuse, "refused")), ((refuse, "fine"), (store, "b"))]
    first, second = await behind(Gate(store), intake, *units)
    assert isinstance(first, ChargersError)
    assert second == ["fine", "stored b"]
    assert await query(stored) == ["a", "b", "first"]
    assert len(commits) == 2


async def test_work_of_one_unit_is_stored_together_or_not_at_all(intake: Intake, query: Query) -> None:
    units = [((store, "with"), (stumble, "poison")), ((store, "without"),)]
    failed, sound = await behind(Gate(store), intake, *units)
    assert isinstance(failed, ValueError)
    assert sound == ["stored without"]
    assert await query(stored) == ["first", "without"]


async def test_a_service_that_forgets_a_result_stores_nothing(intake: Intake, query: Query) -> None:
    def forget(values: Sequence[str], changes: Changes) -> list[str]:
        return store(values, changes)[1:]

    with pytest.raises(AssertionError, match="0 results for 1 values"):
        await intake.submit((forget, "x"))
    assert await query(stored) == []
    assert await intake.submit((store, "y")) == ["stored y"]


# Order


@pytest.mark.parametrize("poison", [False, True])
async def test_what_one_station_sends_is_stored_in_its_order(
    intake: Intake, query: Query, settings: Settings, poison: bool
) -> None:
    settings.INTAKE_MAX_BATCH = 7
    order: list[str] = []

    def in_order(values: Sequence[str], changes: Changes) -> list[None]:
        SecurityEvent.objects.bulk_create(
            SecurityEvent(
                chargepoint_id=value[:1],
                type=value,
                timestamp="2026-01-01T00:00:00Z",
                received_at="2026-01-01T00:00:00Z",
            )
            for value in values
        )
        if any(value.endswith("13") for value in values) and poison:
            raise ValueError("poison")
        return [None] * len(values)

    names = [f"{station}{number:02}" for number in range(20) for station in "ABC"]
    await behind(Gate(store), intake, *[((in_order, name),) for name in names])
    order = await query(lambda: list(SecurityEvent.objects.order_by("id").values_list("type", flat=True)))
    for station in "ABC":
        expected = [name for name in names if name[0] == station and not (poison and name.endswith("13"))]
        assert [name for name in order if name[0] == station] == expected


# Answers and commits


async def test_nobody_is_answered_before_the_commit(
    intake: Intake, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    commit = BaseDatabaseWrapper._commit

    def late(self: BaseDatabaseWrapper) -> Any:
        if threading.current_thread().name == "intake":
            reached.set()
            assert go_on.wait(10)
        return commit(self)

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", late)
    answer = asyncio.create_task(intake.submit((store, "late")))
    assert await asyncio.to_thread(reached.wait, 10)
    # Everything else the loop has to do is done, and still there is no answer.
    await asyncio.sleep(0.05)
    assert not answer.done()
    go_on.set()
    assert await answer == ["stored late"]
    assert await query(stored) == ["late"]


async def test_what_a_station_was_answered_can_be_read_at_once(station: Station16, query: Query) -> None:
    for number in range(10):
        await station.start(1, "TAG", meter_start=number)
        assert await query(lambda number=number: Transaction.objects.filter(wh_meter_start=number).exists())
        await station.stop(1, meter_stop=number + 1)
        assert await query(lambda number=number: Transaction.objects.filter(wh_meter_stop=number + 1).exists())


async def test_a_station_whose_message_cannot_be_stored_gets_no_answer_but_an_error(
    station: Station16, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(values: Sequence[Any], changes: Changes) -> Sequence[Any]:
        raise ValueError("secret detail")

    gate = put_before("SecurityEventNotification", monkeypatch)
    gate._service = fail
    gate.open()
    with pytest.raises(CallError) as error:
        await station.call("SecurityEventNotification", {"type": "x", "timestamp": "2026-01-01T00:00:00Z"})
    assert error.value.code == "InternalError"
    assert "secret" not in str(error.value)
    await station.heartbeat()


async def test_live_updates_come_after_the_answer_and_what_fails_there_fails_nothing_else(
    intake: Intake, published: list[updates.Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    await intake.submit((store, "a"))
    await intake.submit((store, "b"))
    assert [topic for batch in published for topic, _ in batch][:1] == ["metervalues"]

    def fail(*args: Any) -> updates.Batch:
        raise OperationalError("no such table")

    monkeypatch.setattr(updates, "render", fail)
    assert await intake.submit((store, "c")) == ["stored c"]
    monkeypatch.undo()
    assert await intake.submit((store, "d")) == ["stored d"]


async def test_nothing_is_told_to_listeners_of_what_was_rolled_back(
    intake: Intake, published: list[updates.Batch]
) -> None:
    await behind(Gate(store), intake, ((stumble, "a"),), ((stumble, "poison"),))
    await intake.submit((store, "last"))
    await asyncio.sleep(0)
    told = [frame for batch in published for _, frames in batch for _, frame in frames]
    assert sum('"name":"a"' in frame for frame in told) == 1
    assert not any("poison" in frame for frame in told)


# Who waits no more


async def test_who_stopped_waiting_before_the_writer_came_stores_nothing(intake: Intake, query: Query) -> None:
    gate = Gate(store)
    first = asyncio.create_task(intake.submit((gate, "first")))
    await gate.entered()
    leaver = asyncio.create_task(intake.submit((store, "leaver")))
    stayer = asyncio.create_task(intake.submit((store, "stayer")))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(first, stayer)
    assert await query(stored) == ["first", "stayer"]


async def test_leaving_the_intake_stores_and_answers_what_still_waits(transactional_db: None, query: Query) -> None:
    async with Intake(lambda batch: None) as intake:
        answers = [asyncio.create_task(intake.submit((store, f"n{number}"))) for number in range(9)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*answers) == [[f"stored n{number}"] for number in range(9)]
    assert len(await query(stored)) == 9


# Locks, deadlocks, outages


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    outage.shorten_lock_waits(monkeypatch)


async def test_what_a_deadlock_rolled_back_is_tried_again_and_stored_once(intake: Intake, query: Query) -> None:
    tries: list[int] = []

    def deadlocked(values: Sequence[str], changes: Changes) -> list[str]:
        tries.append(len(values))
        results = store(values, changes)
        if len(tries) < ATTEMPTS:
            raise OperationalError("deadlock detected")
        return results

    results = await behind(Gate(store), intake, ((deadlocked, "a"),), ((deadlocked, "b"),))
    assert results == [["stored a"], ["stored b"]]
    assert tries == [2] * ATTEMPTS
    assert await query(stored) == ["a", "b", "first"]


async def test_a_unit_that_always_deadlocks_fails_alone_and_can_come_again(intake: Intake, query: Query) -> None:
    def deadlocked(values: Sequence[str], changes: Changes) -> list[str]:
        if "poison" in values:
            raise OperationalError("deadlock detected")
        return store(values, changes)

    good, bad = await behind(Gate(store), intake, ((deadlocked, "good"),), ((deadlocked, "poison"),))
    assert good == ["stored good"]
    assert isinstance(bad, IntakeUnavailable)
    assert intake.available
    assert await query(stored) == ["first", "good"]


async def test_a_real_deadlock_is_survived(intake: Intake, query: Query) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one write lock, and so no deadlocks")
    await query(lambda: Location.objects.bulk_create([Location(name="one"), Location(name="two")]))
    holds_two = threading.Event()
    wants_two = threading.Event()

    def lock_both(values: Sequence[str], changes: Changes) -> list[str]:
        Location.objects.select_for_update().get(name="two")
        holds_two.set()
        assert wants_two.wait(10)
        Location.objects.select_for_update().get(name="one")
        return store(values, changes)

    def other_session(name: str) -> None:
        with closing(outage.server_connection(name)) as server, server.cursor() as cursor:
            server.autocommit = False
            # The other side looks for a deadlock first and is the one that gives way.
            cursor.execute("SET deadlock_timeout = '20s'")
            cursor.execute("SELECT 1 FROM chargers_location WHERE name = 'one' FOR UPDATE")
            assert holds_two.wait(10)
            wants_two.set()
            cursor.execute("SELECT 1 FROM chargers_location WHERE name = 'two' FOR UPDATE")
            server.rollback()

    other = asyncio.create_task(asyncio.to_thread(other_session, connection.settings_dict["NAME"]))
    assert await intake.submit((lock_both, "three")) == ["stored three"]
    await other
    assert await query(stored) == ["one", "three", "two"]


async def test_the_writer_survives_what_nobody_thought_of(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "a server that complains in Latin-1")

    def deadlocked(values: Sequence[str], changes: Changes) -> list[str]:
        raise OperationalError("connection lost")

    monkeypatch.setattr("csms.intake._reconnect", fail)
    with pytest.raises(UnicodeDecodeError):
        await intake.submit((deadlocked, "x"))
    monkeypatch.undo()
    assert await intake.submit((store, "y")) == ["stored y"]


async def test_a_connection_that_was_lost_while_idle_costs_nobody_an_error(intake: Intake, query: Query) -> None:
    assert await intake.submit((store, "before")) == ["stored before"]
    async with outage.database_away():
        pass
    assert await intake.submit((store, "after")) == ["stored after"]
    assert await query(stored) == ["after", "before"]


@pytest.mark.usefixtures("short_waits")
async def test_a_database_that_is_away_fails_everybody_who_waits_and_serves_them_when_it_is_back(
    intake: Intake, query: Query
) -> None:
    await intake.submit((store, "before"))
    async with outage.database_away():
        results = await asyncio.gather(
            *[intake.submit((store, f"n{number}")) for number in range(5)], return_exceptions=True
        )
        assert [type(result) for result in results] == [IntakeUnavailable] * 5
        assert not intake.available
    assert await intake.submit((store, "after")) == ["stored after"]
    assert intake.available
    assert await query(stored) == ["after", "before"]


@pytest.mark.usefixtures("short_waits")
async def test_stations_lose_nothing_that_was_acknowledged_while_the_database_comes_and_goes(
    url: str, query: Query
) -> None:
    acknowledged: list[str] = []
    refused = 0
    done = asyncio.Event()

    async def report(station: Station16) -> None:
        nonlocal refused
        number = 0
        while not done.is_set():
            name = f"{station.identity}-{number}"
            try:
                await station.call("SecurityEventNotification", {"type": name, "timestamp": "2026-01-01T00:00:00Z"})
            except CallError as error:
                if error.code != "InternalError":
                    raise
                refused += 1
                await asyncio.sleep(0.01)
            else:
                acknowledged.append(name)
                number += 1

    stations = [Station16(url, f"S{number}") for number in range(5)]
    await asyncio.gather(*[station.connect() for station in stations])
    reports = asyncio.gather(*[report(station) for station in stations])
    for _ in range(3):
        before, refusals = len(acknowledged), refused
        async with asyncio.timeout(10):
            while len(acknowledged) < before + 20:
                await asyncio.sleep(0.01)
        async with outage.database_away(), asyncio.timeout(10):
            while refused < refusals + 5:
                await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        last = len(acknowledged)
        while len(acknowledged) < last + 20:
            await asyncio.sleep(0.01)
    done.set()
    await reports
    await asyncio.gather(*[station.disconnect() for station in stations])
    kept = await query(lambda: list(SecurityEvent.objects.order_by("id").values_list("type", flat=True)))
    assert set(acknowledged) <= set(kept)
    for station in stations:
        mine = [name for name in dict.fromkeys(kept) if name.startswith(f"{station.identity}-")]
        assert mine == [f"{station.identity}-{number}" for number in range(len(mine))]


async def test_a_database_that_hangs_is_waited_for_no_longer_than_the_setting(
    intake: Intake, query: Query, settings: Settings
) -> None:
    settings.INTAKE_TIMEOUT = 0.3
    await intake.submit((store, "before"))
    async with outage.database_hangs("chargers_location"):
        async with asyncio.timeout(5):
            results = await asyncio.gather(
                *[intake.submit((store, f"n{number}")) for number in range(3)], return_exceptions=True
            )
        assert [type(result) for result in results] == [IntakeUnavailable] * 3
        assert not intake.available
        settings.INTAKE_TIMEOUT = 15
        patient = asyncio.create_task(intake.submit((store, "patient")))
        await asyncio.sleep(0)
    assert await patient == ["stored patient"]
    assert intake.available


async def test_who_was_given_up_while_waiting_in_line_is_not_stored_later(
    intake: Intake, query: Query, settings: Settings
) -> None:
    settings.INTAKE_TIMEOUT = 0.2
    gate = Gate(store)
    first = asyncio.create_task(intake.submit((gate, "first")))
    await gate.entered()
    with pytest.raises(IntakeUnavailable):
        await intake.submit((store, "given up"))
    with pytest.raises(IntakeUnavailable):
        await first
    gate.open()
    settings.INTAKE_TIMEOUT = 15
    assert await intake.submit((store, "later")) == ["stored later"]
    assert "given up" not in await query(stored)


async def test_a_batch_that_is_tried_again_leaves_out_who_was_given_up(
    intake: Intake, query: Query, settings: Settings
) -> None:
    settings.INTAKE_TIMEOUT = 0.2
    hold, tries = threading.Event(), []

    def locked(values: Sequence[str], changes: Changes) -> list[str]:
        tries.append(list(values))
        if len(tries) == 1:
            assert hold.wait(10)
            raise OperationalError("database is locked")
        return store(values, changes)

    with pytest.raises(IntakeUnavailable):
        await intake.submit((locked, "given up"))
    settings.INTAKE_TIMEOUT = 15
    hold.set()
    assert await intake.submit((store, "later")) == ["stored later"]
    assert await query(stored) == ["later"]
    assert tries == [["given up"]]


async def test_what_comes_when_a_node_has_stopped_is_told_so_and_waits_for_nobody(
    transactional_db: None, published: list[updates.Batch]
) -> None:
    async with Intake(published.append) as intake:
        pass
    async with asyncio.timeout(5):
        with pytest.raises(IntakeUnavailable):
            await intake.submit((store, "late"))
