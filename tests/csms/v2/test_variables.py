"""The device model over real sockets: variables that are read, set and reported (B05 to B08, A01)."""

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import ChargePoint, Connector, Limitation, Variable
from chargers.services import stations
from tasks.errors import KeyChangeInDoubt
from tasks.models import Report
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.v2.reports import report_of
from tests.simulator.station import CallError, Payload
from tests.simulator.v2 import Station201
from tests.simulator.v2.device_model import named

PASSWORD = "Tr0ub4dor+and=three"


def setting(name: str, value: str, **more: Any) -> Payload:
    return {"attributeValue": value, **named(name), **more}


async def values() -> dict[str, str | None]:
    """Return what is kept of CP1, by component and variable."""

    def read() -> dict[str, str | None]:
        return {f"{row.component}.{row.variable}": row.value for row in Variable.objects.filter(chargepoint="CP1")}

    return await query_in_thread(read)  # type: ignore[no-any-return]


async def variable(name: str, **more: Any) -> Variable:
    component, _, variable = name.partition(".")
    return await query_in_thread(  # type: ignore[no-any-return]
        lambda: Variable.objects.get(chargepoint="CP1", component=component, variable=variable, **more)
    )


async def test_what_was_read_is_kept(booted: Station201) -> None:
    booted.variables |= {"AuthCtrlr.AuthorizeRemoteStart": "true", "EVSE(1).AvailabilityState": "Available"}
    booted.read_only = {"EVSE(1).AvailabilityState"}
    names = ["AuthCtrlr.AuthorizeRemoteStart", "EVSE(1).AvailabilityState", "AuthCtrlr.Unheard", "Nothing.There"]
    command = await operator.perform("GetVariables", {"getVariableData": [named(name) for name in names]})
    assert [each["attributeStatus"] for each in command.response["getVariableResult"]] == [
        "Accepted",
        "Accepted",
        "UnknownVariable",
        "UnknownComponent",
    ]
    assert await values() == {"AuthCtrlr.AuthorizeRemoteStart": "true", "EVSE.AvailabilityState": "Available"}
    assert (await variable("EVSE.AvailabilityState")).evse_id == 1


async def test_a_variable_that_the_station_no_longer_knows_is_forgotten(booted: Station201) -> None:
    booted.variables["AuthCtrlr.Old"] = "1"
    ask = {"getVariableData": [named("AuthCtrlr.Old")]}
    await operator.perform("GetVariables", ask)
    assert await values() == {"AuthCtrlr.Old": "1"}
    del booted.variables["AuthCtrlr.Old"]
    await operator.perform("GetVariables", ask)
    assert await values() == {}


@pytest.mark.parametrize("limit", ["ItemsPerMessage", "BytesPerMessage"])
async def test_a_list_goes_in_as_many_messages_as_the_station_wants(booted: Station201, limit: str) -> None:
    limits = {f"DeviceDataCtrlr.{limit}[GetVariables]": {"ItemsPerMessage": "4", "BytesPerMessage": "330"}[limit]}
    booted.variables |= {f"AuthCtrlr.V{number}": str(number) for number in range(9)} | limits
    await operator.perform("GetVariables", {"getVariableData": [named(*limits)]})
    names = [f"AuthCtrlr.V{number}" for number in range(9)]
    command = await operator.perform("GetVariables", {"getVariableData": [named(name) for name in names]})
    assert [each["attributeValue"] for each in command.response["getVariableResult"]] == list("012345678")
    sent = [call for call in booted.calls if call.action == "GetVariables"][1:]
    assert len(sent) == len(command.calls) == 3
    if limit == "ItemsPerMessage":
        assert [len(call.payload["getVariableData"]) for call in sent] == [4, 4, 1]
    else:
        assert all(len(call.text) <= 330 for call in sent)
        assert len(sent[0].text) + len(sent[-1].text) > 330


