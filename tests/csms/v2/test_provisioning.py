"""Boot in every registration state, availability, triggers, resets and network profiles (blocks B, F, G and P)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.choices import RegistrationStatus
from chargers.models import ChargePoint, Connector, Limitation, StatusNotification
from tasks.errors import NotAccepted, StationUnable
from tasks.models import Command, Report
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.v2.reports import report_of
from tests.csms.waiting import until
from tests.simulator.station import CallError
from tests.simulator.v2 import Station201, token
from tests.simulator.v2.device_model import named


async def register(query: Query, status: RegistrationStatus, **more: Any) -> None:
    """Let CP1 be as an operator has it; unknown before."""
    await query(
        lambda: ChargePoint.objects.update_or_create(
            chargepoint_id="CP1", defaults={"registration_status": status, **more}
        )
    )


@pytest.mark.parametrize("status", RegistrationStatus)
async def test_a_boot_is_answered_the_registration_status(
    no_inventory: None, url: str, query: Query, status: RegistrationStatus
) -> None:
    await register(query, status)
    async with Station201(url, "CP1") as station:
        answer = await station.boot()
    assert (answer["status"], answer["interval"]) == (status, 300)
    row = await query(ChargePoint.objects.get)
    assert (row.chargepoint_vendor, row.chargepoint_model, row.ocpp_version) == ("Simulated", "Socket 201", "ocpp2.0.1")


@pytest.mark.parametrize("status", [RegistrationStatus.PENDING, RegistrationStatus.REJECTED])
async def test_nothing_else_is_served_before_a_station_is_accepted(
    url: str, query: Query, status: RegistrationStatus
) -> None:
    await register(query, status)
    async with Station201(url, "CP1") as station:
        await station.boot()
        for message in (station.status(1), station.heartbeat(), station.report(1)):
            with pytest.raises(CallError, match="SecurityError"):
                await message
    assert not await query(StatusNotification.objects.exists)


async def test_a_pending_station_is_set_up_reports_and_is_accepted_with_its_next_boot(url: str, query: Query) -> None:
    await register(query, RegistrationStatus.PENDING)
    async with Station201(url, "CP1", variables={"OCPPCommCtrlr.OfflineThreshold": "1"}, autonomous=True) as station:
        await station.boot()
        data = [{"attributeValue": "60", **named("OCPPCommCtrlr.OfflineThreshold")}]
        command = await operator.perform("SetVariables", {"setVariableData": data})
        assert command.response["setVariableResult"][0]["attributeStatus"] == "Accepted"
        command = await operator.perform("GetBaseReport", {"reportBase": "FullInventory"})
        await report_of(command.pk, "Complete")
        for action, payload in {
            "RequestStartTransaction": {"idToken": token("TAG1"), "remoteStartId": 1},
            "RequestStopTransaction": {"transactionId": "T1"},
        }.items():
            with pytest.raises(NotAccepted):
                await operator.ask(action, payload)
        await register(query, RegistrationStatus.ACCEPTED, last_boot=None)
        await operator.perform("TriggerMessage", {"requestedMessage": "BootNotification"})
        await until(ChargePoint.objects.filter(last_boot__isnull=False).exists)
        await station.status(1)
    assert await query(lambda: Report.objects.count()) == 1


async def test_a_pending_station_that_loses_its_connection_goes_on_with_what_it_was_asked_for(
    url: str, query: Query
) -> None:
    await register(query, RegistrationStatus.PENDING)
    async with Station201(url, "CP1") as station:
        await station.boot()
        station.answers["GetBaseReport"] = station.answers["TriggerMessage"] = {"status": "Accepted"}
        report = await operator.perform("GetBaseReport", {"reportBase": "FullInventory"})
        await operator.perform("TriggerMessage", {"requestedMessage": "Heartbeat"})
        number = report.payload["requestId"]
        await station.report_part(number, 0, [], more=True)
        await station.drop()
        await station.connect()
        await station.boot()
        await station.report_part(number, 1, [], more=False)
        await station.heartbeat()
        await report_of(report.pk, "Complete")
        with pytest.raises(CallError, match="SecurityError"):
            await station.status(1)
        # What is over is not awaited any more.
        await query(lambda: Command.objects.update(finished_at=datetime.now(UTC) - timedelta(days=1)))
        await station.drop()
        await station.connect()
        for message in (station.report(number), station.heartbeat()):
            with pytest.raises(CallError, match="SecurityError"):
                await message


async def test_a_rejected_station_is_asked_for_nothing(url: str, query: Query) -> None:
    await register(query, RegistrationStatus.REJECTED)
    async with Station201(url, "CP1") as station:
        await station.boot()
        with pytest.raises(NotAccepted):
            await operator.ask("GetBaseReport", {"reportBase": "FullInventory"})


PLACES = [
    ({}, {(1, 1), (1, 2), (2, 1)}),
    ({"evse": {"id": 1}}, {(1, 1), (1, 2)}),
    ({"evse": {"id": 1, "connectorId": 2}}, {(1, 2)}),
]


@pytest.mark.parametrize("status", ["Accepted", "Scheduled"])
@pytest.mark.parametrize(("place", "changed"), PLACES)
async def test_what_is_put_out_of_service_is_kept(
    no_inventory: None, url: str, query: Query, place: dict[str, Any], changed: set[tuple[int, int]], status: str
) -> None:
    async with Station201(url, "CP1", evses={1: 2, 2: 1}) as station:
        await station.start_up()
        station.answers["ChangeAvailability"] = {"status": status}
        await operator.perform("ChangeAvailability", {"operationalStatus": "Inoperative", **place})
        rows = Connector.objects.filter(availability_status="Inoperative").values_list("evse_id", "connectorid")
        assert set(await query(lambda: list(rows))) == changed
        await operator.perform("ChangeAvailability", {"operationalStatus": "Operative", **place})
        assert await query(lambda: list(rows.all())) == []


async def test_a_refused_change_of_availability_changes_nothing(booted: Station201, query: Query) -> None:
    booted.answers["ChangeAvailability"] = {"status": "Rejected"}
    await operator.perform("ChangeAvailability", {"operationalStatus": "Inoperative"})
    assert not await query(Connector.objects.filter(availability_status="Inoperative").exists)


async def test_a_status_is_asked_for_of_one_connector_only(booted: Station201) -> None:
    for place in ({}, {"evse": {"id": 1}}):
        with pytest.raises(InvalidBody, match=r"evse\.connector_id: Is required"):
            await operator.ask("TriggerMessage", {"requestedMessage": "StatusNotification", **place})
    place = {"evse": {"id": 1, "connectorId": 1}}
    command = await operator.perform("TriggerMessage", {"requestedMessage": "StatusNotification", **place})
    assert command.response == {"status": "Accepted"}


async def test_a_message_that_is_not_implemented_is_not_asked_for_again(booted: Station201, query: Query) -> None:
    booted.answers["TriggerMessage"] = {"status": "NotImplemented"}
    ask = {"requestedMessage": "LogStatusNotification"}
    await operator.perform("TriggerMessage", ask)
    assert await query(lambda: Limitation.objects.get().subject) == "LogStatusNotification"
    with pytest.raises(StationUnable):
        await operator.ask("TriggerMessage", ask)


async def test_an_accepted_station_that_does_not_boot_again_is_not_unable(booted: Station201, query: Query) -> None:
    booted.answers["TriggerMessage"] = {"status": "Rejected"}
    await operator.perform("TriggerMessage", {"requestedMessage": "BootNotification"})
    assert not await query(Limitation.objects.exists)


@pytest.mark.parametrize("body", [{"type": "Immediate"}, {"type": "OnIdle"}, {"type": "OnIdle", "evseId": 2}])
async def test_a_reset_goes_out_as_asked(booted: Station201, body: dict[str, Any]) -> None:
    command = await operator.perform("Reset", body)
    assert command.response == {"status": "Accepted"}
    assert (await booted.expect_call("Reset")).payload == body


def connection(**more: Any) -> dict[str, Any]:
    return {
        "configurationSlot": 1,
        "connectionData": {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": "wss://csms.example.com/ws/ocpp",
            "messageTimeout": 30,
            "securityProfile": 2,
            "ocppInterface": "Wired0",
            **more,
        },
    }


async def test_a_network_profile_is_sent_and_its_secrets_are_shown_to_nobody(booted: Station201) -> None:
    vpn = {"server": "vpn.example.com", "user": "cp", "password": "hush", "key": "hush hush", "type": "IPSec"}
    apn = {"apn": "internet", "apnPassword": "hush", "simPin": 1234, "apnAuthentication": "AUTO"}
    plain = {"ocppCsmsUrl": "ws://csms.example.com/ws/ocpp", "securityProfile": 0}
    command = await operator.perform("SetNetworkProfile", connection(vpn=vpn, apn=apn, **plain))
    assert command.response == {"status": "Accepted"}
    assert (await booted.expect_call("SetNetworkProfile")).payload["connectionData"]["vpn"] == vpn
    data = command.payload["connectionData"]
    assert (data["vpn"]["password"], data["vpn"]["key"], data["vpn"]["user"]) == ("********", "********", "cp")
    assert (data["apn"]["apnPassword"], data["apn"]["simPin"]) == ("********", "********")


@pytest.mark.parametrize("status", ["Accepted", "Rejected", "Failed"])
async def test_a_higher_security_profile_is_expected_once_it_is_taken(
    booted: Station201, query: Query, tls_settings: None, status: str
) -> None:
    await query(lambda: ChargePoint.objects.update(key_hash="sha256$a$b"))
    booted.answers["SetNetworkProfile"] = {"status": status}
    await operator.perform("SetNetworkProfile", connection())
    expected = 2 if status == "Accepted" else None
    assert (await query(ChargePoint.objects.get)).proposed_security_profile == expected


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"securityProfile": 4}, "security_profile: A security profile is 0, 1, 2 or 3"),
        ({"securityProfile": 0}, "security_profile: The station's security profile is 1, and OCPP can only raise it"),
        ({"ocppCsmsUrl": "ws://csms.example.com"}, "ocpp_csms_url: Must begin with wss://"),
        ({"ocppCsmsUrl": "wss://"}, "ocpp_csms_url: Must begin with wss://"),
    ],
)
async def test_a_network_profile_that_cannot_work_is_refused(
    booted: Station201, query: Query, more: dict[str, Any], reason: str
) -> None:
    await query(lambda: ChargePoint.objects.update(security_profile=1))
    with pytest.raises(InvalidBody, match=reason):
        await operator.ask("SetNetworkProfile", connection(**more))


async def test_vendor_data_is_understood_by_nobody_here(booted: Station201) -> None:
    assert await booted.data_transfer("com.example", "Greeting", {"any": ["thing"]}) == {"status": "UnknownVendorId"}
    answer = await operator.perform("DataTransfer", {"vendorId": "com.example"})
    assert answer.response == {"status": "UnknownVendorId"}


@pytest.fixture
def soon_greeted(settings: Settings) -> None:
    """Let the platform ask at once for what stations do not tell; the watch looks as often as half the timeout."""
    settings.OCPP_GREETING_GRACE, settings.OCPP_PING_TIMEOUT = 0.01, 0.1


async def test_the_platform_asks_for_what_a_station_does_not_tell_connector_by_connector(
    no_inventory: None, soon_greeted: None, url: str, query: Query
) -> None:
    await register(query, RegistrationStatus.ACCEPTED, last_boot=datetime.now(UTC))
    await query(lambda: Connector.objects.create(chargepoint_id="CP1", evse_id=2, connectorid=3))
    async with Station201(url, "CP1", evses={2: 3}, autonomous=True) as station:
        call = await station.expect_call("TriggerMessage")
    assert call.payload == {"requestedMessage": "StatusNotification", "evse": {"id": 2, "connectorId": 3}}
