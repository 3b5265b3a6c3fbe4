"""Monitors and events over real sockets (N02 to N08)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import Connector, Event, Limitation, StatusNotification, Variable, VariableMonitor
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.v2.reports import report_of
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload
from tests.simulator.v2 import Station201
from tests.simulator.v2.device_model import named

POWER = "EVSE(1).Power"


def monitor(name: str = POWER, **more: Any) -> Payload:
    return {"value": 11000, "type": "UpperThreshold", "severity": 4, **named(name), **more}


async def watch(*data: Payload) -> Payload:
    """Set monitors and return the answer."""
    command = await operator.perform("SetVariableMonitoring", {"setMonitoringData": list(data)})
    assert command.status == "answered", command.error
    return dict(command.response)


async def monitors() -> dict[int, tuple[str, str, float, int]]:
    """Return what is believed of CP1's monitors, by their numbers."""

    def read() -> dict[int, tuple[str, str, float, int]]:
        rows = VariableMonitor.objects.filter(chargepoint="CP1")
        return {row.monitor_id: (row.variable, row.type, row.value, row.severity) for row in rows}

    return await query_in_thread(read)  # type: ignore[no-any-return]


async def events() -> list[Event]:
    return await query_in_thread(lambda: list(Event.objects.order_by("id")))  # type: ignore[no-any-return]


async def test_a_monitor_that_the_station_has_taken_is_kept_under_its_number(booted: Station201) -> None:
    await watch(monitor(), monitor("ChargingStation.Power", type="Delta", value=1, severity=8))
    assert await monitors() == {1: ("Power", "UpperThreshold", 11000, 4), 2: ("Power", "Delta", 1, 8)}
    # Replaced by its number (N04.FR.12).
    await watch(monitor(id=1, value=22000))
    assert (await monitors())[1] == ("Power", "UpperThreshold", 22000, 4)


async def test_a_monitor_that_is_refused_is_not_kept(booted: Station201) -> None:
    refused = {name: value for name, value in monitor().items() if name != "value"}
    booted.answers["SetVariableMonitoring"] = {"setMonitoringResult": [{"status": "Duplicate", **refused}]}
    await watch(monitor())
    assert await monitors() == {}


async def test_monitors_that_are_cleared_or_not_there_are_forgotten(booted: Station201) -> None:
    await watch(monitor(), monitor(severity=5), monitor(severity=6))
    del booted.monitors[2]
    command = await operator.perform("ClearVariableMonitoring", {"id": [1, 2]})
    assert [each["status"] for each in command.response["clearMonitoringResult"]] == ["Accepted", "NotFound"]
    assert list(await monitors()) == [3]
    booted.answers["ClearVariableMonitoring"] = {"clearMonitoringResult": [{"id": 3, "status": "Rejected"}]}
    await operator.perform("ClearVariableMonitoring", {"id": [3]})
    assert list(await monitors()) == [3]


async def test_monitors_go_in_as_many_messages_as_the_station_wants(booted: Station201) -> None:
    limits = {f"MonitoringCtrlr.ItemsPerMessage[{action}VariableMonitoring]": "2" for action in ("Set", "Clear")}
    booted.variables |= limits
    await operator.perform("GetVariables", {"getVariableData": [named(name) for name in limits]})
    await watch(*(monitor(severity=severity) for severity in range(3)))
    await operator.perform("ClearVariableMonitoring", {"id": [1, 2, 3]})
    for action in ("SetVariableMonitoring", "ClearVariableMonitoring"):
        assert len([call for call in booted.calls if call.action == action]) == 2
    assert await monitors() == {}


async def test_a_report_of_all_monitors_replaces_what_was_believed(booted: Station201) -> None:
    await watch(monitor(), monitor(severity=5))
    booted.monitors = {5: monitor(severity=1), 6: monitor(severity=2)}
    command = await operator.perform("GetMonitoringReport", {})
    report = await report_of(command.pk, "Complete")
    assert report.parts == 2
    assert sorted(await monitors()) == [5, 6]


async def test_a_report_of_some_monitors_forgets_none(booted: Station201) -> None:
    await watch(monitor(), monitor(type="Delta", value=1))
    del booted.monitors[2]
    command = await operator.perform("GetMonitoringReport", {"monitoringCriteria": ["ThresholdMonitoring"]})
    await report_of(command.pk, "Complete")
    assert sorted(await monitors()) == [1, 2]
    command = await operator.perform("GetMonitoringReport", {"monitoringCriteria": ["PeriodicMonitoring"]})
    await report_of(command.pk, "Empty")


async def test_a_report_of_more_variables_than_the_station_takes_is_refused(booted: Station201) -> None:
    limit = "DeviceDataCtrlr.ItemsPerMessage[GetReport]"
    booted.variables[limit] = "1"
    await operator.perform("GetVariables", {"getVariableData": [named(limit)]})
    wanted = {"componentVariable": [named(POWER), named("EVSE(2).Power")]}
    for action in ("GetMonitoringReport", "GetReport"):
        with pytest.raises(InvalidBody, match="component_variable: The station takes at most 1"):
            await operator.ask(action, wanted)


@pytest.mark.parametrize(("base", "left"), [("All", [1]), ("FactoryDefault", []), ("HardWiredOnly", [])])
async def test_a_monitoring_base_takes_the_custom_monitors_away(
    booted: Station201, query: Query, base: str, left: list[int]
) -> None:
    await watch(monitor())
    await operator.perform("SetMonitoringBase", {"monitoringBase": base})
    assert list(await monitors()) == left
    row = await query(lambda: Variable.objects.get(variable="ActiveMonitoringBase"))
    assert (row.component, row.value) == ("MonitoringCtrlr", base)


