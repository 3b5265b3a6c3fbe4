"""Remote Trigger profile."""

from tests.conformance.central import Central
from tests.conformance.ocpp16.conftest import sent
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

REQUESTS: dict[str, Payload] = {
    "MeterValues": {"requestedMessage": "MeterValues", "connectorId": 1},
    "Heartbeat": {"requestedMessage": "Heartbeat"},
    "StatusNotification": {"requestedMessage": "StatusNotification", "connectorId": 1},
    "DiagnosticsStatusNotification": {"requestedMessage": "DiagnosticsStatusNotification"},
    "FirmwareStatusNotification": {"requestedMessage": "FirmwareStatusNotification"},
}


async def trigger(central: Central, station: Station16, message: str, status: str) -> None:
    station.answers["TriggerMessage"] = {"status": status}
    request = REQUESTS[message]
    connector = {"connector_id": 1} if "connectorId" in request else {}
    assert await central.ask("TriggerMessage", requested_message=message, **connector) == {"status": status}
    assert sent(station, "TriggerMessage")[-1] == request


async def test_tc_054_trigger_message(central: Central, station: Station16) -> None:
    await trigger(central, station, "MeterValues", "Accepted")
    assert await station.meter_values(1) == {}
    await trigger(central, station, "Heartbeat", "Accepted")
    assert "currentTime" in await station.heartbeat()
    await trigger(central, station, "StatusNotification", "Accepted")
    assert await station.status(1, "Available") == {}
    for message in ("DiagnosticsStatusNotification", "FirmwareStatusNotification"):
        await trigger(central, station, message, "Accepted")
        assert await station.call(message, {"status": "Idle"}) == {}
    # Nothing was under way, and nothing is made up.
    assert await central.rows("firmwareupdate") == await central.rows("logupload") == []
    assert (await central.chargepoint())["limitations"] == []


async def test_tc_055_trigger_message_rejected(central: Central, station: Station16) -> None:
    await trigger(central, station, "MeterValues", "Rejected")
    # It may be the connector that it refuses.
    assert (await central.chargepoint())["limitations"] == []
    await trigger(central, station, "Heartbeat", "Rejected")
    [limitation] = (await central.chargepoint())["limitations"]
    assert (limitation["kind"], limitation["subject"], limitation["certain"]) == ("trigger", "Heartbeat", False)
