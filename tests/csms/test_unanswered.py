"""A node holds so much of what it has not answered yet, and lets the network hold the rest."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import uvloop
from pytest_django.fixtures import Settings

from csms.server import OcppServer
from csms.unanswered import OWN, READ, Unanswered
from tests.certificates import Authority
from tests.csms.gate import put_before
from tests.csms.test_tls import metric
from tests.simulator.v16 import Station16

LOOP = uvloop.new_event_loop

MOST = 1024 * 1024
# Fits in alone.
SIZE = MOST * 3 // 4
LARGE = {"vendorId": "V", "data": "x" * SIZE}
PAUSES = 'ocpp_pauses_total{limit="memory"}'
HEAD = b'[2,"1","DataTransfer",{"vendorId":"V","data":"'


@pytest.fixture(autouse=True)
def limits(settings: Settings) -> Settings:
    settings.OCPP_MAX_UNANSWERED_SIZE = MOST
    settings.OCPP_MAX_MESSAGE_RATE = settings.OCPP_GREETING_GRACE = 0
    # What looks after the connections does so often.
    settings.OCPP_PING_TIMEOUT = 0.2
    return settings


class Reader:
    """A connection, as far as its bytes are counted."""

    def __init__(self) -> None:
        self.beyond, self.beyond_since, self.held_back = 0, 0.0, False

    def hold_back(self) -> None:
        self.held_back = True

    def go_on(self) -> None:
        self.held_back = False

    def give_up(self) -> None:
        raise AssertionError("whoever asks does that")


def test_what_every_connection_holds_is_not_counted() -> None:
    unanswered, reader = Unanswered(), Reader()
    unanswered.count(reader, OWN, 0)
    assert unanswered.total == 0
    unanswered.count(reader, OWN + 7, 0)
    assert unanswered.total == 7
    unanswered.forget(reader, 0)
    assert unanswered.total == 0


def test_whoever_came_first_is_read_first_as_soon_as_there_is_room() -> None:
    unanswered, holder, first, second = Unanswered(), Reader(), Reader(), Reader()
    unanswered.count(holder, MOST + OWN, 0)
    assert not holder.held_back, "it has not gone beyond the limit"
    for each in (first, second):
        unanswered.count(each, OWN + 1, 0)
        assert each.held_back
    unanswered.count(holder, MOST + OWN - READ // 2, 1)
    assert (first.held_back, second.held_back) == (False, True)
    unanswered.forget(holder, 2)
    assert not second.held_back


def test_whoever_holds_most_without_being_served_is_closed_while_others_wait(settings: Settings) -> None:
    settings.OCPP_SEND_TIMEOUT = 30
    unanswered, large, small, late, waiting = Unanswered(), Reader(), Reader(), Reader(), Reader()
    unanswered.count(large, MOST // 2 + OWN, 0)
    unanswered.count(small, MOST // 4 + OWN, 0)
    unanswered.count(late, MOST // 4 + OWN, 20)
    assert unanswered.stalled(100) == [], "nobody waits"
    unanswered.count(waiting, OWN + 1, 20)
    assert unanswered.stalled(29) == []
    assert unanswered.stalled(31) == [large]


def counted(server: OcppServer) -> int:
    return server.unanswered.total


async def _until(condition: Any) -> None:
    async with asyncio.timeout(8):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_station_that_sends_too_much_waits_and_others_do_not(
    server: OcppServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send_too_much(server, [Station16(url, f"CP{number}") for number in range(3)], monkeypatch)


async def test_it_waits_with_tls_as_well(
    tls_server: OcppServer, wss: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    stations = [Station16(wss, f"CP{number}", ssl=authority.trusting()) for number in range(3)]
    await send_too_much(tls_server, stations, monkeypatch)


async def send_too_much(server: OcppServer, stations: Sequence[Station16], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first station's message be in work, have the second wait for room, and the third send as it likes."""
    sample = {"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [{"value": "x" * SIZE}]}
    async with stations[0] as station, stations[1] as second, stations[2] as third:
        await station.boot()
        pauses = await metric(server, PAUSES)
        gate = put_before("MeterValues", monkeypatch)
        first = asyncio.create_task(station.call("MeterValues", {"connectorId": 1, "meterValue": [sample]}))
        await gate.entered()
        behind = asyncio.create_task(second.call("DataTransfer", LARGE))
        async with asyncio.timeout(8):
            while await metric(server, PAUSES) == pauses:
                await asyncio.sleep(0.01)
        for _ in range(3):
            await third.call("DataTransfer", {"vendorId": "V"})
        # What was read of it at once, and not the rest.
        assert counted(server) < MOST + 2 * READ
        assert not behind.done()
        gate.open()
        assert [await first, await behind] == [{}, {"status": "UnknownVendorId"}]
        await _until(lambda: counted(server) == 0)


async def test_a_message_that_is_never_completed_keeps_no_other_from_being_read(
    server: OcppServer, url: str, limits: Settings
) -> None:
    limits.OCPP_SEND_TIMEOUT = 0.5
    async with Station16(url, "CP1") as stalling, Station16(url, "CP2") as other:
        await stalling.heartbeat()
        connection = stalling.connection
        assert connection is not None
        # A frame of text, masked by zeros, of which a part comes.
        connection.transport.write(b"\x81\xff" + MOST.to_bytes(8, "big") + bytes(4) + HEAD + b"x" * SIZE)
        await _until(lambda: counted(server) > SIZE - OWN)
        assert await other.call("DataTransfer", LARGE) == {"status": "UnknownVendorId"}
        await connection.wait_closed()
        assert await metric(server, "ocpp_stalled_total") >= 1
    await _until(lambda: counted(server) == 0)


async def test_a_connection_that_is_lost_holds_nothing(server: OcppServer, url: str) -> None:
    async with Station16(url, "CP1") as station:
        await station.heartbeat()
        connection = station.connection
        assert connection is not None
        connection.transport.write(b"\x81\xff" + (MOST // 2).to_bytes(8, "big") + bytes(4) + HEAD + b"x" * (2 * OWN))
        await _until(lambda: counted(server) > 0)
        await station.drop()
    await _until(lambda: counted(server) == 0)