async def test_the_level_that_the_station_took_is_kept(booted: Station201, query: Query) -> None:
    await operator.perform("SetMonitoringLevel", {"severity": 4})
    booted.answers["SetMonitoringLevel"] = {"status": "Rejected"}
    await operator.perform("SetMonitoringLevel", {"severity": 9})
    assert await query(lambda: Variable.objects.get(variable="ActiveMonitoringLevel").value) == "4"


@pytest.mark.parametrize(
    ("action", "payload", "reason"),
    [
        ("SetMonitoringLevel", {"severity": 10}, "severity: Must lie between 0 and 9"),
        ("SetVariableMonitoring", {"setMonitoringData": [monitor(severity=-1)]}, r"data\.0\.severity: Must lie"),
        (
            "SetVariableMonitoring",
            {"setMonitoringData": [monitor(), monitor(type="Delta", value=-1)]},
            r"data\.1\.value: Must not be negative",
        ),
    ],
)
async def test_what_no_station_could_take_is_refused(
    booted: Station201, action: str, payload: Payload, reason: str
) -> None:
    with pytest.raises(InvalidBody, match=reason):
        await operator.ask(action, payload)


async def test_an_alarm_is_kept_with_the_severity_of_its_monitor_and_is_over_when_the_station_says_so(
    booted: Station201,
) -> None:
    await watch(monitor())
    raised = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)
    of = {"variableMonitoringId": 1, "kind": "CustomMonitor", "trigger": "Alerting"}
    await booted.event(POWER, "12000", at=raised, techCode="E42", techInfo="hot", transactionId="T1", cause=7, **of)
    [alarm] = await events()
    assert (alarm.severity, alarm.actual_value, alarm.cleared, alarm.cleared_at) == (4, "12000", False, None)
    assert (alarm.component, alarm.evse_id, alarm.variable, alarm.timestamp) == ("EVSE", 1, "Power", raised)
    assert (alarm.tech_code, alarm.tech_info, alarm.transaction_uuid, alarm.cause) == ("E42", "hot", "T1", 7)
    over = raised + timedelta(minutes=1)
    await booted.event(POWER, "10000", at=over, cleared=True, **of)
    alarm, end = await events()
    assert (alarm.cleared_at, end.cleared) == (over, True)


async def test_an_event_that_is_told_again_is_kept_once(booted: Station201) -> None:
    at = datetime.now(UTC)
    for _ in range(2):
        await booted.event(POWER, "12000", at=at, number=5)
    assert len(await events()) == 1


async def test_an_event_without_a_value_or_a_known_monitor_is_kept(booted: Station201) -> None:
    await booted.event("SecurityCtrlr.BasicAuthPassword", "", variableMonitoringId=99)
    [event] = await events()
    assert (event.actual_value, event.severity, event.monitor_id) == ("", None, 99)


async def test_the_value_of_a_secret_is_not_kept(booted: Station201) -> None:
    await booted.event("SecurityCtrlr.BasicAuthPassword", "told to the world")
    assert [event.actual_value for event in await events()] == ["********"]


async def test_a_connector_may_tell_its_status_in_an_event(booted: Station201, query: Query) -> None:
    before = await query(StatusNotification.objects.count)
    await booted.event("Connector(1,1).AvailabilityState", "Occupied")
    assert (await query(lambda: Connector.objects.get(evse_id=1))).connector_status == "Occupied"
    # Told twice, it is one status.
    await booted.event("Connector(1,1).AvailabilityState", "Occupied")
    assert await query(StatusNotification.objects.count) == before + 1


@pytest.fixture
async def known(url: str, settings: Settings) -> AsyncIterator[Station201]:
    """A station whose variables are known, and which has a monitor."""
    settings.OCPP_INVENTORY = False
    async with Station201(url, "CP1", evses=2, autonomous=True) as station:
        await station.start_up()
        await watch(monitor())
        await query_in_thread(lambda: variable_of("ChargingStation"))
        settings.OCPP_INVENTORY = True
        yield station


def variable_of(component: str) -> None:
    Variable.objects.create(
        chargepoint_id="CP1", component=component, variable="Enabled", value="true", read_at=datetime.now(UTC)
    )


def asked(station: Station201) -> list[str]:
    return [call.action for call in station.calls if call.action.startswith("Get")]


async def test_a_station_that_has_booted_is_asked_for_its_monitors_whose_numbers_may_be_others(
    known: Station201,
) -> None:
    known.monitors = {11: known.monitors.pop(1)}
    await known.boot("RemoteReset")
    await until(VariableMonitor.objects.filter(monitor_id=11).exists)
    assert list(await monitors()) == [11]
    assert asked(known) == ["GetMonitoringReport"]


async def test_a_station_is_asked_that_says_that_it_can_have_monitors(known: Station201, query: Query) -> None:
    await query(VariableMonitor.objects.all().delete)
    await known.boot("PowerUp")
    await known.heartbeat()
    await query(lambda: variable_of("MonitoringCtrlr"))
    await known.boot("PowerUp")
    await until(VariableMonitor.objects.filter(monitor_id=1).exists)
    assert asked(known) == ["GetMonitoringReport"]


async def test_a_station_is_not_asked_again_that_cannot_tell_its_monitors_or_that_was_asked_to_boot(
    known: Station201, query: Query
) -> None:
    await known.boot("Triggered")
    known.answers["GetMonitoringReport"] = CallError("NotImplemented")
    await known.boot("PowerUp")
    await until(Limitation.objects.filter(subject="GetMonitoringReport").exists)
    await known.boot("PowerUp")
    await operator.perform("ClearCache")
    assert asked(known) == ["GetMonitoringReport"]
