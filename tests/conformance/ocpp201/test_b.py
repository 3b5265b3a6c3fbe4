"""Block B: provisioning."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.conformance.central import PATIENCE, Central
from tests.conformance.ocpp201.conftest import sent
from tests.simulator.station import CallError, Payload
from tests.simulator.v2 import Station201, token
from tests.simulator.v2.device_model import named


@pytest.fixture
async def living(station: Station201) -> Station201:
    """The station, which reports what it is asked for."""
    station.autonomous = True
    return station


async def accept(central: Central, status: str = "Accepted") -> None:
    answer = await central.patch(f"chargepoint/{central.station}", registration_status=status)
    assert answer.status_code == 200, answer.text


@pytest.fixture
async def unregistered(central: Central) -> AsyncIterator[Station201]:
    """The station before it boots, known and not accepted yet."""
    key = (await central.post("chargepoint", chargepoint_id=central.station)).json()["key"]
    async with Station201(central.platform.ocpp, central.station, evses=2, password=key, autonomous=True) as connected:
        yield connected


async def shown(central: Central, name: str) -> str | None:
    """Return the value that REST shows of a variable."""
    component, _, variable = name.partition(".")
    rows = await central.rows("variable", component=component, variable=variable)
    return rows[0]["value"] if rows else None


async def test_tc_b_01_csms_cold_boot_accepted(central: Central, station: Station201) -> None:
    assert station.accepted
    assert {row["connector_status"] for row in await central.rows("connector")} == {"Available"}
    assert (await central.chargepoint())["chargepoint_model"] == "Socket 201"


async def test_tc_b_02_csms_cold_boot_pending(central: Central, unregistered: Station201) -> None:
    await accept(central, "Pending")
    answer = await unregistered.boot()
    assert answer["status"] == "Pending"
    assert answer["interval"] > 0
    unregistered.variables["OCPPCommCtrlr.OfflineThreshold"] = "1"
    await central.ask("SetVariables", set_variable_data=[setting("OCPPCommCtrlr.OfflineThreshold", "60")])
    await accept(central)
    assert (await unregistered.start_up())["status"] == "Accepted"


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
async def test_tc_b_30_csms_cold_boot_security_error(central: Central, unregistered: Station201, status: str) -> None:
    await accept(central, status)
    assert (await unregistered.boot())["status"] == status
    with pytest.raises(CallError, match="SecurityError"):
        await unregistered.status(1)
    assert await central.rows("connector") == []


async def test_tc_b_31_csms_cold_boot_trigger_message(central: Central, unregistered: Station201) -> None:
    await accept(central, "Pending")
    assert (await unregistered.boot())["status"] == "Pending"
    await accept(central)
    assert await central.ask("TriggerMessage", requested_message="BootNotification") == {"status": "Accepted"}
    await central.until("task", action="GetBaseReport", status="answered")
    await unregistered.report_statuses()


def setting(name: str, value: str) -> Payload:
    return {**snaked(name), "attribute_value": value}


def snaked(name: str) -> Payload:
    """Name a variable as REST spells it."""
    spelt = named(name)
    evse = spelt["component"].get("evse")
    if evse and "connectorId" in evse:
        evse["connector_id"] = evse.pop("connectorId")
    return spelt


READINGS = {"OCPPCommCtrlr.OfflineThreshold": "60", "AuthCtrlr.AuthorizeRemoteStart": "true"}


async def read(central: Central, station: Station201, values: Mapping[str, str]) -> list[Payload]:
    """Let the station's variables be read, and check what is shown; return the requests."""
    station.variables |= values
    await central.ask("GetVariables", get_variable_data=[snaked(name) for name in values])
    for name, value in values.items():
        assert await shown(central, name) == value
    return sent(station, "GetVariables")


async def test_tc_b_06_csms_get_variables_single_value(central: Central, station: Station201) -> None:
    requests = await read(central, station, {"OCPPCommCtrlr.OfflineThreshold": "60"})
    assert requests == [{"getVariableData": [named("OCPPCommCtrlr.OfflineThreshold")]}]


