"""Block I: what a transaction costs."""

from tests.conformance.central import Central
from tests.conformance.ocpp201 import states
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.states import driver, the_transaction
from tests.simulator.v2 import Station201


async def test_tc_i_01_csms_running_cost_by_cost_updated(central: Central, station: Station201) -> None:
    transaction_id = await states.energy_transfer_started(station, await driver(central))
    for cost in (0.5, 1.25):
        await states.metered(station, times=1)
        assert await central.ask("CostUpdated", total_cost=cost, transaction_id=transaction_id) == {}
    assert sent(station, "CostUpdated") == [
        {"totalCost": 0.5, "transactionId": transaction_id},
        {"totalCost": 1.25, "transactionId": transaction_id},
    ]
    assert (await the_transaction(central))["total_cost"] == 1.25


async def test_tc_i_02_csms_final_cost_with_the_end(central: Central, station: Station201) -> None:
    transaction_id = await states.energy_transfer_started(station, await driver(central))
    await central.ask("CostUpdated", total_cost=2.5, transaction_id=transaction_id)
    await states.ev_connected_post_session(station)
    await station.status(1, "Available")
    assert await station.ended("EVCommunicationLost", charging_state="Idle") == {"totalCost": 2.5}
