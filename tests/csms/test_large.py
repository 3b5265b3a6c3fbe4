"""Large messages are read beside the event loop, in turns, whatever has to be mended in them."""

import asyncio
import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import Deviation, MeterValue
from csms import repairs
from csms.large import HUGE, LARGE, Large
from csms.versions import base
from tasks.models import CommandStatus
from tests.csms.conftest import Query
from tests.csms.gate import TIMEOUT
from tests.csms.operator import perform
from tests.csms.waiting import until
from tests.simulator.station import CallError
from tests.simulator.v16 import Station16

Payload = dict[str, Any]


def meter_values(sample: Payload) -> Payload:
    """Return a payload that is large, and as its sample has it right or wrong."""
    samples = [sample] * (LARGE // len(str(sample)) + 1)
    return {"connectorId": 1, "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": samples}]}


NUMBERS = meter_values({"value": 1})


class Mending:
    """Stands before the mending of everything: it waits for `go_on`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._mend, self._begun, self._going_on = repairs.mend, threading.Event(), threading.Event()
        monkeypatch.setattr(repairs, "mend", self._wait)

    def _wait(self, *arguments: Any) -> Any:
        self._begun.set()
        assert self._going_on.wait(TIMEOUT), "nobody let it go on"
        return self._mend(*arguments)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, TIMEOUT)

    def go_on(self) -> None:
        self._going_on.set()


@pytest.fixture
def mending(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mending]:
    mending = Mending(monkeypatch)
    yield mending
    mending.go_on()


async def test_others_are_served_while_a_large_message_is_mended(
    url: str, station: Station16, mending: Mending
) -> None:
    await station.boot()
    async with Station16(url, "CP2") as other:
        await other.boot()
        answer = asyncio.create_task(station.call("MeterValues", NUMBERS))
        await mending.begun()
        for _ in range(3):
            await other.heartbeat()
        assert not answer.done()
        mending.go_on()
        assert await answer == {}
    await until(lambda: MeterValue.objects.filter(chargepoint="CP1").exists())


async def test_others_are_served_while_a_large_answer_is_read(url: str, station: Station16, mending: Mending) -> None:
    await station.boot()
    keys = [{"key": f"key {number}", "readonly": True, "value": "x" * 100} for number in range(200)]
    station.answers["GetConfiguration"] = {"configurationKey": keys}
    async with Station16(url, "CP2") as other:
        asking = asyncio.create_task(perform("GetConfiguration"))
        await mending.begun()
        await other.heartbeat()
        mending.go_on()
        command = await asking
    assert command.status == CommandStatus.ANSWERED
    assert len(command.response["configurationKey"]) == len(keys)


async def test_large_messages_take_turns_in_the_order_in_which_they_came(settings: Settings) -> None:
    settings.OCPP_MAX_MESSAGE_SIZE = 100
    large = Large()
    order: list[str] = []
    leave = asyncio.Event()

    async def take(name: str, size: int) -> None:
        async with large.turn(size):
            order.append(name)
            await leave.wait()

    async with asyncio.TaskGroup() as group:
        for name, size in (("first", 60), ("second", 60), ("third", 30)):
            group.create_task(take(name, size))
        for _ in range(5):
            await asyncio.sleep(0)
        # The third would fit in, and takes its turn all the same: else large ones might wait for ever.
        assert order == ["first"]
        leave.set()
    assert order == ["first", "second", "third"]
    large.close()


async def test_whoever_gives_up_waiting_for_a_turn_leaves_it_to_the_next(settings: Settings) -> None:
    settings.OCPP_MAX_MESSAGE_SIZE = 100
    large = Large()

    async def take() -> None:
        async with large.turn(100):
            pass

    async with large.turn(100):
        first, second = asyncio.create_task(take()), asyncio.create_task(take())
        await asyncio.sleep(0)
        first.cancel()
    await second
    async with large.turn(1000):
        # The largest there is, whatever its size.
        assert first.cancelled()
    large.close()


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps what is free")
async def test_the_memory_of_a_huge_message_is_given_back_once_it_is_served() -> None:
    large = Large()
    async with large.turn(HUGE + 1):
        taken = [b"%01999d" % number for number in range(50_000)]
        # What stays, here and there, is what others stored meanwhile.
        stays = taken[::100]
        del taken
    before = resident()
    large.give_back()
    # Its thread does one thing after the other.
    await large.read(lambda: None)
    assert resident() < before - 50_000_000
    assert len(stays) == 500
    large.close()


async def test_a_message_of_next_to_nothing_a_million_times_is_not_mended(
    station: Station16, monkeypatch: pytest.MonkeyPatch
) -> None:
    await station.boot()
    monkeypatch.setattr(repairs, "MAX_ITEMS", 1000)
    payload = meter_values({})
    # In one list, and in the last of many.
    many = {**payload, "meterValue": [{**payload["meterValue"][0], "sampledValue": [{}] * 100}] * 20}
    for each in (payload, many):
        with pytest.raises(CallError, match="too many items"):
            await station.call("MeterValues", each)


async def test_a_message_of_many_deviations_keeps_a_few_of_them(station: Station16, query: Query) -> None:
    await station.boot()
    await station.call("MeterValues", meter_values({"value": "NaN"}))
    counts = await query(lambda: list(Deviation.objects.values_list("count", flat=True)))
    assert counts, "the odd values are noted"
    assert sum(counts) <= base.MAX_NOTES
