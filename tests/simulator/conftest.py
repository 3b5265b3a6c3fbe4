"""Stations on a CSMS of a few lines."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.fake_csms import Csms, running_csms
from tests.simulator.v16 import Station16

Served = tuple[Csms, str]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A CSMS and the endpoint to which a station appends its identity."""
    async with running_csms() as running:
        yield running


@pytest.fixture
def csms(served: Served) -> Csms:
    return served[0]


@pytest.fixture
async def station(served: Served) -> AsyncIterator[Station16]:
    """CP with two connectors, which only answers."""
    async with Station16(served[1], "CP", connectors=2) as connected:
        await connected.boot()
        yield connected


@pytest.fixture
async def living(served: Served) -> AsyncIterator[Station16]:
    """CP with two connectors and a life of its own."""
    options = {"autonomous": True, "meter_interval": 0.02, "retry_after": 0.01}
    async with Station16(served[1], "CP", connectors=2, **options) as connected:
        await connected.start_up()
        served[0].received.clear()
        yield connected