async def test_a_list_that_the_station_finds_too_long_is_halved(booted: Station201) -> None:
    booted.variables |= {f"AuthCtrlr.V{number}": str(number) for number in range(5)}
    answer = booted.on_get_variables

    def at_most_two(payload: Payload) -> Any:
        if len(payload["getVariableData"]) > 2:
            return CallError("OccurrenceConstraintViolation", "too many")
        return answer(payload)

    booted.answers["GetVariables"] = at_most_two
    ask = {"getVariableData": [named(f"AuthCtrlr.V{number}") for number in range(5)]}
    command = await operator.perform("GetVariables", ask)
    assert [each["attributeValue"] for each in command.response["getVariableResult"]] == list("01234")
    assert len(await values()) == 5


async def test_in_a_strict_platform_a_list_that_is_too_long_stays_refused(
    settings: Settings, no_inventory: None, url: str
) -> None:
    settings.OCPP_VALIDATION = "strict"
    async with Station201(url, "CP1") as station:
        await station.boot()
        station.answers["GetVariables"] = CallError("OccurrenceConstraintViolation", "too many")
        ask = {"getVariableData": [named("AuthCtrlr.A"), named("AuthCtrlr.B")]}
        assert (await operator.perform("GetVariables", ask)).status == "error"
        assert len(station.calls) == 1


async def test_each_variable_is_kept_by_its_own_result(booted: Station201) -> None:
    booted.variables |= {"AuthCtrlr.A": "1", "AuthCtrlr.B": "1", "AuthCtrlr.C": "1"}
    booted.read_only, booted.needs_reboot = {"AuthCtrlr.B"}, {"AuthCtrlr.C"}
    data = [setting(f"AuthCtrlr.{name}", "2") for name in "ABCD"]
    command = await operator.perform("SetVariables", {"setVariableData": data})
    results = [each["attributeStatus"] for each in command.response["setVariableResult"]]
    assert results == ["Accepted", "Rejected", "RebootRequired", "UnknownVariable"]
    assert await values() == {"AuthCtrlr.A": "2", "AuthCtrlr.C": "2"}
    assert (await variable("AuthCtrlr.C")).reboot_required
    await booted.boot()
    assert not (await variable("AuthCtrlr.C")).reboot_required


async def test_attributes_and_instances_of_a_variable_are_told_apart(booted: Station201) -> None:
    booted.variables |= {"SmartChargingCtrlr.Limit": "1", "SmartChargingCtrlr.Limit[Two]": "1"}
    data = [
        setting("SmartChargingCtrlr.Limit", "10"),
        setting("SmartChargingCtrlr.Limit", "20", attributeType="MaxSet"),
        setting("SmartChargingCtrlr.Limit[Two]", "30"),
    ]
    await operator.perform("SetVariables", {"setVariableData": data})
    assert (await variable("SmartChargingCtrlr.Limit", attribute="MaxSet")).value == "20"
    assert (await variable("SmartChargingCtrlr.Limit", variable_instance="Two")).value == "30"
    assert len(await query_in_thread(lambda: list(Variable.objects.filter(variable="Limit")))) == 3


async def test_a_variable_must_not_be_set_twice_in_a_message(booted: Station201) -> None:
    data = [setting("AuthCtrlr.A", "1"), setting("authctrlr.a", "2", attributeType="Actual")]
    with pytest.raises(InvalidBody, match=r"set_variable_data\.1: Names the same variable"):
        await operator.ask("SetVariables", {"setVariableData": data})
    ask = [named("AuthCtrlr.A"), named("AuthCtrlr.A")]
    with pytest.raises(InvalidBody, match=r"get_variable_data\.1: Names the same variable"):
        await operator.ask("GetVariables", {"getVariableData": ask})


async def test_a_full_inventory_is_kept_and_what_it_does_not_tell_is_forgotten(booted: Station201) -> None:
    booted.variables |= {"AuthCtrlr.Gone": "1", "EVSE(2).Power": "11000", "Connector(2,1).ConnectorType": "cCCS2"}
    first = await operator.perform("GetBaseReport", {"reportBase": "FullInventory"})
    report = await report_of(first.pk, "Complete")
    assert (report.parts, report.missing) == (2, [])
    assert "AuthCtrlr.Gone" in await values()
    del booted.variables["AuthCtrlr.Gone"]
    second = await operator.perform("GetBaseReport", {"reportBase": "FullInventory"})
    await report_of(second.pk, "Complete")
    assert await values() == {
        "OCPPCommCtrlr.HeartbeatInterval": "300",
        "EVSE.Power": "11000",
        "Connector.ConnectorType": "cCCS2",
    }
    row = await variable("EVSE.Power")
    assert (row.mutability, row.persistent, row.constant) == ("ReadWrite", False, False)
    assert row.characteristics == {"data_type": "string", "supports_monitoring": False}


