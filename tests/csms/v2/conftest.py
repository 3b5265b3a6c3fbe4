"""Stations of OCPP 2.0.1 at a real server."""

from collections.abc import AsyncIterator

import pytest
from pytest_django.fixtures import Settings

from chargers.models import IdTag
from tests.csms.conftest import query_in_thread
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


@pytest.fixture
async def station(no_inventory: None, url: str) -> AsyncIterator[Station201]:
    """CP1, connected and booted, with two EVSEs; it only answers."""
    async with Station201(url, "CP1", evses=2) as connected:
        await connected.start_up()
        yield connected


@pytest.fixture
async def ready(no_inventory: None, url: str) -> AsyncIterator[Station201]:
    """A station named CP1 that has booted, told its serial number, and answers as a test says."""
    async with Station201(url, "CP1", boot={"serialNumber": "SN-1", "firmwareVersion": "1.0"}) as station:
        await station.boot()
        yield station


@pytest.fixture
async def tags(transactional_db: None) -> None:
    """TAG1 and TAG2 of the group FAMILY, and STRANGER."""

    def make() -> None:
        family = IdTag.objects.create(id_token="FAMILY")
        for name, parent in {"TAG1": family, "TAG2": family, "STRANGER": None}.items():
            IdTag.objects.create(id_token=name, parent=parent)

    await query_in_thread(make)
