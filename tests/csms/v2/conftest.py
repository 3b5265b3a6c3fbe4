"""Stations of OCPP 2.x."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.v2 import Station201


@pytest.fixture
async def ready(url: str) -> AsyncIterator[Station201]:
    """A station named CP1 that has booted, told its serial number, and answers as a test says."""
    async with Station201(url, "CP1", boot={"serialNumber": "SN-1", "firmwareVersion": "1.0"}) as station:
        await station.boot()
        yield station
