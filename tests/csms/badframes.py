"""A bad frame and what follows from it: the right CALLERROR or silence, and nothing else, whatever the version."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from pytest_django.fixtures import Settings

from chargers.models import ChargePoint, Deviation, MeterValue, SecurityEvent, StatusNotification, Transaction
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.station import CALLERROR, CALLRESULT, Call, Station

ANSWERED = "answered"
SILENCE = "silence"

HISTORY = (MeterValue, SecurityEvent, StatusNotification, Transaction)


@dataclass(frozen=True)
class Row:
    """What is sent, and what must come back in each mode.

    `message_id` is the id that the answer repeats. `stores` rows of history are left by what is answered.
    `before` is sent first and answered. A text frame is sent as bytes where it is no UTF-8; `binary` makes it
    a binary one, `fragments` sends it in pieces of so many bytes. `call` sends it in answer to a call of the
    CSMS, whose id stands for ``%id``, while that waits or when its time is over; `ends` is how the command ends,
    `ends_strictly` how it does in strict mode if that differs.
    """

    name: str
    send: str | bytes
    tolerant: str
    strict: str = ""
    message_id: Any = "m1"
    stores: int = 0
    deviation: str = ""
    before: str = ""
    binary: bool = False
    fragments: int = 0
    call: str = ""
    ends: str = ""
    ends_strictly: str = ""

    def expected(self, mode: str) -> str:
        return self.strict or self.tolerant if mode == "strict" else self.tolerant


async def check(row: Row, mode: str, station: Station, query: Query, settings: Settings) -> None:
    """Send a row's frame and hold what follows against what is expected."""
    expected = row.expected(mode)
    if row.before:
        await station.exchange(row.before)
    command = await call_for(row, station, settings) if row.call else None
    await send(row, station, command)
    outcomes = [outcome(each, row) for each in await received(station)]
    assert outcomes == [each for each in [expected] if each != SILENCE], f"{row.name}: {outcomes}"

    if command is not None:
        ends = row.ends_strictly or row.ends if mode == "strict" else row.ends
        assert (await operator.end_of(command.pk)).status == ends
    stored = row.stores if expected == ANSWERED else 1 if row.before else 0
    deviation = row.deviation if mode == "tolerant" else ""
    await query(lambda: look_back(station.identity, stored, deviation))


def look_back(station: str, stored: int, deviation: str) -> None:
    """Hold what the database has of a station against what it should have."""
    assert sum(history(station)) == stored
    assert ChargePoint.objects.get(pk=station).connection_id is not None
    # Deviations of frames that store nothing are stored beside their answers.
    deadline = time.monotonic() + 5
    while deviation and not Deviation.objects.filter(chargepoint=station, kind=deviation).exists():
        assert time.monotonic() < deadline, f"{deviation} was not noted"
        time.sleep(0.01)


async def call_for(row: Row, station: Station, settings: Settings) -> Command:
    """Let the CSMS send a call that waits for an answer, or has waited long enough."""
    # Once it is served, it counts as connected.
    await station.call("Heartbeat")
    station.answers["ClearCache"] = None
    settings.OCPP_TIMEOUT = 0.05 if row.call == "over" else 20
    command_id = await operator.ask("ClearCache", station=station.identity)
    call: Call = await station.expect_call("ClearCache")
    assert call.message_id == str(command_id)
    return await operator.end_of(command_id) if row.call == "over" else await operator.row_of(command_id)


async def send(row: Row, station: Station, command: Command | None) -> None:
    data = row.send if command is None else str(row.send).replace("%id", str(command.pk))
    raw = data if isinstance(data, bytes) else data.encode()
    assert station.connection is not None
    if row.fragments:
        # Cuts characters of more than one byte in two.
        pieces = [raw[at : at + row.fragments] for at in range(0, len(raw), row.fragments)]
        await station.connection.send(pieces, text=not row.binary)
    else:
        await station.send_raw(raw, text=not row.binary)


async def received(station: Station) -> list[list[Any]]:
    """Return what has come back by the time a Heartbeat is answered."""
    await station.send_raw('[2,"still there","Heartbeat",{}]')
    frames = []
    async with asyncio.timeout(20):
        while (message := (await station.next_frame(20)).json())[1] != "still there":
            frames.append(message)
    assert message[0] == CALLRESULT
    assert set(message[2]) == {"currentTime"}
    return frames


def outcome(message: list[Any], row: Row) -> str:
    """Name an answer; it must have the row's id and the shape of its kind."""
    assert message[1] == row.message_id
    assert type(message[1]) is type(row.message_id)
    if message[0] == CALLRESULT:
        assert [type(each) for each in message] == [int, type(row.message_id), dict]
        return ANSWERED
    assert message[0] == CALLERROR
    assert [type(each) for each in message[2:]] == [str, str, dict]
    assert message[3]
    return str(message[2])


def history(station: str) -> list[int]:
    return [model.objects.filter(chargepoint=station).count() for model in HISTORY]
