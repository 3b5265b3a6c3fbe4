"""A quick round of faults under load; ``make soak`` does all of them, at random and for longer.

The tests share a platform, as the faults of a real one follow each other.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from django.conf import settings

from tests.faults import network, servers
from tests.faults.audit import Audit
from tests.faults.faults import BY_NAME, Scene
from tests.faults.load import Load
from tests.faults.platform import made

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATIONS = 12
# Each with the seconds that it lasts; those of the table where there are none.
QUICK = {
    "csms killed": 0.3,
    "redis paused": 3.0,
    "database paused": 5.0,
    "disk full": 1.0,
    "network silent": 4.5,
    "database lost by the network": 5.0,
    "redis replaced while the network is silent": 5.0,
    "flood of malformed frames": 1.0,
    "worker's children killed": 0.1,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def audit() -> AsyncIterator[Audit]:
    """Run a platform under load that has come to rest once."""
    database = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2].replace("sqlite3", "sqlite")
    if database == "postgresql" and (why := servers.postgres_hindrance()):
        pytest.skip(why)
    way = network.make()
    host = "0.0.0.0" if isinstance(way, network.Namespace) else "127.0.0.1"
    try:
        with made(database, host) as platform:
            async with (
                platform,
                Load(platform.parts.web, platform.parts.log_in, [*platform.ocpp.values()], way, STATIONS) as load,
            ):
                first = Audit(platform, load, way)
                assert await first.look() == []
                yield first
    finally:
        way.close()


@pytest.mark.parametrize("name", QUICK)
async def test_nothing_acknowledged_is_lost_and_nobody_needs_a_hand_when(name: str, audit: Audit) -> None:
    fault = replace(BY_NAME[name], seconds=QUICK[name])
    scene = Scene(audit.platform, audit.load, audit.way)
    if why := fault.hindrance(scene):
        pytest.skip(why)
    await fault.happen(scene)
    assert await audit.look() == []
