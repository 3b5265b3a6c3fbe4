"""A station that sends too much of what nobody can serve slows down itself, and nobody else."""

import asyncio
import logging

import pytest
from pytest_django.fixtures import Settings

from chargers.models import ChargePoint, Deviation
from csms.connection import MOST_LOGGED
from csms.server import OcppServer
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import dumps
from tests.simulator.v16 import Station16

RATE = 20
FLOODS = {
    "frames that are no JSON": "x",
    "actions that nobody knows": dumps([2, "1", "NoSuchAction", {}]),
    "answers to nobody": dumps([3, "1", {}]),
    "one message again and again": dumps([2, "1", "StatusNotification", {"connectorId": 1, "status": "Available"}]),
}


@pytest.fixture(autouse=True)
def slow_rate(settings: Settings) -> None:
    settings.OCPP_MAX_MESSAGE_RATE = settings.OCPP_MAX_MESSAGE_BURST = RATE
    settings.OCPP_GREETING_GRACE = 0
    # What is not read does not tell that its connection has gone; what is sent there does.
    settings.OCPP_PING_INTERVAL = 0.2


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS.keys())
async def test_others_are_served_while_a_flood_waits(frame: str, url: str, station: Station16) -> None:
    await station.boot()
    async with Station16(url, "CP2") as other:
        await other.boot()
        # Two seconds' worth, beyond what is served at once.
        for _ in range(RATE * 3):
            await station.send_raw(frame)
        behind = asyncio.create_task(station.heartbeat())
        for _ in range(5):
            await other.heartbeat()
        assert not behind.done(), "what comes behind a flood waits for its turn"
        await behind


async def test_a_few_bad_frames_slow_down_nobody(station: Station16) -> None:
    started = asyncio.get_running_loop().time()
    for _ in range(RATE - 1):
        await station.send_raw("x")
    await station.heartbeat()
    assert asyncio.get_running_loop().time() - started < 1


async def test_a_flood_is_counted_in_full_and_logged_in_part(
    server: OcppServer, station: Station16, query: Query, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.OCPP_MAX_MESSAGE_RATE = 0
    count = MOST_LOGGED * 5
    async with Station16(station.address.removesuffix("/CP1"), "CP2") as flooding:
        with caplog.at_level(logging.INFO):
            for _ in range(count):
                await flooding.send_raw("x")
            await flooding.heartbeat()
        await server.report()
        deviation = await query(lambda: Deviation.objects.get(chargepoint="CP2", kind="malformed-frame"))
    assert deviation.count == count
    assert caplog.text.count("cannot be understood") == MOST_LOGGED
    assert caplog.text.count("counted, and not logged") == 1


async def test_a_flood_ends_with_the_connection_it_came_over(station: Station16, query: Query) -> None:
    await station.boot()
    for _ in range(RATE * 30):
        await station.send_raw("x")
    await station.drop()
    await until(lambda: not ChargePoint.objects.filter(pk="CP1", node__isnull=False).exists())
