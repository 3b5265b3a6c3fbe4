"""A connection's life: taken over, watched, greeted, limited and drained."""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
import websockets
from pytest_django.fixtures import Settings
from websockets.frames import Frame, Opcode

from chargers.choices import RegistrationStatus
from chargers.models import ChargePoint, CsmsNode, Deviation, SecurityEvent
from csms.server import OcppServer
from tasks import commands
from tasks.models import Command
from tests.csms import operator, outage
from tests.csms.conftest import Query
from tests.csms.gate import Gate, put_before
from tests.csms.waiting import until
from tests.simulator.station import CallError, Disconnected, silence_pongs
from tests.simulator.v16 import Station16


def connected(identity: str = "CP1") -> bool:
    return bool(ChargePoint.objects.with_connected(datetime.now(UTC)).get(pk=identity).connected)


async def get(server: OcppServer, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{server.port}{path}")


async def metric(server: OcppServer, name: str) -> float:
    text = (await get(server, "/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


# Take-over


async def test_the_newest_connection_wins_and_the_old_one_is_closed(
    server: OcppServer, station: Station16, url: str, query: Query
) -> None:
    await station.heartbeat()
    before = await metric(server, "ocpp_takeovers_total")
    async with Station16(url, "CP1") as newer:
        assert await station.wait_closed() == (1000, "the station connected anew")
        await newer.heartbeat()
        await until(lambda: connected())
        assert await metric(server, "ocpp_takeovers_total") == before + 1
        assert (await get(server, "/healthz")).json()["connections"] == 1
    await until(lambda: not connected())


async def test_the_end_of_a_half_open_connection_leaves_the_newer_one_online(
    server: OcppServer, station: Station16, url: str, query: Query
) -> None:
    await station.heartbeat()
    station.freeze()
    async with Station16(url, "CP1") as newer:
        await newer.heartbeat()
        connection_id = (await query(lambda: ChargePoint.objects.get())).connection_id
        await station.drop()
        await newer.heartbeat()
        # A report compares the node's connections with what the database holds.
        await server.report()
        assert (await query(lambda: ChargePoint.objects.get())).connection_id == connection_id
        assert await query(connected)
        assert (await operator.perform("Reset", {"type": "Soft"})).status == "answered"


async def test_of_many_connections_at_once_exactly_one_stays(server: OcppServer, url: str, query: Query) -> None:
    stations = [Station16(url, "CP1" if number % 2 else "cp1") for number in range(20)]
    await asyncio.gather(*[station.connect() for station in stations])

    async def survives(station: Station16) -> bool:
        try:
            await station.heartbeat()
            await asyncio.sleep(0.2)
            await station.heartbeat()
        except Disconnected:
            return False
        return True

    survivors = [
        each for each, alive in zip(stations, await asyncio.gather(*map(survives, stations)), strict=True) if alive
    ]
    assert len(survivors) == 1
    assert await query(lambda: ChargePoint.objects.count()) == 1
    assert await query(lambda: connected(ChargePoint.objects.get().pk))
    await survivors[0].disconnect()
    await until(lambda: not connected(ChargePoint.objects.get().pk))
    await asyncio.gather(*[each.disconnect() for each in stations])


async def test_a_message_that_is_being_stored_at_the_take_over_is_stored(
    station: Station16, url: str, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    await station.heartbeat()
    gate = put_before("SecurityEventNotification", monkeypatch)
    event = {"type": "SettingSystemTime", "timestamp": "2026-01-01T00:00:00Z"}
    sending = asyncio.create_task(station.call("SecurityEventNotification", event))
    await gate.entered()
    newer = Station16(url, "CP1")
    connecting = asyncio.create_task(newer.connect())
    gate.open()
    await connecting
    with contextlib.suppress(Disconnected):
        await sending
    await newer.heartbeat()
    assert await query(lambda: SecurityEvent.objects.count()) == 1
    await newer.disconnect()


# Pings and dead peers


@pytest.fixture
def quick_pings(settings: Settings) -> None:
    settings.OCPP_PING_INTERVAL = 0.1
    settings.OCPP_PING_TIMEOUT = 0.2


def count_pings(station: Station16) -> asyncio.Queue[bytes]:
    """Return a queue that gets the data of every ping from now on, answered or not."""
    assert station.connection is not None
    pings: asyncio.Queue[bytes] = asyncio.Queue()
    process = station.connection.protocol.recv_frame

    def note(frame: Frame) -> None:
        if frame.opcode is Opcode.PING:
            pings.put_nowait(bytes(frame.data))
        process(frame)

    station.connection.protocol.recv_frame = note  # type: ignore[method-assign]
    return pings


async def next_pings(pings: asyncio.Queue[bytes], count: int) -> None:
    async with asyncio.timeout(5):
        for _ in range(count):
            await pings.get()


@pytest.mark.usefixtures("quick_pings")
async def test_a_station_that_answered_pings_and_falls_silent_is_dropped(
    server: OcppServer, url: str, settings: Settings
) -> None:
    # Long enough that a busy machine does not make the other one silent as well.
    settings.OCPP_PING_TIMEOUT = 2
    before = await metric(server, "ocpp_dead_peers_total")
    async with Station16(url, "CP1") as station, Station16(url, "CP2") as other:
        await next_pings(count_pings(station), 2)
        station.freeze()
        async with asyncio.timeout(5):
            while (await get(server, "/healthz")).json()["connections"] > 1:
                await asyncio.sleep(0.1)
        assert await metric(server, "ocpp_dead_peers_total") == before + 1
        await other.heartbeat()
        await station.drop()
    await until(lambda: not connected("CP1"))


@pytest.mark.usefixtures("quick_pings")
async def test_a_station_that_never_answers_pings_stays(server: OcppServer, url: str) -> None:
    async with Station16(url, "CP1", answers_pings=False) as station:
        await next_pings(count_pings(station), 6)
        await station.heartbeat()
        # Pings that are never answered must not pile up.
        (connection,) = server._server.connections
        assert len(connection.pending_pings) == 0


@pytest.mark.usefixtures("quick_pings")
async def test_a_silent_station_that_sends_frames_stays_whatever_its_pongs(url: str) -> None:
    async with Station16(url, "CP1") as station:
        pings = count_pings(station)
        await next_pings(pings, 2)
        assert station.connection is not None
        silence_pongs(station.connection)
        for _ in range(8):
            await next_pings(pings, 1)
            await station.heartbeat()


@pytest.mark.usefixtures("quick_pings")
async def test_a_station_that_never_answers_pings_is_given_three_heartbeats(
    server: OcppServer, url: str, settings: Settings
) -> None:
    settings.OCPP_HEARTBEAT_INTERVAL = 0.2
    async with Station16(url, "CP1", answers_pings=False) as station:
        assert (await station.wait_closed())[0] == 1001


async def test_without_a_ping_interval_no_pings_are_sent(
    settings: Settings, transactional_db: None, redis_settings: str
) -> None:
    settings.OCPP_PING_INTERVAL = 0
    settings.OCPP_PING_TIMEOUT = 0.04
    async with (
        OcppServer("127.0.0.1", 0) as server,
        Station16(f"ws://127.0.0.1:{server.port}/ws/ocpp", "CP1") as station,
    ):
        pings = count_pings(station)
        # Many ticks of the watch, none of which may ping or close.
        await asyncio.sleep(0.3)
        await station.heartbeat()
        assert pings.empty()


# What one connection may cost


@pytest.fixture
def small_limit(settings: Settings) -> None:
    settings.OCPP_MAX_MESSAGE_SIZE = 4096


@pytest.mark.usefixtures("small_limit")
async def test_a_message_beyond_the_limit_closes_that_connection_only(url: str) -> None:
    async with Station16(url, "CP1") as station, Station16(url, "CP2") as other:
        large = {"vendorId": "x", "data": "y" * 3500}
        assert (await station.call("DataTransfer", large))["status"] == "UnknownVendorId"
        await station.send_raw('[2,"1","DataTransfer",{"vendorId":"x","data":"' + "y" * 8000 + '"}]')
        assert (await station.wait_closed())[0] == 1009
        await other.heartbeat()
    async with Station16(url, "CP1") as again:
        await again.heartbeat()


@pytest.fixture
def short_sends(settings: Settings) -> None:
    settings.OCPP_SEND_TIMEOUT = 0.3


async def send_for_ever(station: Station16) -> None:
    rubbish = json.dumps([2, "i" * 250, "x" * 200, {}])
    async with asyncio.timeout(20):
        while True:
            await station.send_raw(rubbish)


@pytest.mark.usefixtures("short_sends")
async def test_a_station_that_sends_and_never_reads_is_dropped(server: OcppServer, url: str) -> None:
    async with Station16(url, "CP2") as other:
        station = Station16(url, "CP1")
        await station.connect()
        await station.heartbeat()
        assert station.connection is not None
        for connection in server._server.connections:
            # A small buffer fills sooner.
            connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        station.freeze()
        with pytest.raises(Disconnected):
            await send_for_ever(station)
        await other.heartbeat()
        await station.drop()
    await until(lambda: not connected("CP1"))


# Registration status


@pytest.mark.parametrize("status", [RegistrationStatus.PENDING, RegistrationStatus.REJECTED])
async def test_a_station_that_is_not_accepted_may_boot_and_little_else(
    url: str, query: Query, status: RegistrationStatus
) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=status))
    async with Station16(url, "CP1") as station:
        refused = {"Heartbeat": {}, "Authorize": {"idTag": "T"}, "DataTransfer": {"vendorId": "x"}}
        for _ in range(2):
            for action, payload in refused.items():
                with pytest.raises(CallError) as error:
                    await station.call(action, payload)
                assert error.value.code == "SecurityError"
            assert (await station.boot())["status"] == status
        event = {"type": "StartupOfTheDevice", "timestamp": "2026-01-01T00:00:00Z"}
        assert await station.call("SecurityEventNotification", event) == {}
    assert await query(lambda: SecurityEvent.objects.count()) == 1
    assert (await query(lambda: ChargePoint.objects.get())).chargepoint_vendor == "Simulated"


async def test_a_station_is_served_from_its_next_boot_on_when_it_is_accepted(url: str, query: Query) -> None:
    await query(
        lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=RegistrationStatus.PENDING)
    )
    async with Station16(url, "CP1") as station:
        assert (await station.boot())["status"] == "Pending"
        await query(lambda: ChargePoint.objects.update(registration_status=RegistrationStatus.ACCEPTED))
        answer = await station.boot()
        assert answer["status"] == "Accepted"
        assert answer["interval"] > 0
        await station.heartbeat()


async def test_a_pending_station_may_send_what_it_was_told_to(url: str, query: Query) -> None:
    await query(
        lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=RegistrationStatus.PENDING)
    )
    async with Station16(url, "CP1", autonomous=True) as station:
        await station.boot()
        with pytest.raises(CallError):
            await station.status(1)
        command = await operator.perform("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1})
        assert command.response == {"status": "Accepted"}
        await until(lambda: ChargePoint.objects.get().connectors.exists())
        with pytest.raises(CallError):
            await station.heartbeat()


async def test_a_known_station_need_not_boot_to_be_served(url: str, query: Query) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", last_boot=datetime.now(UTC)))
    async with Station16(url, "CP1") as station:
        await station.status(1)
        await station.heartbeat()


# Greeting


@pytest.fixture
def quick_greeting(settings: Settings) -> None:
    settings.OCPP_GREETING_GRACE = 0.2
    # The watch looks as often as half of this.
    settings.OCPP_PING_TIMEOUT = 0.1


def triggered(station: Station16) -> list[str]:
    return [call.payload["requestedMessage"] for call in station.calls if call.action == "TriggerMessage"]


@pytest.mark.usefixtures("quick_greeting")
async def test_a_station_that_says_nothing_is_asked_who_it_is_and_how_it_is(url: str, query: Query) -> None:
    async with Station16(url, "CP1", autonomous=True) as station:
        await until(lambda: ChargePoint.objects.get().connectors.exists())
        assert triggered(station) == ["BootNotification", "StatusNotification"]
        assert (await query(lambda: ChargePoint.objects.get())).chargepoint_vendor == "Simulated"


@pytest.mark.usefixtures("quick_greeting")
async def test_a_known_station_is_asked_for_its_status_only_once_and_again_on_its_next_connection(
    url: str, query: Query
) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1", last_boot=datetime.now(UTC)))
    async with Station16(url, "CP1") as station:
        await station.expect_call("TriggerMessage")
        # Longer than another grace.
        await asyncio.sleep(0.4)
        assert triggered(station) == ["StatusNotification"]
    async with Station16(url, "CP1") as station:
        await station.expect_call("TriggerMessage")


@pytest.mark.usefixtures("quick_greeting")
async def test_a_station_that_told_everything_is_asked_nothing(url: str, settings: Settings) -> None:
    grace, settings.OCPP_GREETING_GRACE = settings.OCPP_GREETING_GRACE, 60
    async with Station16(url, "CP1") as station, Station16(url, "CP2") as silent:
        await station.boot()
        await station.status(0)
        await station.status(1)
        settings.OCPP_GREETING_GRACE = grace
        await silent.expect_call("TriggerMessage")
        assert station.calls == []


@pytest.mark.usefixtures("quick_greeting")
async def test_what_a_station_is_to_be_asked_when_it_has_just_left_ends_as_offline(
    server: OcppServer, url: str, query: Query, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OCPP_TIMEOUT = 0.4
    gate = Gate(commands.request)
    monkeypatch.setattr(commands, "request", gate)
    async with Station16(url, "CP1") as station:
        await gate.entered()
        await station.drop()
        async with asyncio.timeout(5):
            while (await get(server, "/healthz")).json()["connections"]:
                await asyncio.sleep(0.01)
    gate.open()
    await until(lambda: [row.status for row in Command.objects.all()] == ["offline"] * 2)
    assert await query(lambda: Command.objects.filter(sent_at=None).count()) == 2
    assert not await query(lambda: Deviation.objects.filter(kind="call-unanswered").exists())


@pytest.mark.usefixtures("quick_greeting")
async def test_a_rejected_station_is_left_alone(url: str, query: Query) -> None:
    await query(
        lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=RegistrationStatus.REJECTED)
    )
    async with Station16(url, "CP1") as station, Station16(url, "CP2") as later:
        await later.expect_call("TriggerMessage")
        assert station.calls == []


# Drain


@pytest.fixture
async def draining(transactional_db: None, redis_settings: str) -> AsyncIterator[OcppServer]:
    """A node whose end the test begins itself, with `leave`."""
    server = OcppServer("127.0.0.1", 0)
    await server.__aenter__()
    yield server
    if not server._draining:
        await server.__aexit__(None, None, None)


def leave(server: OcppServer) -> asyncio.Task[None]:
    return asyncio.create_task(server.__aexit__(None, None, None))


async def test_a_drain_finishes_what_is_served_and_sends_stations_away_to_come_back(
    draining: OcppServer, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"ws://127.0.0.1:{draining.port}/ws/ocpp"
    busy, idle = Station16(url, "CP1"), Station16(url, "CP2")
    idle.answers["Reset"] = None
    await busy.connect()
    await idle.connect()
    await busy.heartbeat()
    await idle.heartbeat()
    command_id = await operator.ask("Reset", {"type": "Soft"}, "CP2")
    await idle.expect_call("Reset")
    gate = put_before("SecurityEventNotification", monkeypatch)
    event = {"type": "SettingSystemTime", "timestamp": "2026-01-01T00:00:00Z"}
    sending = asyncio.create_task(busy.call("SecurityEventNotification", event))
    await gate.entered()

    leaving = leave(draining)
    assert (await idle.wait_closed())[0] == 1012
    with pytest.raises((OSError, websockets.InvalidHandshake)):
        await Station16(url, "CP3").connect()
    assert not sending.done()
    gate.open()
    assert await sending == {}
    assert await busy.wait_closed() == (1012, "the server restarts")
    async with asyncio.timeout(5):
        await leaving

    assert await query(lambda: SecurityEvent.objects.count()) == 1
    assert (await operator.row_of(command_id)).status == "offline"
    assert not await query(lambda: connected("CP1"))
    assert await query(lambda: CsmsNode.objects.count()) == 0
    await busy.disconnect()
    await idle.disconnect()


async def test_a_drain_does_not_wait_for_ever(draining: OcppServer, settings: Settings, query: Query) -> None:
    settings.OCPP_DRAIN_TIMEOUT = 0.3
    station = Station16(f"ws://127.0.0.1:{draining.port}/ws/ocpp", "CP1")
    await station.connect()
    await station.heartbeat()
    station.freeze()
    async with asyncio.timeout(5):
        await leave(draining)
    assert not await query(connected)
    await station.drop()


async def test_a_node_that_ends_leaves_no_command_open_and_no_station_online(
    draining: OcppServer, query: Query
) -> None:
    stations = [Station16(f"ws://127.0.0.1:{draining.port}/ws/ocpp", f"CP{number}") for number in range(10)]
    for station in stations:
        station.answers["Reset"] = None
        await station.connect()
        await station.heartbeat()
    ids = [await operator.ask("Reset", {"type": "Soft"}, station.identity) for station in stations for _ in range(3)]
    await asyncio.gather(*[station.expect_call("Reset") for station in stations])
    await leave(draining)
    assert {(await operator.row_of(each)).status for each in ids} == {"offline"}
    assert not await query(lambda: ChargePoint.objects.filter(node__isnull=False).exists())
    assert {(await station.wait_closed())[0] for station in stations} == {1012}
    await asyncio.gather(*[station.disconnect() for station in stations])


# The database away


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    outage.shorten_lock_waits(monkeypatch)
    settings.NODE_LEASE = 1.5


@pytest.mark.usefixtures("impatient")
async def test_without_the_database_nobody_is_let_in_and_those_who_are_in_stay(
    server: OcppServer, station: Station16, url: str
) -> None:
    await station.heartbeat()
    async with outage.database_away():
        with pytest.raises(CallError) as error:
            await station.heartbeat()
        assert error.value.code == "InternalError"
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await Station16(url, "CP2").connect()
        assert refusal.value.response.status_code == 503
        health = await get(server, "/healthz")
        assert (health.status_code, health.json()["status"]) == (503, "database unavailable")
    await station.heartbeat()
    async with Station16(url, "CP2") as other:
        await other.heartbeat()
    assert (await get(server, "/healthz")).status_code == 200


@pytest.mark.usefixtures("impatient")
async def test_a_station_that_left_while_the_database_was_away_is_offline_when_it_is_back(
    station: Station16, query: Query
) -> None:
    await station.heartbeat()
    async with outage.database_away():
        with pytest.raises(CallError):
            await station.heartbeat()
        await station.disconnect()
        await asyncio.sleep(0.5)
    await until(lambda: not connected())


# What an operator of the node sees


async def test_health_tells_the_node_and_how_many_stations_it_has(server: OcppServer, station: Station16) -> None:
    await station.heartbeat()
    answer = await get(server, "/healthz?verbose")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"status": "ok", "node": server.name, "connections": 1}


async def test_metrics_count_connections_messages_batches_and_refusals(server: OcppServer, station: Station16) -> None:
    names = {
        'ocpp_messages_total{action="Heartbeat",result="answered"}': 2,
        'ocpp_messages_total{action="other",result="NotImplemented"}': 1,
        'ocpp_handshakes_total{result="bad identity"}': 1,
        "ocpp_malformed_frames_total": 1,
        'ocpp_deviations_total{kind="malformed-frame"}': 1,
        'ocpp_calls_total{action="Reset",result="answered"}': 1,
    }
    before = {name: await metric(server, name) for name in names}
    batches = await metric(server, "intake_batch_size_count")
    await station.heartbeat()
    await station.heartbeat()
    with pytest.raises(CallError):
        await station.call("Nonsense", {})
    await station.send_raw("rubbish")
    await operator.perform("Reset", {"type": "Soft"})
    assert (await get(server, "/ws/ocpp/")).status_code == 426
    with pytest.raises(websockets.InvalidStatus):
        await Station16("", "", address=f"ws://127.0.0.1:{server.port}/ws/ocpp/%00").connect()
    assert {name: await metric(server, name) - value for name, value in before.items()} == names
    assert await metric(server, "ocpp_connections") == 1
    assert await metric(server, "intake_batch_size_count") > batches
    assert (await get(server, "/metrics")).headers["content-type"].startswith("text/plain")