async def test_tc_b_07_csms_get_variables_multiple_values(central: Central, station: Station201) -> None:
    requests = await read(central, station, READINGS)
    assert requests == [{"getVariableData": [named(name) for name in READINGS]}]


async def test_tc_b_08_csms_get_variables_limit_to_maximum(central: Central, station: Station201) -> None:
    limits = {"DeviceDataCtrlr.ItemsPerMessage[GetVariables]": "4"}
    station.variables |= limits
    await central.ask("GetVariables", get_variable_data=[snaked(*limits)])
    values = {f"AuthCtrlr.Variable{number}": str(number) for number in range(5)}
    requests = await read(central, station, values)
    assert [len(each["getVariableData"]) for each in requests[1:]] == [4, 1]


async def set_variables(central: Central, station: Station201, values: Mapping[str, str]) -> list[Payload]:
    station.variables |= dict.fromkeys(values, "")
    answer = await central.ask("SetVariables", set_variable_data=[setting(*each) for each in values.items()])
    assert [each["attribute_status"] for each in answer["set_variable_result"]] == ["Accepted"] * len(values)
    for name, value in values.items():
        assert await shown(central, name) == value
    return sent(station, "SetVariables")


async def test_tc_b_09_csms_set_variables_single_value(central: Central, station: Station201) -> None:
    [request] = await set_variables(central, station, {"OCPPCommCtrlr.OfflineThreshold": "123"})
    assert request == {"setVariableData": [{"attributeValue": "123", **named("OCPPCommCtrlr.OfflineThreshold")}]}


async def test_tc_b_10_csms_set_variables_multiple_values(central: Central, station: Station201) -> None:
    values = {"OCPPCommCtrlr.OfflineThreshold": "123", "AuthCtrlr.AuthorizeRemoteStart": "false"}
    [request] = await set_variables(central, station, values)
    assert len(request["setVariableData"]) == 2


async def base_report(central: Central, station: Station201, base: str) -> None:
    station.variables |= READINGS
    assert await central.ask("GetBaseReport", report_base=base) == {"status": "Accepted"}
    request = sent(station, "GetBaseReport")[-1]
    assert request["reportBase"] == base
    assert request["requestId"] >= 0
    await complete(central, request["requestId"])
    for name, value in READINGS.items():
        assert await shown(central, name) == value


