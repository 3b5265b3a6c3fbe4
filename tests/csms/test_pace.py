"""Who sends too fast is read more slowly: nothing is lost, and nobody else waits."""

import asyncio
import contextlib
import json
import socket
import time

import pytest
import uvloop
import websockets
from pytest_django.fixtures import Settings

from chargers.models import Deviation, MeterValue, SecurityEvent
from csms import pace
from csms.pace import COUNTED_AT_ONCE, Pace, Seldom
from csms.server import OcppServer
from tests.csms.conftest import Query
from tests.csms.test_tls import metric
from tests.csms.waiting import until
from tests.simulator.v16 import Station16

LOOP = uvloop.new_event_loop

# So few that any machine has more to wait for than to do.
RATE, BURST = 20, 20


@pytest.fixture(autouse=True)
def limits(settings: Settings) -> None:
    settings.OCPP_MAX_MESSAGE_RATE, settings.OCPP_MAX_MESSAGE_BURST = RATE, BURST
    settings.OCPP_PING_INTERVAL = 0
    settings.OCPP_CLOSE_TIMEOUT = 0.5


# The bucket


def test_a_burst_passes_at_once_and_what_follows_waits_for_its_room() -> None:
    bucket = Pace(10, 5)
    assert [bucket.take(1, 100.0) for _ in range(5)] == [100.0] * 5
    assert bucket.take(1, 100.0) == pytest.approx(100.1)
    assert bucket.take(3, 100.0) == pytest.approx(100.4)
    assert bucket.room_at() == pytest.approx(100.4)


def test_a_bucket_that_was_left_alone_holds_a_burst_again_and_no_more() -> None:
    bucket = Pace(10, 5)
    bucket.take(50, 100.0)
    assert bucket.take(5, 1000.0) == 1000.0
    assert bucket.take(1, 1000.0) == pytest.approx(1000.1)


def test_a_bucket_can_be_filled_until_a_moment() -> None:
    bucket = Pace(10, 5)
    bucket.fill(160.0)
    assert bucket.room_at() == pytest.approx(160.0)
    bucket.fill(130.0)
    assert bucket.room_at() == pytest.approx(160.0)


def test_a_subject_is_told_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    seldom = Seldom()
    assert [seldom.may_tell("CP1", at) for at in (5.0, 6.0, 64.9, 65.0, 66.0)] == [True, False, False, True, False]
    monkeypatch.setattr(pace, "MOST_SUBJECTS", 3)
    assert all(seldom.may_tell(f"CP{number}", 70.0) for number in range(2, 6))
    assert len(seldom._last) == 3


# Over real sockets


def reading(number: int) -> str:
    sampled = [{"timestamp": "2026-03-01T10:00:00Z", "sampledValue": [{"value": str(number)}]}]
    return json.dumps([2, f"m{number}", "MeterValues", {"connectorId": 1, "meterValue": sampled}])


def answered(server: OcppServer, name: str) -> str:
    return f'ocpp_pauses_total{{limit="{name}"}}'


@pytest.mark.parametrize("padding", [0, 2048])
async def test_a_station_that_floods_is_slowed_loses_nothing_and_slows_nobody(
    server: OcppServer, station: Station16, url: str, query: Query, caplog: pytest.LogCaptureFixture, padding: int
) -> None:
    count = 60 if not padding else 30
    before = await metric(server, answered(server, "station"))
    began = time.monotonic()
    for number in range(count):
        # Blanks behind the frame make a message twice as large as one that counts once.
        await station.send_raw(reading(number) + " " * padding)
    async with Station16(url, "CP2") as other:
        for _ in range(5):
            await other.heartbeat()
        # The flood goes on meanwhile.
        assert len([frame for frame in station.frames if not frame.sent]) < count
    answers = [(await station.next_frame()).json() for _ in range(count)]
    took = time.monotonic() - began
    assert answers == [[3, f"m{number}", {}] for number in range(count)]
    assert took > (60 - BURST - 2 * COUNTED_AT_ONCE) / RATE
    stored = await query(lambda: list(MeterValue.objects.order_by("pk").values_list("samples", flat=True)))
    assert [int(samples[0]["value"]) for samples in stored] == list(range(count))
    assert await metric(server, answered(server, "station")) > before
    assert caplog.text.count("CP1 is read more slowly: too many of its messages") == 1
    assert "CP2 is read more slowly" not in caplog.text
    await server.report()
    assert await query(lambda: Deviation.objects.get(kind="messages-too-fast").chargepoint_id) == "CP1"


async def test_a_new_connection_does_not_empty_the_bucket(server: OcppServer, url: str) -> None:
    async with Station16(url, "CP1") as station:
        server._stations["CP1"].pace.fill(station_time() + 30)  # type: ignore[union-attr]
        await station.heartbeat()
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await Station16(url, "CP1").connect()
    assert refusal.value.response.status_code == 429
    assert 25 < int(refusal.value.response.headers["Retry-After"]) <= 30
    async with Station16(url, "CP2") as other:
        await other.heartbeat()


async def test_a_station_that_connects_again_and_again_is_told_to_wait(server: OcppServer, url: str) -> None:
    before = await metric(server, 'ocpp_handshakes_total{result="too fast"}')
    statuses = []
    for _ in range(10):
        try:
            async with Station16(url, "CP1") as station:
                await station.heartbeat()
            statuses.append(101)
        except websockets.InvalidStatus as refusal:
            statuses.append(refusal.response.status_code)
    assert statuses[0] == 101
    assert 429 in statuses
    assert await metric(server, 'ocpp_handshakes_total{result="too fast"}') == before + statuses.count(429)