async def test_a_configuration_inventory_forgets_nothing(booted: Station201) -> None:
    booted.variables["AuthCtrlr.A"] = "1"
    await operator.perform("GetVariables", {"getVariableData": [named("AuthCtrlr.A")]})
    del booted.variables["AuthCtrlr.A"]
    command = await operator.perform("GetBaseReport", {"reportBase": "ConfigurationInventory"})
    await report_of(command.pk, "Complete")
    assert (await values())["AuthCtrlr.A"] == "1"


async def test_parts_in_any_order_make_one_report(booted: Station201) -> None:
    booted.autonomous = False
    command = await operator.perform("GetBaseReport", {"reportBase": "FullInventory"})
    request_id = command.payload["requestId"]
    booted.variables |= {f"AuthCtrlr.V{number}": "1" for number in range(5)}
    parts = list(booted.parts(sorted(booted.variables)))
    await booted.report_part(request_id, 1, parts[1], more=False)
    report = await report_of(command.pk, "Collecting")
    assert report.missing == [0]
    await booted.report_part(request_id, 0, parts[0], more=True)
    await report_of(command.pk, "Complete")
    assert len(await values()) == 6


async def test_a_report_of_criteria_is_asked_for_and_may_be_empty(booted: Station201) -> None:
    booted.variables["EVSE(1).AvailabilityState"] = "Available"
    criteria = {"componentCriteria": ["Available"], "componentVariable": [named("EVSE(1).AvailabilityState")]}
    command = await operator.perform("GetReport", criteria)
    await report_of(command.pk, "Complete")
    assert await values() == {"EVSE.AvailabilityState": "Available"}
    nothing = {"componentCriteria": ["Problem"], "componentVariable": [named("EVSE(9).AvailabilityState")]}
    command = await operator.perform("GetReport", nothing)
    assert (await report_of(command.pk, "Empty")).parts == 0


@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
async def test_a_report_may_be_refused(booted: Station201, status: str) -> None:
    booted.answers["GetBaseReport"] = {"status": status}
    command = await operator.perform("GetBaseReport", {"reportBase": "SummaryInventory"})
    await report_of(command.pk, "Refused")


async def test_a_report_that_nobody_asked_for_is_kept(booted: Station201) -> None:
    booted.variables = {"AuthCtrlr.A": "1"}
    await booted.report(4711)
    assert await values() == {"AuthCtrlr.A": "1"}


async def test_a_station_is_asked_for_its_inventory_after_its_first_boot(url: str, query: Query) -> None:
    async with Station201(url, "CP1", variables={"EVSE(1).Power": "1"}, autonomous=True) as station:
        await station.boot()
        call = await station.expect_call("GetBaseReport")
        assert call.payload["reportBase"] == "FullInventory"
        await report_of(call.message_id, "Complete")
        # Known by now.
        await station.boot()
        station.charging_station["firmwareVersion"] = "2"
        await station.boot()
        again = await station.expect_call("GetBaseReport")
        await report_of(again.message_id, "Complete")
    assert await query(lambda: Report.objects.count()) == 2


async def test_the_new_password_is_the_only_one_once_it_is_taken(booted: Station201, query: Query) -> None:
    await query(lambda: stations.new_key(ChargePoint.objects.get()))
    data = [setting("SecurityCtrlr.BasicAuthPassword", PASSWORD)]
    command = await operator.perform("SetVariables", {"setVariableData": data})
    assert booted.variables["SecurityCtrlr.BasicAuthPassword"] == PASSWORD
    row = await query(ChargePoint.objects.get)
    assert stations.key_matches(PASSWORD.encode(), row.key_hash)
    assert row.proposed_key_hash == ""
    assert command.payload["setVariableData"][0]["attributeValue"] == "********"
    assert await values() == {}


