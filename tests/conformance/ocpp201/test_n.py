"""Block N: monitoring and customer information."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conformance.central import Central
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.test_b import complete, snaked
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201
from tests.simulator.v2.device_model import named

EVSE_STATE = "EVSE(1).AvailabilityState"
STATION_STATE = "ChargingStation.AvailabilityState"
STATION_POWER = "ChargingStation.Power"


@pytest.fixture
def living(station: Station201) -> Station201:
    """The station, which reports what it is asked for."""
    station.autonomous = True
    return station


def monitor(name: str, **more: Any) -> Payload:
    return {"value": 1, "type": "Delta", "severity": 8, **named(name), **more}


async def ask_twice(
    central: Central, station: Station201, criteria: str, names: list[str], then: str, then_names: list[str]
) -> list[Any]:
    """Ask for monitors of which there are none, then for some; return what is shown of them."""
    answer = await central.ask("GetMonitoringReport", **body(criteria, names))
    assert answer == {"status": "EmptyResultSet"}
    assert await central.ask("GetMonitoringReport", **body(then, then_names)) == {"status": "Accepted"}
    empty, request = sent(station, "GetMonitoringReport")
    for told, (kind, wanted) in zip((empty, request), ((criteria, names), (then, then_names)), strict=True):
        assert told.get("monitoringCriteria", []) == ([kind] if kind else [])
        assert told.get("componentVariable", []) == [named(name) for name in wanted]
    await complete(central, request["requestId"])
    return await central.rows("variablemonitor")


def body(criteria: str, names: list[str]) -> Payload:
    fields = {
        "monitoring_criteria": [criteria] if criteria else [],
        "component_variable": [snaked(name) for name in names],
    }
    return {name: value for name, value in fields.items() if value}


async def test_tc_n_01_csms_get_monitoring_report_with_criteria(central: Central, living: Station201) -> None:
    living.monitors = {1: monitor(STATION_POWER, type="UpperThreshold")}
    [row] = await ask_twice(central, living, "DeltaMonitoring", [], "ThresholdMonitoring", [])
    assert (row["monitor_id"], row["type"]) == (1, "UpperThreshold")


async def test_tc_n_02_csms_get_monitoring_report_with_variable(central: Central, living: Station201) -> None:
    living.monitors = {1: monitor(EVSE_STATE)}
    [row] = await ask_twice(central, living, "", [STATION_POWER], "", [EVSE_STATE])
    assert (row["component"], row["evse_id"], row["variable"]) == ("EVSE", 1, "AvailabilityState")


async def test_tc_n_03_csms_get_monitoring_report_with_criteria_and_variable(
    central: Central, living: Station201
) -> None:
    living.monitors = {1: monitor(STATION_POWER, type="LowerThreshold")}
    [row] = await ask_twice(central, living, "DeltaMonitoring", [EVSE_STATE], "ThresholdMonitoring", [STATION_POWER])
    assert (row["component"], row["type"]) == ("ChargingStation", "LowerThreshold")


async def test_tc_n_60_csms_get_monitoring_report_with_criteria_and_variables(
    central: Central, living: Station201
) -> None:
    living.monitors = {1: monitor(STATION_STATE), 2: monitor(EVSE_STATE)}
    names = [STATION_STATE, EVSE_STATE]
    rows = await ask_twice(central, living, "ThresholdMonitoring", names, "DeltaMonitoring", names)
    assert [(row["component"], row["type"]) for row in rows] == [("ChargingStation", "Delta"), ("EVSE", "Delta")]


async def test_tc_n_05_csms_set_monitoring_base(central: Central, station: Station201) -> None:
    for base in ("All", "FactoryDefault", "HardWiredOnly"):
        assert await central.ask("SetMonitoringBase", monitoring_base=base) == {"status": "Accepted"}
        assert sent(station, "SetMonitoringBase")[-1] == {"monitoringBase": base}


async def set_monitors(central: Central, station: Station201, *data: Payload) -> None:
    asked = [{**each, **snaked(name)} for each, name in ((each, _name(each)) for each in data)]
    answer = await central.ask("SetVariableMonitoring", set_monitoring_data=asked)
    assert [each["status"] for each in answer["set_monitoring_result"]] == ["Accepted"] * len(data)
    assert sent(station, "SetVariableMonitoring") == [{"setMonitoringData": list(data)}]
    rows = await central.rows("variablemonitor")
    assert [(row["type"], row["value"], row["severity"]) for row in rows] == [("Delta", 1, 8)] * len(data)


def _name(data: Payload) -> str:
    return EVSE_STATE if data["component"]["name"] == "EVSE" else STATION_STATE


async def test_tc_n_08_csms_set_variable_monitoring_one_element(central: Central, station: Station201) -> None:
    await set_monitors(central, station, monitor(EVSE_STATE))


async def test_tc_n_09_csms_set_variable_monitoring_multiple_elements(central: Central, station: Station201) -> None:
    await set_monitors(central, station, monitor(EVSE_STATE), monitor(STATION_STATE))


@pytest.mark.parametrize("severity", [4])
async def test_tc_n_16_csms_set_monitoring_level(central: Central, station: Station201, severity: int) -> None:
    assert await central.ask("SetMonitoringLevel", severity=severity) == {"status": "Accepted"}
    assert sent(station, "SetMonitoringLevel") == [{"severity": severity}]


async def test_tc_n_17_csms_set_monitoring_level_out_of_range(central: Central, station: Station201) -> None:
    station.answers["SetMonitoringLevel"] = {"status": "Rejected"}
    assert await central.ask("SetMonitoringLevel", severity=4) == {"status": "Rejected"}


async def test_tc_n_18_csms_clear_monitoring_too_many_elements(central: Central, station: Station201) -> None:
    limit = "MonitoringCtrlr.ItemsPerMessage[ClearVariableMonitoring]"
    station.variables[limit] = "2"
    await central.ask("GetVariables", get_variable_data=[snaked(limit)])
    await central.ask("ClearVariableMonitoring", id=[1, 2, 3])
    assert sent(station, "ClearVariableMonitoring") == [{"id": [1, 2]}, {"id": [3]}]


async def test_tc_n_44_csms_clear_monitoring_rejected(central: Central, station: Station201) -> None:
    station.answers["ClearVariableMonitoring"] = {"clearMonitoringResult": [{"id": 1, "status": "Rejected"}]}
    answer = await central.ask("ClearVariableMonitoring", id=[1])
    assert answer["clear_monitoring_result"][0]["status"] == "Rejected"


async def test_tc_n_47_csms_get_monitoring_report_all(central: Central, living: Station201) -> None:
    living.monitors = {1: monitor(EVSE_STATE), 2: monitor(STATION_STATE)}
    assert await central.ask("GetMonitoringReport") == {"status": "Accepted"}
    [request] = sent(living, "GetMonitoringReport")
    assert request.keys() == {"requestId"}
    await complete(central, request["requestId"])
    assert [row["monitor_id"] for row in await central.rows("variablemonitor")] == [1, 2]


async def the_event(central: Central) -> Any:
    [event] = await central.rows("event")
    return event


async def test_tc_n_24_csms_periodic_event(central: Central, station: Station201) -> None:
    assert await station.event(EVSE_STATE, "Available", trigger="Periodic", kind="CustomMonitor") == {}
    assert (await the_event(central))["trigger"] == "Periodic"


async def test_tc_n_48_csms_alert_event_of_a_write_only_variable(central: Central, station: Station201) -> None:
    assert await station.event("SecurityCtrlr.BasicAuthPassword", "", trigger="Delta") == {}
    assert (await the_event(central))["actual_value"] == ""


async def test_tc_n_49_csms_alert_event_cleared_after_reboot(central: Central, station: Station201) -> None:
    raised = datetime.now(UTC) - timedelta(seconds=30)
    of = {"kind": "CustomMonitor", "variableMonitoringId": 1, "trigger": "Alerting"}
    assert await station.event("EVSE(1).Power", "12000", at=raised, **of) == {}
    assert await station.event("EVSE(1).Power", "10000", cleared=True, **of) == {}
    end, alarm = await central.rows("event")
    assert (alarm["cleared"], end["cleared"]) == (False, True)
    assert alarm["cleared_at"] == end["timestamp"]


async def test_tc_n_50_csms_alert_event_periodic(central: Central, station: Station201) -> None:
    assert await station.event("EVSE(1).Power", "7000", trigger="Periodic", kind="PreconfiguredMonitor") == {}
    assert (await the_event(central))["notification"] == "PreconfiguredMonitor"


async def customer(
    central: Central, station: Station201, *, report: bool, clear: bool, data: list[str], **named_by: Any
) -> Payload:
    """Ask for what a station holds of a customer, and check what is shown; return the request."""
    station.customer = data
    fields = named_by or {"id_token": {"id_token": await central.tag("VALID"), "type": "ISO14443"}}
    answer = await central.ask("CustomerInformation", report=report, clear=clear, **fields)
    assert answer == {"status": "Accepted"}
    [request] = sent(station, "CustomerInformation")
    assert (request["report"], request["clear"]) == (report, clear)
    told = await complete(central, request["requestId"])
    assert told["report"]["content"] == (data if report and data else [""])
    return request


async def test_tc_n_27_csms_get_customer_information_with_data(central: Central, living: Station201) -> None:
    await customer(central, living, report=True, clear=False, data=["one", "two"])


async def test_tc_n_28_csms_get_customer_information_without_data(central: Central, living: Station201) -> None:
    await customer(central, living, report=True, clear=False, data=[])


async def test_tc_n_29_csms_get_customer_information_not_accepted(central: Central, station: Station201) -> None:
    station.answers["CustomerInformation"] = {"status": "Rejected"}
    token = {"id_token": await central.tag("VALID"), "type": "ISO14443"}
    answer = await central.ask("CustomerInformation", report=True, clear=False, id_token=token)
    assert answer == {"status": "Rejected"}
    [task] = await central.rows("task", action="CustomerInformation")
    assert task["report"]["status"] == "Refused"


async def test_tc_n_30_csms_clear_and_report_customer_information(central: Central, living: Station201) -> None:
    await customer(central, living, report=True, clear=True, data=["one"])


async def test_tc_n_31_csms_clear_and_report_customer_information_without_data(
    central: Central, living: Station201
) -> None:
    await customer(central, living, report=True, clear=True, data=[])


async def test_tc_n_32_csms_clear_customer_information_without_report(central: Central, living: Station201) -> None:
    await customer(central, living, report=False, clear=True, data=["one"])


async def test_tc_n_62_csms_clear_customer_information_by_identifier(central: Central, living: Station201) -> None:
    identifier = {"customer_identifier": "OpenChargeAlliance"}
    request = await customer(central, living, report=True, clear=True, data=["one"], **identifier)
    assert request["customerIdentifier"] == "OpenChargeAlliance"


async def test_tc_n_63_csms_clear_customer_information_by_certificate(central: Central, living: Station201) -> None:
    certificate = {
        "hash_algorithm": "SHA256",
        "issuer_name_hash": "a1",
        "issuer_key_hash": "b2",
        "serial_number": "c3",
    }
    request = await customer(central, living, report=True, clear=True, data=["one"], customer_certificate=certificate)
    assert request["customerCertificate"]["serialNumber"] == "c3"


async def test_tc_n_46_csms_clear_customer_information_and_update_the_local_list(
    central: Central, living: Station201
) -> None:
    tag = await central.tag("VALID")
    id_token = {"id_token": tag, "type": "ISO14443"}
    entry = {"id_token": id_token, "id_token_info": {"status": "Accepted"}}
    await central.ask("SendLocalList", update_type="Full", local_authorization_list=[entry])
    await central.ask("CustomerInformation", report=True, clear=True, id_token=id_token)
    [request] = sent(living, "CustomerInformation")
    await complete(central, request["requestId"])
    # The platform sends it by itself.
    await central.until("locallist", version=2, withheld=[tag])
    full, update = sent(living, "SendLocalList")
    assert update["updateType"] == "Differential"
    assert update["versionNumber"] > full["versionNumber"]
    assert update["localAuthorizationList"] == [{"idToken": {"idToken": tag, "type": "ISO14443"}}]
