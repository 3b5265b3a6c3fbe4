"""What a node does when the database says otherwise than its connections."""

from datetime import UTC, datetime, timedelta

from chargers.changes import Changes
from chargers.models import ChargePoint, CsmsNode
from chargers.services import stations
from csms.server import OcppServer
from tests.csms.conftest import Query
from tests.simulator.v16 import Station16


async def test_a_deleted_station_is_disconnected(server: OcppServer, station: Station16, query: Query) -> None:
    await station.call("Heartbeat", {})
    await query(lambda: ChargePoint.objects.get(pk="CP1").delete())
    await server.report()
    code, _ = await station.wait_closed()
    assert code == 1008


async def test_a_node_that_was_taken_for_dead_claims_its_stations_again(
    server: OcppServer, station: Station16, query: Query
) -> None:
    await station.call("Heartbeat", {})

    def sweep() -> None:
        later = datetime.now(UTC) + timedelta(hours=1)
        stations.sweep_nodes(now=later, changes=Changes())

    await query(sweep)
    assert (await query(lambda: ChargePoint.objects.get(pk="CP1"))).node_id is None
    await server.report()
    now = datetime.now(UTC)
    assert (await query(lambda: ChargePoint.objects.with_connected(now).get(pk="CP1"))).connected
    await station.call("Heartbeat", {})


async def test_a_connection_whose_station_another_node_holds_is_closed(
    server: OcppServer, station: Station16, query: Query
) -> None:
    await station.call("Heartbeat", {})

    def take_elsewhere() -> None:
        now = datetime.now(UTC)
        node = CsmsNode.objects.create(node_id="other", name="other", started_at=now, lease_until=now)
        ChargePoint.objects.filter(pk="CP1").update(node=node, connection_id="00000000-0000-0000-0000-000000000001")

    await query(take_elsewhere)
    await server.report()
    code, _ = await station.wait_closed()
    assert code == 1000
    assert (await query(lambda: ChargePoint.objects.get(pk="CP1"))).node_id == "other"
