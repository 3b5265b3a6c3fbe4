"""Block E: transactions."""

from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp201 import states
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.states import driver, the_transaction
from tests.simulator.v2 import Station201, token


async def begun(central: Central, station: Station201, trigger: str, charging_state: str, **more: Any) -> None:
    """Begin a transaction at the point that a station is set up for, with the driver known."""
    id_token = await driver(central)
    assert (await station.authorize(id_token))["status"] == "Accepted"
    await station.status(1, "Occupied")
    answer = await station.started(1, id_token, trigger=trigger, charging_state=charging_state, **more)
    assert answer["idTokenInfo"]["status"] == "Accepted"
    shown = await the_transaction(central)
    assert (shown["transaction_status"], shown["id_tag"]) == ("Started", id_token["idToken"])
    assert (shown["charging_state"], shown["connector"]["evse_id"]) == (charging_state, 1)


async def over(central: Central, reason: str, status: str = "Finished") -> Any:
    """Check that the transaction has ended as the station said, with nothing doubtful about it."""
    shown = await the_transaction(central)
    assert (shown["transaction_status"], shown["reason_stopped"], shown["flags"]) == (status, reason, [])
    assert shown["stop_transaction_timestamp"] is not None
    return shown


# Where a transaction begins


async def test_tc_e_01_csms_start_power_path_closed(central: Central, station: Station201) -> None:
    await begun(central, station, "ChargingStateChanged", "EVConnected")


async def test_tc_e_02_csms_start_energy_transfer(central: Central, station: Station201) -> None:
    await begun(central, station, "ChargingStateChanged", "Charging")


