"""Stations of OCPP 2.0.1 at a real server."""

from collections.abc import AsyncIterator

import pytest
from pytest_django.fixtures import Settings

from tests.simulator.v2 import Station201


@pytest.fixture
def no_inventory(settings: Settings) -> None:
    """Let the platform ask for nothing by itself."""
    settings.OCPP_INVENTORY = False


@pytest.fixture
async def booted(no_inventory: None, url: str) -> AsyncIterator[Station201]:
    """CP1 with two EVSEs, booted, which does what it is asked."""
    async with Station201(url, "CP1", evses=2, autonomous=True) as station:
        await station.start_up()
        yield station