@pytest.mark.parametrize("status", ["Rejected", "UnknownVariable"])
async def test_a_password_that_is_not_taken_is_dropped(booted: Station201, query: Query, status: str) -> None:
    await query(lambda: stations.new_key(ChargePoint.objects.get()))
    before = (await query(ChargePoint.objects.get)).key_hash
    booted.answers["SetVariables"] = {
        "setVariableResult": [{"attributeStatus": status, **named("SecurityCtrlr.BasicAuthPassword")}]
    }
    data = [setting("SecurityCtrlr.BasicAuthPassword", PASSWORD)]
    await operator.perform("SetVariables", {"setVariableData": data})
    row = await query(ChargePoint.objects.get)
    assert (row.key_hash, row.proposed_key_hash) == (before, "")


async def test_both_passwords_are_good_while_the_station_has_to_boot_first(booted: Station201, query: Query) -> None:
    await query(lambda: stations.new_key(ChargePoint.objects.get()))
    booted.needs_reboot = {"SecurityCtrlr.BasicAuthPassword"}
    data = [setting("SecurityCtrlr.BasicAuthPassword", PASSWORD)]
    await operator.perform("SetVariables", {"setVariableData": data})
    row = await query(ChargePoint.objects.get)
    assert row.key_hash
    assert stations.key_matches(PASSWORD.encode(), row.proposed_key_hash)
    with pytest.raises(KeyChangeInDoubt):
        await operator.ask("SetVariables", {"setVariableData": data})


@pytest.mark.parametrize("password", ["short", "x" * 41, "with blanks in the middle"])
async def test_a_password_that_is_none_is_refused(booted: Station201, password: str) -> None:
    data = [setting("SecurityCtrlr.BasicAuthPassword", password)]
    with pytest.raises(InvalidBody, match=r"set_variable_data\.0\.attribute_value: A station's password is 16 to 40"):
        await operator.ask("SetVariables", {"setVariableData": data})


async def test_a_secret_that_a_station_tells_is_kept_by_nobody(booted: Station201) -> None:
    booted.variables["SecurityCtrlr.BasicAuthPassword"] = "told to the world"
    booted.variables["WifiCtrlr.Passphrase"] = "told to the world"
    booted.write_only = set()
    ask = {"getVariableData": [named("WifiCtrlr.Passphrase")]}
    command = await operator.perform("GetVariables", ask)
    assert command.response["getVariableResult"][0]["attributeValue"] == "********"
    await booted.report(1)
    kept = await values()
    assert kept["SecurityCtrlr.BasicAuthPassword"] is None
    assert kept["WifiCtrlr.Passphrase"] is None
    assert (await variable("SecurityCtrlr.BasicAuthPassword")).mutability == "WriteOnly"


async def test_connectors_are_learnt_from_the_inventory(booted: Station201, query: Query) -> None:
    await booted.report_part(1, 0, [booted.told(name) for name in _connector(booted)], more=False)
    rows = await query(lambda: list(Connector.objects.filter(evse_id=7).values_list("connectorid", flat=True)))
    assert rows == [3]


def _connector(station: Station201) -> list[str]:
    station.variables["Connector(7,3).AvailabilityState"] = "Available"
    return ["Connector(7,3).AvailabilityState"]


async def test_a_value_that_is_not_kept_is_noted(booted: Station201, query: Query) -> None:
    booted.variables["AuthCtrlr.A"] = "1"
    await operator.perform("SetVariables", {"setVariableData": [setting("AuthCtrlr.A", "2")]})
    booted.variables["AuthCtrlr.A"] = "1"
    await operator.perform("GetVariables", {"getVariableData": [named("AuthCtrlr.A")]})
    row = await query(lambda: ChargePoint.objects.get().deviations.get(kind="value-not-kept"))
    assert row.example == "A: 2 became 1"


async def test_a_report_fails_with_a_command_that_the_station_does_not_know(booted: Station201, query: Query) -> None:
    booted.answers["GetBaseReport"] = CallError("NotImplemented")
    await operator.perform("GetBaseReport", {"reportBase": "FullInventory"})
    assert await query(lambda: Limitation.objects.get().subject) == "GetBaseReport"
    assert await query(lambda: Report.objects.get().status) == "Failed"
