"""What a simulated station measures and tells, and what it sends when it is asked to."""

from typing import Any

import pytest

from tests.simulator.fake_csms import Csms
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16


def measurands(report: Payload) -> set[str]:
    return {each["measurand"] for value in report["meterValue"] for each in value["sampledValue"]}


async def change(csms: Csms, key: str, value: str) -> str:
    return str((await csms.ask("ChangeConfiguration", {"key": key, "value": value}))["status"])


async def test_sessions_send_the_measurands_that_are_configured(csms: Csms, living: Station16) -> None:
    assert await change(csms, "MeterValuesSampledData", "Voltage, Nonsense") == "Rejected"
    assert await change(csms, "MeterValuesSampledData", "Voltage, Power.Active.Import") == "Accepted"
    living.begin_session(living.connectors[1], "TAG", authorize=False)
    assert measurands(await csms.until_call("MeterValues")) == {"Voltage", "Power.Active.Import"}


async def test_a_stop_brings_the_samples_that_are_configured_for_it(csms: Csms, living: Station16) -> None:
    await change(csms, "StopTxnSampledData", "Energy.Active.Import.Register")
    living.begin_session(living.connectors[1], "TAG", authorize=False)
    await csms.until_call("MeterValues")
    living.end_session(living.connectors[1], "Local")
    data = (await csms.until_call("StopTransaction"))["transactionData"]
    contexts = [value["sampledValue"][0]["context"] for value in data]
    assert contexts[:2] == ["Transaction.Begin", "Sample.Periodic"]
    assert contexts[-1] == "Transaction.End"


async def test_clock_aligned_values_come_while_their_interval_is_set(csms: Csms, living: Station16) -> None:
    assert await change(csms, "ClockAlignedDataInterval", "1") == "Accepted"
    for connector in (1, 2):
        report = await csms.until_call("MeterValues", connectorId=connector)
        assert "transactionId" not in report
        assert report["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Clock"
    await change(csms, "ClockAlignedDataInterval", "0")


async def test_a_new_heartbeat_interval_counts_at_once(csms: Csms, living: Station16) -> None:
    await change(csms, "HeartbeatInterval", "1")
    await csms.until_call("Heartbeat")


@pytest.mark.parametrize(
    ("key", "value", "answer"),
    [
        ("heartbeatinterval", "60", "Accepted"),
        ("HeartbeatInterval", "-1", "Rejected"),
        ("LocalPreAuthorize", "yes", "Rejected"),
        ("LocalPreAuthorize", "true", "Accepted"),
        ("NumberOfConnectors", "5", "Rejected"),
        ("Nonsense", "5", "NotSupported"),
    ],
)
async def test_a_setting_takes_what_fits(csms: Csms, station: Station16, key: str, value: str, answer: str) -> None:
    assert await change(csms, key, value) == answer


@pytest.mark.parametrize(
    ("action", "message", "connector", "answer"),
    [
        ("TriggerMessage", "StatusNotification", 9, "Rejected"),
        ("TriggerMessage", "MeterValues", 9, "Rejected"),
        ("TriggerMessage", "Heartbeat", 9, "Accepted"),
        ("TriggerMessage", "StatusNotification", 0, "Accepted"),
        ("ExtendedTriggerMessage", "MeterValues", 2, "Accepted"),
        ("ExtendedTriggerMessage", "MeterValues", 9, "Rejected"),
        ("ExtendedTriggerMessage", "BootNotification", None, "Accepted"),
    ],
)
async def test_a_connector_matters_to_a_trigger_where_it_matters_to_the_message(
    csms: Csms, living: Station16, action: str, message: str, connector: int | None, answer: str
) -> None:
    chosen: dict[str, Any] = {} if connector is None else {"connectorId": connector}
    assert await csms.ask(action, {"requestedMessage": message, **chosen}) == {"status": answer}
    if answer == "Accepted":
        await csms.until_call(message)


async def test_the_whole_station_goes_out_of_service_and_says_so(csms: Csms, living: Station16) -> None:
    await csms.ask("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"})
    for number in (0, 1, 2):
        assert (await csms.until_call("StatusNotification", connectorId=number))["status"] == "Unavailable"
    assert await csms.ask("RemoteStartTransaction", {"idTag": "TAG"}) == {"status": "Rejected"}
    await csms.ask("ChangeAvailability", {"connectorId": 0, "type": "Operative"})
    for number in (0, 1, 2):
        assert (await csms.until_call("StatusNotification", connectorId=number))["status"] == "Available"


async def test_every_request_of_a_station_has_a_method_of_its_own(csms: Csms, station: Station16) -> None:
    await station.authorize("TAG")
    await station.heartbeat()
    await station.status(1, "Faulted", "OtherError", info="i", vendorId="com.example", vendorErrorCode="E1")
    await station.status(1, "Available")
    await station.start(1, "TAG")
    await station.meter_values(1)
    await station.stop(1)
    await station.data_transfer("com.example", "hello", "world")
    await station.diagnostics_status("Uploaded")
    await station.firmware_status("Installed")
    await station.log_status("Uploaded", 1)
    await station.signed_firmware_status("Installed", 1)
    await station.security_event("MemoryExhaustion")
    await station.sign_certificate("SN", "Operator")
    # The rest is the boot of the fixture; the fake checks each against its schema.
    sent = {frame.json()[2] for frame in station.frames if frame.sent}
    assert len(sent) == 14
