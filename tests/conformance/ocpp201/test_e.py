"""Block E: transactions."""

from tests.conformance.central import Central
from tests.simulator.v2 import Station201, token


async def test_tc_e_03_csms_cable_plugin_first(central: Central, station: Station201) -> None:
    id_token = token(await central.tag("VALID"))
    await station.status(1, "Occupied")
    assert await station.started() == {}
    assert (await station.authorize(id_token))["status"] == "Accepted"
    answer = await station.updated("Authorized", id_token=id_token)
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await station.updated("ChargingStateChanged", charging_state="Charging")
    [shown] = await central.rows("transaction")
    assert (shown["transaction_status"], shown["id_tag"]) == ("Started", id_token["idToken"])