async def test_a_station_that_is_slowed_is_not_taken_for_dead_and_can_be_drained(
    settings: Settings, transactional_db: None, redis_settings: None
) -> None:
    settings.OCPP_HEARTBEAT_INTERVAL = 0.5
    settings.OCPP_PING_TIMEOUT = 0.1
    async with OcppServer("127.0.0.1", 0) as server:
        station = Station16(f"ws://127.0.0.1:{server.port}/ws/ocpp", "CP1")
        await station.connect()
        server._stations["CP1"].pace.fill(station_time() + 2.5)  # type: ignore[union-attr]
        for number in range(COUNTED_AT_ONCE + 1):
            await station.send_raw(reading(number))
        for _ in range(COUNTED_AT_ONCE):
            await station.next_frame()
        # Nothing is read for longer than a silent station has.
        assert (await station.next_frame()).json()[1] == f"m{COUNTED_AT_ONCE}"
        server._stations["CP1"].pace.fill(station_time() + 60)  # type: ignore[union-attr]
        for number in range(COUNTED_AT_ONCE - 1):
            await station.send_raw(reading(number))
            await station.next_frame()
    assert await station.wait_closed() == (1012, "the server restarts")


async def test_all_stations_together_keep_to_the_total_and_share_it_evenly(
    settings: Settings, transactional_db: None, redis_settings: None, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OCPP_MAX_MESSAGE_RATE = 0
    settings.OCPP_MAX_TOTAL_RATE = 20
    counts = {"CP1": 0, "CP2": 0, "CP3": 0}

    async def send(url: str, name: str) -> None:
        station = Station16(url, name)
        await station.connect()
        try:
            for number in range(300):
                await station.send_raw(reading(number))
            while await station.next_frame():
                counts[name] += 1
        finally:
            await station.drop()

    async with OcppServer("127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.port}/ws/ocpp"
        began = time.monotonic()
        senders = [asyncio.create_task(send(url, name)) for name in counts]
        while sum(counts.values()) < 90:
            await asyncio.sleep(0.01)
        took = time.monotonic() - began
        fair = dict(counts)
        for each in senders:
            each.cancel()
        await asyncio.wait(senders)
        assert took > (90 - 20 - 6 * COUNTED_AT_ONCE) / 20
        assert min(fair.values()) >= 10
        assert await metric(server, answered(server, "total")) > 0
    assert caplog.text.count("too many of all messages") == 1


async def test_without_a_rate_nobody_is_slowed(
    settings: Settings, transactional_db: None, redis_settings: None
) -> None:
    settings.OCPP_MAX_MESSAGE_RATE = 0
    async with (
        OcppServer("127.0.0.1", 0) as server,
        Station16(f"ws://127.0.0.1:{server.port}/ws/ocpp", "CP1") as station,
    ):
        before = await metric(server, answered(server, "station"))
        for number in range(100):
            await station.send_raw(reading(number))
        for _ in range(100):
            await station.next_frame()
        assert station.connection is not None
        for _ in range(100):
            await station.connection.ping()
        await station.heartbeat()
        assert await metric(server, answered(server, "station")) == before


# Pings


async def test_a_flood_of_pings_ends_the_connection_and_keeps_the_station_out_for_a_while(
    server: OcppServer, station: Station16, url: str, query: Query
) -> None:
    before = await metric(server, "ocpp_floods_total")
    await station.heartbeat()
    assert station.connection is not None
    for _ in range(10 * BURST):
        with contextlib.suppress(websockets.ConnectionClosed):
            await station.connection.ping()
    assert await station.wait_closed() == (1008, "too many pings")
    assert await metric(server, "ocpp_floods_total") == before + 1
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await Station16(url, "CP1").connect()
    assert refusal.value.response.status_code == 429
    await until(lambda: SecurityEvent.objects.filter(chargepoint="CP1", type="InvalidMessages").exists())
    async with Station16(url, "CP2") as other:
        await other.heartbeat()


async def test_a_flood_of_pings_from_a_station_that_reads_nothing_fills_no_memory(
    server: OcppServer, station: Station16
) -> None:
    await station.heartbeat()
    (connection,) = server._stations.values()
    transport = connection._socket.transport
    station.freeze()
    raw = station.connection.transport  # type: ignore[union-attr]
    for _ in range(50):
        raw.write((b"\x89\x80" + bytes(4)) * 1000)
        await asyncio.sleep(0.001)
    async with asyncio.timeout(10):
        while server._stations:
            assert transport.get_write_buffer_size() < 100_000
            await asyncio.sleep(0.01)


async def test_a_station_that_reads_no_answer_to_its_pings_is_cut_by_the_next_ping(
    settings: Settings, transactional_db: None, redis_settings: None, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OCPP_MAX_MESSAGE_RATE = 0
    settings.OCPP_PING_INTERVAL, settings.OCPP_SEND_TIMEOUT = 0.5, 0.2
    async with OcppServer("127.0.0.1", 0) as server:
        station = Station16(f"ws://127.0.0.1:{server.port}/ws/ocpp", "CP1")
        await station.connect()
        await station.heartbeat()
        station.freeze()
        raw = station.connection.transport  # type: ignore[union-attr]
        # Between the two the network keeps little.
        raw.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        answering = server._stations["CP1"]._socket.transport
        answering.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        raw.write((b"\x89\xfd" + bytes(4) + bytes(125)) * 2000)
        async with asyncio.timeout(20):
            while server._stations:
                await asyncio.sleep(0.01)
        await station.drop()
    assert "CP1 reads nothing, closing" in caplog.text


def station_time() -> float:
    """Return the time that paces are measured in."""
    return asyncio.get_running_loop().time()