async def test_tc_e_03_csms_cable_plugin_first(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    await states.ev_connected(station)
    await states.authorized(station, id_token)
    await states.energy_transfer_started(station, id_token)
    shown = await the_transaction(central)
    assert (shown["transaction_status"], shown["id_tag"]) == ("Started", id_token["idToken"])
    assert (await central.connectors())[1] == "Occupied"


async def test_tc_e_04_csms_authorization_first(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    await states.authorized(station, id_token)
    await states.ev_connected(station)
    await states.energy_transfer_started(station, id_token)
    assert (await the_transaction(central))["charging_state"] == "Charging"


async def test_tc_e_09_csms_start_ev_connected(central: Central, station: Station201) -> None:
    await states.ev_connected(station)
    shown = await the_transaction(central)
    assert (shown["id_tag"], shown["charging_state"]) == (None, "EVConnected")


async def test_tc_e_10_csms_start_authorized_local(central: Central, station: Station201) -> None:
    await states.authorized(station, await driver(central))
    assert (await the_transaction(central))["authorization_status"] == "Accepted"


async def test_tc_e_11_csms_start_data_signed(central: Central, station: Station201) -> None:
    await begun(central, station, "SignedDataReceived", "EVConnected")


async def test_tc_e_12_csms_start_parking_bay_occupied(central: Central, station: Station201) -> None:
    assert await station.started(1, trigger="EVDetected", charging_state="Idle") == {}
    assert (await the_transaction(central))["charging_state"] == "Idle"


async def test_tc_e_38_csms_ev_not_ready(central: Central, station: Station201) -> None:
    await states.ev_connected(station)
    await states.authorized(station, await driver(central))
    await states.energy_transfer_suspended(station)
    assert (await the_transaction(central))["charging_state"] == "SuspendedEV"


async def test_tc_e_53_csms_sequence_number_from_0(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    for _ in range(2):
        assert "idTokenInfo" in await station.started(1, id_token, seq_no=0)
        assert await station.ended() == {}
    rows = await central.rows("transaction")
    assert [row["flags"] for row in rows] == [[], []]


# Where it ends


async def test_tc_e_07_csms_stop_power_path_closed_local(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    await states.energy_transfer_started(station, id_token)
    assert "idTokenInfo" in await station.ended("StopAuthorized", id_token=id_token, reason="Local")
    await over(central, "Local")


async def test_tc_e_08_csms_stop_energy_transfer_stopped(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    assert await station.ended("ChargingStateChanged", reason="Local", charging_state="EVConnected") == {}
    await over(central, "Local")


async def test_tc_e_14_csms_stop_ev_disconnected_station_side(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    await states.energy_transfer_started(station, id_token)
    assert (await states.stop_authorized(station, id_token))["status"] == "Accepted"
    await states.ev_connected_post_session(station)
    await states.ev_disconnected(station)
    assert (await over(central, "EVDisconnected"))["energy_wh"] == 1000
    assert (await central.connectors())[1] == "Available"


async def test_tc_e_15_csms_stop_authorized_local(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    await states.energy_transfer_started(station, id_token)
    answer = await station.ended("StopAuthorized", id_token=id_token, reason="Local", charging_state="EVConnected")
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await over(central, "Local")


async def test_tc_e_16_csms_stop_deauthorized_invalid(central: Central, station: Station201) -> None:
    answer = await station.started(1, token("NOBODY"), trigger="Authorized")
    assert answer["idTokenInfo"] == {"status": "Unknown"}
    assert await station.ended("Deauthorized", reason="DeAuthorized") == {}
    await over(central, "DeAuthorized", "Unauthorized")


async def test_tc_e_17_csms_stop_deauthorized_ev_side(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    await states.energy_transfer_suspended(station)
    assert await station.ended("EVCommunicationLost", charging_state="Idle") == {}
    await over(central, "EVDisconnected")


async def test_tc_e_19_csms_stop_parking_bay_unoccupied(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    assert await station.updated("EVCommunicationLost", charging_state="Idle") == {}
    await station.status(1, "Available")
    assert await station.ended("EVDeparted", reason="Local") == {}
    await over(central, "Local")


async def test_tc_e_20_csms_stop_ev_disconnected_ev_side(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    await states.energy_transfer_suspended(station)
    await states.ev_disconnected(station)
    await over(central, "EVDisconnected")


async def test_tc_e_21_csms_stop_authorized_remote(central: Central, station: Station201) -> None:
    transaction_id = await states.energy_transfer_started(station, await driver(central))
    assert await central.ask("RequestStopTransaction", transaction_id=transaction_id) == states.ACCEPTED
    assert sent(station, "RequestStopTransaction") == [{"transactionId": transaction_id}]
    assert await station.ended("RemoteStop", reason="Remote") == {}
    await over(central, "Remote")


async def test_tc_e_22_csms_stop_suspended_ev(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    assert await station.ended("ChargingStateChanged", reason="StoppedByEV", charging_state="SuspendedEV") == {}
    await over(central, "StoppedByEV")


async def test_tc_e_26_csms_cable_off_at_the_ev_suspends(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    await states.energy_transfer_suspended(station)
    assert await station.updated("EVCommunicationLost", charging_state="Idle") == {}
    await station.status(1, "Available")
    assert (await the_transaction(central))["transaction_status"] == "Started"
    await station.status(1, "Occupied")
    assert await station.updated("CablePluggedIn", charging_state="EVConnected") == {}
    assert await station.updated("ChargingStateChanged", charging_state="Charging") == {}
    assert (await the_transaction(central))["charging_state"] == "Charging"


async def test_tc_e_39_csms_stop_timeout(central: Central, station: Station201) -> None:
    await states.authorized(station, await driver(central))
    assert await station.ended("EVConnectTimeout", reason="Timeout") == {}
    await over(central, "Timeout")


# What a station tells of its transactions


async def asked(central: Central, station: Station201, answer: dict[str, bool], transaction_id: str | None) -> None:
    station.answers["GetTransactionStatus"] = answer
    named = {"transaction_id": transaction_id} if transaction_id else {}
    spelt = {"messagesInQueue": "messages_in_queue", "ongoingIndicator": "ongoing_indicator"}
    assert await central.ask("GetTransactionStatus", **named) == {spelt[name]: each for name, each in answer.items()}
    wanted = {"transactionId": transaction_id} if transaction_id else {}
    assert sent(station, "GetTransactionStatus") == [wanted]


async def test_tc_e_29_csms_ongoing_with_messages(central: Central, station: Station201) -> None:
    transaction_id = await states.energy_transfer_started(station, await driver(central))
    await asked(central, station, {"messagesInQueue": True, "ongoingIndicator": True}, transaction_id)
    assert (await the_transaction(central))["transaction_status"] == "Started"


async def test_tc_e_30_csms_ongoing_without_messages(central: Central, station: Station201) -> None:
    transaction_id = await states.energy_transfer_started(station, await driver(central))
    await asked(central, station, {"messagesInQueue": False, "ongoingIndicator": True}, transaction_id)
    assert (await the_transaction(central))["transaction_status"] == "Started"


async def test_tc_e_31_csms_ended_with_messages(central: Central, station: Station201) -> None:
    transaction_id = await states.energy_transfer_started(station, await driver(central))
    await station.disconnect()
    await station.ended(reason="EVDisconnected")
    await station.connect()
    await station.heartbeat()
    await asked(central, station, {"messagesInQueue": True, "ongoingIndicator": False}, transaction_id)
    await station.flush()
    shown = await the_transaction(central)
    assert (shown["transaction_status"], shown["flags"]) == ("Finished", ["offline"])


async def test_tc_e_33_csms_without_id_with_messages(central: Central, station: Station201) -> None:
    await asked(central, station, {"messagesInQueue": True}, None)


async def test_tc_e_34_csms_without_id_without_messages(central: Central, station: Station201) -> None:
    await asked(central, station, {"messagesInQueue": False}, None)
