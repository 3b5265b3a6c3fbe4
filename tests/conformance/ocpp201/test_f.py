"""Block F: remote control of transactions and connectors."""

from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp201 import states
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.states import ACCEPTED, driver, the_transaction
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201


async def remote_start(central: Central, station: Station201, id_token: Payload, **answer: Any) -> int:
    """Ask for a start at EVSE 1; return its number."""
    if answer:
        station.answers["RequestStartTransaction"] = answer
    spelt = {"id_token": id_token["idToken"], "type": id_token["type"]}
    message = await central.ask("RequestStartTransaction", evse_id=1, id_token=spelt)
    assert message["status"] == "Accepted"
    [request] = sent(station, "RequestStartTransaction")
    assert request == {"evseId": 1, "remoteStartId": request["remoteStartId"], "idToken": id_token}
    return int(request["remoteStartId"])


async def test_tc_f_01_csms_cable_plugin_first(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    await states.ev_connected(station)
    running = station.running()
    number = await remote_start(central, station, id_token, status="Accepted", transactionId=running.id)
    answer = await station.updated("RemoteStart", id_token=id_token)
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await states.energy_transfer_started(station, id_token)
    shown = await the_transaction(central)
    assert (shown["id_tag"], shown["remote_start_id"]) == (id_token["idToken"], number)


async def test_tc_f_02_csms_remote_start_first_authorized(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    number = await remote_start(central, station, id_token)
    assert (await station.authorize(id_token))["status"] == "Accepted"
    answer = await station.started(1, id_token, remote_start_id=number, charging_state="Idle")
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await states.ev_connected(station)
    await states.energy_transfer_started(station, id_token)
    assert (await the_transaction(central))["remote_start_id"] == number


async def test_tc_f_03_csms_remote_start_first_not_authorized(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    number = await remote_start(central, station, id_token)
    answer = await station.started(1, id_token, remote_start_id=number, charging_state="Idle")
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await states.ev_connected(station)
    assert (await the_transaction(central))["remote_start_id"] == number


async def test_tc_f_04_csms_remote_start_first_cable_timeout(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    number = await remote_start(central, station, id_token)
    await station.started(1, id_token, remote_start_id=number, charging_state="Idle")
    assert await station.ended("EVConnectTimeout", reason="Timeout") == {}
    shown = await the_transaction(central)
    assert (shown["transaction_status"], shown["reason_stopped"]) == ("Finished", "Timeout")


async def test_tc_f_06_csms_unlock_connector(central: Central, station: Station201) -> None:
    assert await central.ask("UnlockConnector", evse_id=1, connector_id=1) == {"status": "Unlocked"}
    assert sent(station, "UnlockConnector") == [{"evseId": 1, "connectorId": 1}]
    station.answers["UnlockConnector"] = ACCEPTED | {"status": "UnlockFailed"}
    assert await central.ask("UnlockConnector", evse_id=1, connector_id=1) == {"status": "UnlockFailed"}
