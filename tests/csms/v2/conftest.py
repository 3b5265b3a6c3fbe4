"""Stations of OCPP 2.0.1 for the tests of a node."""

from collections.abc import AsyncIterator

import pytest

from chargers.models import IdTag
from tests.csms.conftest import Query
from tests.simulator.v2 import Station201


@pytest.fixture
async def station(url: str, query: Query) -> AsyncIterator[Station201]:
    """A station named CP1 with two EVSEs, that the database knows as connected; TAG1 may charge there."""
    await query(lambda: IdTag.objects.create(id_token="TAG1"))
    async with Station201(url, "CP1", evses=2, autonomous=True) as connected:
        await connected.boot()
        yield connected
