"""Stations for the scenarios."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conformance.central import Central
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

CONNECTORS = 2


def sent(station: Station16, action: str) -> list[Payload]:
    """Return the requests of one action that the central system has sent."""
    return [call.payload for call in station.calls if call.action == action]


async def cold_boot(station: Station16) -> Payload:
    """Boot and report every connector and the station itself; return the answer to the boot."""
    answer = await station.boot()
    for number in (0, *station.connectors):
        assert await station.status(number, "Available") == {}
    return answer


async def charging(station: Station16, id_tag: str, connector: int = 1, **more: Any) -> int:
    """Bring a connector into the state Charging, identification first; return the transaction's id."""
    assert (await station.authorize(id_tag))["status"] == "Accepted"
    await station.status(connector, "Preparing")
    answer = await station.start(connector, id_tag, **more)
    assert answer["idTagInfo"]["status"] == "Accepted"
    await station.status(connector, "Charging")
    return int(answer["transactionId"])


@pytest.fixture
async def station(central: Central) -> AsyncIterator[Station16]:
    """The central system's station, booted, that does only what the scenario says."""
    async with Station16(central.platform.ocpp, central.station, connectors=CONNECTORS) as connected:
        assert (await cold_boot(connected))["status"] == "Accepted"
        yield connected