async def complete(central: Central, request_id: int) -> Any:
    """Wait until the report of a request is complete; return the command as REST shows it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for row in await central.rows("task"):
                report = row["report"]
                if report and (report["request_id"], report["status"]) == (request_id, "Complete"):
                    return row
            await asyncio.sleep(0.05)


async def test_tc_b_12_csms_get_base_report_configuration_inventory(central: Central, living: Station201) -> None:
    await base_report(central, living, "ConfigurationInventory")


async def test_tc_b_13_csms_get_base_report_full_inventory(central: Central, living: Station201) -> None:
    await base_report(central, living, "FullInventory")


async def test_tc_b_14_csms_get_base_report_summary_inventory(central: Central, living: Station201) -> None:
    await base_report(central, living, "SummaryInventory")


async def test_tc_b_18_csms_get_custom_report(central: Central, living: Station201) -> None:
    state = "EVSE(1).AvailabilityState"
    wanted = [snaked(state)]
    answer = await central.ask("GetReport", component_criteria=["Problem"], component_variable=wanted)
    assert answer == {"status": "EmptyResultSet"}
    living.variables[state] = "Available"
    answer = await central.ask("GetReport", component_criteria=["Available"], component_variable=wanted)
    assert answer == {"status": "Accepted"}
    empty, request = sent(living, "GetReport")
    assert (empty["componentCriteria"], empty["componentVariable"]) == (["Problem"], [named(state)])
    await complete(central, request["requestId"])
    assert await shown(central, "EVSE.AvailabilityState") == "Available"


async def reset(central: Central, station: Station201, status: str, **body: Any) -> None:
    station.answers["Reset"] = {"status": status}
    fields = {"evse_id" if name == "evseId" else name: value for name, value in body.items()}
    assert await central.ask("Reset", **fields) == {"status": status}
    assert sent(station, "Reset") == [body]


async def charging(central: Central, station: Station201) -> Payload:
    """Bring EVSE 1 into the state EnergyTransferStarted; return the token."""
    id_token = token(await central.tag("VALID"))
    await station.status(1, "Occupied")
    await station.started()
    answer = await station.updated("Authorized", id_token=id_token)
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await station.updated("ChargingStateChanged", charging_state="Charging")
    return id_token


async def test_tc_b_20_csms_reset_without_ongoing_transaction(central: Central, station: Station201) -> None:
    await reset(central, station, "Accepted", type="OnIdle")
    assert (await station.start_up("RemoteReset"))["status"] == "Accepted"


async def test_tc_b_21_csms_reset_with_ongoing_transaction_on_idle(central: Central, station: Station201) -> None:
    id_token = await charging(central, station)
    await reset(central, station, "Scheduled", type="OnIdle")
    await stop(central, station, id_token)
    station.evses[1].connectors[1] = "Available"
    assert (await station.start_up("ScheduledReset"))["status"] == "Accepted"


async def stop(central: Central, station: Station201, id_token: Payload) -> None:
    await station.updated("StopAuthorized", id_token=id_token, charging_state="EVConnected")
    await station.ended("EVCommunicationLost", charging_state="Idle")
    await finished(central, "EVDisconnected")


async def finished(central: Central, reason: str) -> None:
    [transaction] = await central.rows("transaction")
    assert (transaction["transaction_status"], transaction["reason_stopped"]) == ("Finished", reason)


async def test_tc_b_22_csms_reset_with_ongoing_transaction_immediate(central: Central, station: Station201) -> None:
    await charging(central, station)
    await reset(central, station, "Accepted", type="Immediate")
    await station.ended("ResetCommand", charging_state="EVConnected", reason="ImmediateReset")
    assert (await station.start_up("RemoteReset"))["status"] == "Accepted"
    await finished(central, "ImmediateReset")


async def test_tc_b_25_csms_reset_evse_without_ongoing_transaction(central: Central, station: Station201) -> None:
    await reset(central, station, "Accepted", type="OnIdle", evseId=1)


async def test_tc_b_26_csms_reset_evse_with_ongoing_transaction_on_idle(central: Central, station: Station201) -> None:
    id_token = await charging(central, station)
    await reset(central, station, "Scheduled", type="OnIdle", evseId=1)
    await stop(central, station, id_token)


async def test_tc_b_27_csms_reset_evse_with_ongoing_transaction_immediate(
    central: Central, station: Station201
) -> None:
    await charging(central, station)
    await reset(central, station, "Accepted", type="Immediate", evseId=1)
    await station.ended("ResetCommand", charging_state="EVConnected", reason="ImmediateReset")
    await finished(central, "ImmediateReset")


async def network_profile(central: Central, station: Station201, status: str) -> None:
    station.answers["SetNetworkProfile"] = {"status": status}
    data = {
        "ocpp_version": "OCPP20",
        "ocpp_transport": "JSON",
        "ocpp_csms_url": "ws://csms.example.com/ws/ocpp",
        "message_timeout": 30,
        "security_profile": 0,
        "ocpp_interface": "Wired0",
    }
    answer = await central.ask("SetNetworkProfile", configuration_slot=1, connection_data=data)
    assert answer == {"status": status}
    [request] = sent(station, "SetNetworkProfile")
    assert request["configurationSlot"] == 1
    assert request["connectionData"]["ocppCsmsUrl"] == data["ocpp_csms_url"]


async def test_tc_b_42_csms_set_network_profile_accepted(central: Central, station: Station201) -> None:
    await network_profile(central, station, "Accepted")


async def test_tc_b_44_csms_set_network_profile_failed(central: Central, station: Station201) -> None:
    await network_profile(central, station, "Failed")
