"""A node in the database: its lease, what it reports, and what becomes of its stations without it."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.models import ChargePoint, CsmsNode, Deviation
from chargers.services import stations
from chargers.values import NodeReport
from csms.errors import IntakeUnavailable
from csms.lease import Lease
from csms.lease import report as stored_report
from csms.server import OcppServer
from tasks import commands
from tasks.models import Command
from tests.csms import operator, outage
from tests.csms.conftest import Query, query_in_thread
from tests.csms.waiting import until
from tests.simulator.station import CallError
from tests.simulator.v16 import Station16


@pytest.fixture
def short_lease(settings: Settings) -> None:
    settings.NODE_LEASE = 0.6


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    outage.shorten_lock_waits(monkeypatch)


def lease() -> datetime:
    return CsmsNode.objects.get().lease_until


async def vanish(server: OcppServer) -> None:
    """Let a node stop renewing its lease, as when its process is killed."""
    await asyncio.to_thread(server.lease.stop)
    server._reporter.cancel()
    await asyncio.gather(server._reporter, return_exceptions=True)


@pytest.mark.usefixtures("short_lease")
async def test_a_node_renews_its_lease_by_itself(server: OcppServer, query: Query) -> None:
    first = await query(lease)
    await until(lambda: lease() > first + timedelta(seconds=0.3))
    node = await query(lambda: CsmsNode.objects.get())
    assert (node.node_id, node.name) == (server.node_id, server.name)


async def test_stations_are_connected_however_long_the_node_takes_to_store(
    settings: Settings, transactional_db: None, redis_settings: None, query: Query
) -> None:
    settings.NODE_LEASE = 2
    # The next units wait for the ones before, twice as long as the lease altogether.
    settings.INTAKE_MAX_BATCH = 1

    def slow(values: Sequence[Any], changes: Changes) -> list[None]:
        # It has the lock on SQLite as well.
        CsmsNode.objects.filter(pk="nobody").update(name="nobody")
        time.sleep(0.1)
        return [None]

    async with (
        OcppServer("127.0.0.1", 0) as server,
        Station16(f"ws://127.0.0.1:{server.port}/ws/ocpp", "CP1") as station,
    ):
        await station.boot()
        storing = asyncio.gather(*(server.intake.submit((slow, None)) for _ in range(40)))
        while not storing.done():
            assert await query(lambda: ChargePoint.objects.with_connected(datetime.now(UTC)).get().connected)
            await asyncio.sleep(0.1)
        await storing


@pytest.mark.usefixtures("short_lease")
async def test_a_node_whose_event_loop_stands_still_lets_its_lease_run_out(server: OcppServer) -> None:
    renewed = Lease(server.node_id)
    renewed.start()
    try:
        # Nobody notes any life of the loop of this one.
        await vanish(server)
        await until(lambda: lease() < datetime.now(UTC))
        renewed.note_life()
        await until(lambda: lease() > datetime.now(UTC))
    finally:
        renewed.stop()


async def test_a_report_that_waited_does_not_shorten_the_lease(server: OcppServer, query: Query) -> None:
    now = datetime.now(UTC)
    report = NodeReport(server.node_id, server.name, now, now, [])
    await server.intake.submit((stored_report, report))
    assert await query(lease) > now


@pytest.mark.usefixtures("short_lease")
async def test_stations_of_a_node_that_vanished_are_offline_when_its_lease_is_over(
    server: OcppServer, station: Station16, query: Query
) -> None:
    await station.heartbeat()
    await vanish(server)
    command_id = await query(lambda: operator.create("Reset", {"type": "Soft"}))
    await until(lambda: lease() < datetime.now(UTC))
    row = await query(lambda: ChargePoint.objects.with_connected(datetime.now(UTC)).get())
    assert not row.connected
    await query(lambda: operator.relay(command_id))
    assert (await operator.row_of(command_id)).status == "offline"

    changes = Changes()
    await query(lambda: stations.sweep_nodes(now=datetime.now(UTC), changes=changes))
    assert changes.rows == {"chargepoint": {"CP1": "updated"}}
    assert (await query(lambda: ChargePoint.objects.get())).node_id is None


@pytest.mark.usefixtures("short_lease")
async def test_commands_that_a_vanished_node_held_are_ended_by_the_sweep(
    server: OcppServer, station: Station16, query: Query, settings: Settings
) -> None:
    settings.OCPP_TIMEOUT = 5
    await station.heartbeat()
    station.answers["Reset"] = None
    sent = await operator.ask("Reset", {"type": "Soft"})
    await station.expect_call("Reset")
    waiting = await operator.ask("ClearCache")
    later = datetime.now(UTC) + timedelta(seconds=60)
    assert await query(lambda: commands.sweep(now=later, changes=Changes())) == 2
    ended = await query(lambda: {row.pk: row for row in Command.objects.all()})
    assert ended[sent].status == "timeout"
    assert ended[waiting].status in ("offline", "timeout")
    assert all(row.finished_at and row.error for row in ended.values())


async def test_a_report_tells_when_stations_were_last_heard(server: OcppServer, url: str, query: Query) -> None:
    async with Station16(url, "CP1") as station:
        await station.boot()
        await query(lambda: ChargePoint.objects.update(last_seen=None))
        await server.report()
        seen = (await query(lambda: ChargePoint.objects.get())).last_seen
        assert datetime.now(UTC) - seen < timedelta(seconds=10)


async def test_deviations_that_repeat_are_counted_with_the_report(
    server: OcppServer, station: Station16, query: Query
) -> None:
    for _ in range(5):
        await station.send_raw("rubbish")
    await station.heartbeat()
    await until(lambda: Deviation.objects.exists())
    await server.report()
    deviation = await query(lambda: Deviation.objects.get())
    assert (deviation.chargepoint_id, deviation.kind, deviation.count) == ("CP1", "malformed-frame", 5)
    await server.report()
    assert (await query(lambda: Deviation.objects.get())).count == 5


@pytest.mark.usefixtures("short_waits")
async def test_what_was_counted_while_the_database_was_away_is_not_lost(
    server: OcppServer, station: Station16, query: Query
) -> None:
    await station.send_raw("rubbish")
    await station.heartbeat()
    await until(lambda: Deviation.objects.exists())
    async with outage.database_away():
        for _ in range(3):
            await station.send_raw("rubbish")
        with pytest.raises(CallError):
            await station.heartbeat()
        with pytest.raises(IntakeUnavailable):
            await server.report()
    await server.report()
    assert (await query(lambda: Deviation.objects.get())).count == 4


@pytest.mark.usefixtures("short_waits")
async def test_a_node_that_starts_without_a_database_waits_for_it(transactional_db: None, redis_settings: str) -> None:
    server = OcppServer("127.0.0.1", 0)
    async with outage.database_away():
        starting = asyncio.create_task(server.__aenter__())
        async with asyncio.timeout(5):
            while server.intake.available:
                await asyncio.sleep(0.02)
        assert not starting.done()
    async with asyncio.timeout(5):
        await starting
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{server.port}/healthz")).status_code == 200
    await server.__aexit__(None, None, None)


async def test_a_node_that_ends_takes_its_row_with_it_and_leaves_others(
    server: OcppServer, station: Station16, query: Query
) -> None:
    await station.heartbeat()
    async with OcppServer("127.0.0.1", 0) as second:
        assert await query(lambda: CsmsNode.objects.count()) == 2
        assert second.node_id != server.node_id
    assert (await query(lambda: CsmsNode.objects.get())).node_id == server.node_id
    row = await query_in_thread(lambda: ChargePoint.objects.with_connected(datetime.now(UTC)).get())
    assert row.connected


async def test_an_old_node_is_forgotten_a_day_later(server: OcppServer, query: Query) -> None:
    now = datetime.now(UTC)

    def sweep(later: timedelta) -> int:
        CsmsNode.objects.create(node_id=str(later), name="old", started_at=now, lease_until=now - later)
        stations.sweep_nodes(now=now, changes=Changes())
        return CsmsNode.objects.filter(name="old").count()

    assert await query(lambda: sweep(timedelta(hours=23))) == 1
    assert await query(lambda: sweep(timedelta(hours=25))) == 1
