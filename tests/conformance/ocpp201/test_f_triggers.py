"""Block F: messages that stations are asked to send."""

from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp201.conftest import sent
from tests.simulator.v2 import Station201, sample, token

EVSE = {"id": 1}


async def trigger(
    central: Central, station: Station201, message: str, evse: dict[str, int] | None = None, status: str = "Accepted"
) -> None:
    """Let the platform ask for a message, and check the request."""
    station.answers["TriggerMessage"] = {"status": status}
    place: dict[str, Any] = {}
    if evse:
        place = {"evse": {"connector_id" if name == "connectorId" else name: value for name, value in evse.items()}}
    assert await central.ask("TriggerMessage", requested_message=message, **place) == {"status": status}
    assert sent(station, "TriggerMessage")[-1] == {"requestedMessage": message, **({"evse": evse} if evse else {})}


async def charging(central: Central, station: Station201) -> None:
    await station.status(1, "Occupied")
    await station.started(id_token=token(await central.tag("VALID")), charging_state="Charging")


def triggered() -> list[dict[str, Any]]:
    return [sample(1000, "Energy.Active.Import.Register", "Wh", context="Trigger")]


async def test_tc_f_11_csms_trigger_meter_values_specific_evse(central: Central, station: Station201) -> None:
    await trigger(central, station, "MeterValues", EVSE)
    assert await station.meter_values(1, triggered()) == {}


async def test_tc_f_12_csms_trigger_meter_values_all_evses(central: Central, station: Station201) -> None:
    await trigger(central, station, "MeterValues")
    for evse in station.evses:
        assert await station.meter_values(evse, triggered()) == {}


async def test_tc_f_13_csms_trigger_transaction_event_specific_evse(central: Central, station: Station201) -> None:
    await charging(central, station)
    await trigger(central, station, "TransactionEvent", EVSE)
    assert await station.updated("Trigger", samples=triggered()) == {}


async def test_tc_f_14_csms_trigger_transaction_event_all_evses(central: Central, station: Station201) -> None:
    await charging(central, station)
    await trigger(central, station, "TransactionEvent")
    assert await station.updated("Trigger", samples=triggered()) == {}
    [transaction] = await central.rows("transaction")
    assert transaction["wh_meter_last"] == 1000


async def test_tc_f_20_csms_trigger_heartbeat(central: Central, station: Station201) -> None:
    await trigger(central, station, "Heartbeat")
    assert "currentTime" in await station.heartbeat()


async def test_tc_f_23_csms_trigger_status_notification_available(central: Central, station: Station201) -> None:
    await trigger(central, station, "StatusNotification", {"id": 1, "connectorId": 1})
    assert await station.status(1, "Available") == {}
    await central.until("connector", evse_id=1, connector_status="Available")


async def test_tc_f_24_csms_trigger_status_notification_occupied(central: Central, station: Station201) -> None:
    await trigger(central, station, "StatusNotification", {"id": 1, "connectorId": 1})
    assert await station.status(1, "Occupied") == {}
    await central.until("connector", evse_id=1, connector_status="Occupied")


async def test_tc_f_27_csms_trigger_not_implemented(central: Central, station: Station201) -> None:
    await trigger(central, station, "SignCombinedCertificate", status="NotImplemented")
    [limitation] = (await central.chargepoint())["limitations"]
    assert (limitation["kind"], limitation["subject"]) == ("trigger", "SignCombinedCertificate")


async def test_tc_f_15_csms_trigger_log_status_notification_idle(central: Central, station: Station201) -> None:
    await trigger(central, station, "LogStatusNotification")
    assert await station.call("LogStatusNotification", {"status": "Idle"}) == {}
    # Nothing was under way, and nothing is made up.
    assert await central.rows("logupload") == []


async def test_tc_f_18_csms_trigger_firmware_status_notification_idle(central: Central, station: Station201) -> None:
    await trigger(central, station, "FirmwareStatusNotification")
    assert await station.call("FirmwareStatusNotification", {"status": "Idle"}) == {}
    assert await central.rows("firmwareupdate") == []
