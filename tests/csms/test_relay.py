"""The Redis side of a node: commands come in and news go out, and without Redis stations are served all the same."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from channels.layers import channel_layers, get_channel_layer
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.models import ChargePoint, Transaction
from csms import metrics
from csms.relay import MAX_WAITING_UPDATES, Relay
from csms.server import OcppServer
from tasks import broker, updates
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.proxy import Proxy
from tests.csms.waiting import until
from tests.simulator.v16 import Station16


def ignore(_: Any) -> None:
    pass


@pytest.fixture
async def flaky_redis(redis_settings: str, settings: Settings) -> AsyncIterator[Proxy]:
    """Put a proxy between the platform and its redis."""
    proxy = Proxy(settings.REDIS_URL)
    await proxy.mend()
    settings.REDIS_URL = proxy.url
    settings.REDIS_TIMEOUT = 0.5
    layer = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [proxy.url]}}}
    channel_layers.backends = {}
    broker.client.cache_clear()
    yield proxy
    await asyncio.to_thread(broker.client().close)
    broker.client.cache_clear()
    channel_layers.backends = {}
    proxy.cut()


async def relay_is_down(server: OcppServer) -> None:
    async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as client:
        while "relay_down 1.0" not in (await client.get(f"http://127.0.0.1:{server.port}/metrics")).text:
            await asyncio.sleep(0.02)


# Redis away


async def test_while_redis_hangs_whoever_changes_something_waits_no_longer_than_a_setting_says(
    flaky_redis: Proxy, transactional_db: None, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    changes = Changes()
    changes.note("chargepoint", (await query(lambda: ChargePoint.objects.create(chargepoint_id="CP1"))).pk)
    flaky_redis.hang()
    # Several at once wait beside each other, not one after the other.
    async with asyncio.timeout(3):
        await asyncio.gather(*(query(lambda: updates.publish(changes)) for _ in range(3)))
    assert caplog.text.count("live updates were not sent, redis does not answer") == 3
    assert "Traceback" not in caplog.text
    flaky_redis.mend_flow()


async def test_without_redis_stations_are_served_and_with_it_commands_go_on(
    flaky_redis: Proxy, server: OcppServer, station: Station16, query: Query
) -> None:
    await station.heartbeat()
    assert (await operator.perform("Reset", {"type": "Soft"})).status == "answered"
    flaky_redis.cut()
    await relay_is_down(server)
    await station.start(1, "TAG")
    await station.stop(1)
    assert await query(lambda: Transaction.objects.count()) == 1
    async with Station16(station.address.removesuffix("/CP1"), "CP2") as other:
        await other.boot()
    command_id = await query(lambda: operator.create("Reset", {"type": "Soft"}))
    async with asyncio.timeout(2):
        with pytest.raises(broker.RedisError):
            await query(lambda: operator.relay(command_id))
    assert (await operator.row_of(command_id)).status == "queued"

    await flaky_redis.mend()
    await query(lambda: operator.relay(command_id))
    assert (await operator.end_of(command_id)).status == "answered"


async def test_the_end_of_a_command_that_redis_cannot_tell_is_read_off_the_row(
    flaky_redis: Proxy, station: Station16, query: Query
) -> None:
    await station.heartbeat()
    station.answers["Reset"] = None
    command_id = await operator.ask("Reset", {"type": "Soft"})
    call = await station.expect_call("Reset")
    waiting = asyncio.create_task(operator.end_of(command_id))
    flaky_redis.cut()
    await station.send_raw(f'[3,"{call.message_id}",{{"status":"Accepted"}}]')
    command = await waiting
    assert (command.status, command.response) == ("answered", {"status": "Accepted"})


async def test_a_redis_that_hangs_holds_up_no_station_and_no_answer(
    flaky_redis: Proxy, station: Station16, query: Query
) -> None:
    await station.heartbeat()
    station.answers["Reset"] = None
    command_id = await operator.ask("Reset", {"type": "Soft"})
    call = await station.expect_call("Reset")
    flaky_redis.hang()
    async with asyncio.timeout(3):
        for _ in range(20):
            await station.heartbeat()
        await station.send_raw(f'[3,"{call.message_id}",{{"status":"Accepted"}}]')
        await until(lambda: operator.Command.objects.get(pk=command_id).status == "answered")
        await station.heartbeat()
    flaky_redis.mend_flow()


async def test_live_updates_that_redis_does_not_take_are_dropped_and_counted_and_logged_once(
    flaky_redis: Proxy, station: Station16, caplog: pytest.LogCaptureFixture
) -> None:
    await station.heartbeat()
    flaky_redis.cut()
    caplog.clear()
    dropped = metrics.UPDATES_DROPPED._value.get()
    for _ in range(5):
        await station.status(1, "Charging")
    async with asyncio.timeout(5):
        while metrics.UPDATES_DROPPED._value.get() < dropped + 5:
            await asyncio.sleep(0.02)
    assert len([record for record in caplog.records if "not sent" in record.message]) == 1


async def test_a_queue_of_updates_that_is_full_drops_the_newest(redis_settings: str) -> None:
    relay = Relay(str(uuid4()), ignore, ignore)
    dropped = metrics.UPDATES_DROPPED._value.get()
    for _ in range(MAX_WAITING_UPDATES + 3):
        relay.publish([("chargepoint", [("CP1", "{}")])])
    assert metrics.UPDATES_DROPPED._value.get() == dropped + 3


# The end


async def test_a_relay_ends_although_somebody_swallows_the_cancellation(
    redis_settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = asyncio.Event()

    async def swallow(batch: updates.Batch) -> None:
        reached.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    monkeypatch.setattr(updates, "send", swallow)
    async with asyncio.timeout(5):
        async with Relay(str(uuid4()), ignore, ignore) as relay:
            relay.publish([("chargepoint", [("CP1", "{}")])])
            await reached.wait()


async def test_a_relay_ends_while_redis_is_away(flaky_redis: Proxy) -> None:
    async with asyncio.timeout(5), Relay(str(uuid4()), ignore, ignore):
        flaky_redis.cut()
        await asyncio.sleep(0.05)


# Several nodes


@pytest.fixture
async def second_server(server: OcppServer) -> AsyncIterator[OcppServer]:
    async with OcppServer("127.0.0.1", 0) as running:
        yield running


def url_of(server: OcppServer) -> str:
    return f"ws://127.0.0.1:{server.port}/ws/ocpp"


async def test_a_station_that_moves_to_another_node_is_closed_here_and_online_there(
    server: OcppServer, second_server: OcppServer, query: Query
) -> None:
    async with Station16(url_of(server), "CP1") as here, Station16(url_of(second_server), "CP2") as bystander:
        await here.heartbeat()
        await bystander.heartbeat()
        async with Station16(url_of(second_server), "CP1") as there:
            await there.heartbeat()
            assert (await here.wait_closed())[0] == 1000
            await until(lambda: server.node_id not in ChargePoint.objects.values_list("node_id", flat=True))
            station = await query(lambda: ChargePoint.objects.with_connected(datetime.now(UTC)).get(pk="CP1"))
            assert (station.connected, station.node_id) == (True, second_server.node_id)
            assert (await operator.perform("Reset", {"type": "Soft"})).status == "answered"
            assert len(there.calls) == 1
        async with Station16(url_of(server), "CP1") as back:
            await back.heartbeat()
            assert (await operator.perform("Reset", {"type": "Soft"})).status == "answered"
            assert len(back.calls) == 1
        await bystander.heartbeat()


async def test_a_command_for_the_node_that_a_station_has_left_is_not_sent_twice(
    server: OcppServer, second_server: OcppServer, query: Query
) -> None:
    async with Station16(url_of(second_server), "CP1") as station:
        await station.heartbeat()
        command_id = await query(lambda: operator.create("Reset", {"type": "Soft"}))
        # One worker saw the station at its old node, another one at its new.
        await query(lambda: operator.relay(command_id))
        await query(lambda: broker.hand_to_node(server.node_id, command_id))
        assert (await operator.end_of(command_id)).status in ("answered", "offline")
        await operator.perform("ClearCache")
        assert [call.action for call in station.calls].count("Reset") <= 1


# Live updates


async def test_listeners_are_told_when_a_station_comes_and_goes(server: OcppServer, url: str) -> None:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(updates.group("chargepoint"), channel)

    async def told() -> list[dict[str, Any]]:
        async with asyncio.timeout(5):
            message = await layer.receive(channel)
        return [json.loads(frame)["data"] for station, frame in message["frames"] if station == "CP1"]

    async with Station16(url, "CP1") as station:
        await station.heartbeat()
        while not any(each["connected"] for each in await told()):
            pass
    while any(each["connected"] for each in await told()):
        pass
    await layer.flush()


# What the worker tells by it


async def test_what_retention_removes_is_in_the_metrics(redis_settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csms.relay.LOOK_SECONDS", 0)
    monkeypatch.setattr("csms.relay.POLL_SECONDS", 0.05)
    await asyncio.to_thread(broker.count_removed, {"chargers_event": 1000})
    async with Relay(str(uuid4()), ignore, ignore), asyncio.timeout(10):
        for more, total in ((7, 1007), (2, 1009)):
            await asyncio.to_thread(broker.count_removed, {"chargers_event": more})
            while f'retention_removed_rows{{table="chargers_event"}} {total}.0' not in metrics.render().decode():
                await asyncio.sleep(0.01)
