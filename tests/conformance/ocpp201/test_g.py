"""Block G: availability."""

from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp201.conftest import sent
from tests.simulator.v2 import Station201, token

EVSE = {"id": 1}
CONNECTOR = {"id": 1, "connectorId": 1}


async def change(
    central: Central, station: Station201, to: str, evse: dict[str, int] | None = None, status: str = "Accepted"
) -> None:
    """Let the platform put something in or out of service, and check the request and what is believed then."""
    station.answers["ChangeAvailability"] = {"status": status}
    place: dict[str, Any] = {}
    if evse:
        place = {"evse": {"connector_id" if name == "connectorId" else name: value for name, value in evse.items()}}
    assert await central.ask("ChangeAvailability", operational_status=to, **place) == {"status": status}
    expected = {"operationalStatus": to, **({"evse": evse} if evse else {})}
    assert sent(station, "ChangeAvailability")[-1] == expected
    for row in await central.rows("connector"):
        if evse is None or row["evse_id"] == evse["id"]:
            assert row["availability_status"] == to


async def tell(central: Central, station: Station201, status: str, *evses: int) -> None:
    for evse in evses or station.evses:
        assert await station.status(evse, status) == {}
        await central.until("connector", evse_id=evse, connector_status=status)


async def out_and_back(central: Central, station: Station201, evse: dict[str, int] | None, *evses: int) -> None:
    await change(central, station, "Inoperative", evse)
    await tell(central, station, "Unavailable", *evses)
    await change(central, station, "Operative", evse)
    await tell(central, station, "Available", *evses)


async def test_tc_g_03_csms_evse_operative_to_inoperative(central: Central, station: Station201) -> None:
    await change(central, station, "Inoperative", EVSE)
    await tell(central, station, "Unavailable", 1)


async def test_tc_g_04_csms_evse_inoperative_to_operative(central: Central, station: Station201) -> None:
    await out_and_back(central, station, EVSE, 1)


async def test_tc_g_05_csms_station_operative_to_inoperative(central: Central, station: Station201) -> None:
    await change(central, station, "Inoperative")
    await tell(central, station, "Unavailable")


async def test_tc_g_06_csms_station_inoperative_to_operative(central: Central, station: Station201) -> None:
    await out_and_back(central, station, None)


async def test_tc_g_07_csms_connector_operative_to_inoperative(central: Central, station: Station201) -> None:
    await change(central, station, "Inoperative", CONNECTOR)
    await tell(central, station, "Unavailable", 1)


async def test_tc_g_08_csms_connector_inoperative_to_operative(central: Central, station: Station201) -> None:
    await out_and_back(central, station, CONNECTOR, 1)


async def while_charging(central: Central, station: Station201, evse: dict[str, int] | None) -> None:
    """Put something out of service while EVSE 1 charges: it is so once the transaction has ended."""
    id_token = token(await central.tag("VALID"))
    await station.status(1, "Occupied")
    await station.started(id_token=id_token, charging_state="Charging")
    await change(central, station, "Inoperative", evse, status="Scheduled")
    if evse is None:
        await tell(central, station, "Unavailable", 2)
    await station.updated("StopAuthorized", id_token=id_token, charging_state="EVConnected")
    await station.ended("EVCommunicationLost", charging_state="Idle")
    await tell(central, station, "Unavailable", 1)
    [transaction] = await central.rows("transaction")
    assert transaction["transaction_status"] == "Finished"


async def test_tc_g_11_csms_evse_with_ongoing_transaction(central: Central, station: Station201) -> None:
    await while_charging(central, station, EVSE)


async def test_tc_g_14_csms_station_with_ongoing_transaction(central: Central, station: Station201) -> None:
    await while_charging(central, station, None)


async def test_tc_g_17_csms_connector_with_ongoing_transaction(central: Central, station: Station201) -> None:
    await while_charging(central, station, CONNECTOR)


async def test_tc_g_20_csms_connector_lock_failure(central: Central, station: Station201) -> None:
    assert await station.event("ConnectorPlugRetentionLock(1,1).Problem", "true") == {}
    [event] = await central.rows("event")
    assert (event["component"], event["variable"], event["actual_value"]) == (
        "ConnectorPlugRetentionLock",
        "Problem",
        "true",
    )
