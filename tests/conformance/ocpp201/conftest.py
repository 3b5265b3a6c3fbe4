"""Stations for the scenarios."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.central import Central
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201

EVSES = 2


def sent(station: Station201, action: str) -> list[Payload]:
    """Return the requests of one action that the CSMS has sent."""
    return [call.payload for call in station.calls if call.action == action]


@pytest.fixture
def commands() -> str:
    return "ocpp201"


@pytest.fixture
async def station(central: Central) -> AsyncIterator[Station201]:
    """The CSMS's station, booted, that does only what the scenario says."""
    async with Station201(central.platform.ocpp, central.station, evses=EVSES) as connected:
        assert (await connected.start_up())["status"] == "Accepted"
        yield connected
