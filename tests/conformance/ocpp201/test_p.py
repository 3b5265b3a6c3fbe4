"""Block P: data transfer."""

from datetime import UTC, datetime

from tests.conformance.central import Central
from tests.simulator.times import timestamp
from tests.simulator.v2 import Station201

CUSTOM = {"vendorId": "com.example", "note": {"any": ["thing"]}}


async def test_tc_p_02_csms_data_transfer_to_the_csms(central: Central, station: Station201) -> None:
    assert await station.data_transfer("com.example", "Greeting", "hello") == {"status": "UnknownVendorId"}


async def test_tc_p_03_csms_custom_data_is_received(central: Central, station: Station201) -> None:
    assert "currentTime" in await station.call("Heartbeat", {"customData": CUSTOM})
    status = {"timestamp": timestamp(datetime.now(UTC)), "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
    assert await station.call("StatusNotification", {**status, "customData": CUSTOM}) == {}
    await central.until("connector", evse_id=1, connector_status="Occupied")
    event = {
        "eventType": "Started",
        "timestamp": timestamp(datetime.now(UTC)),
        "triggerReason": "CablePluggedIn",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "T1", "customData": CUSTOM},
        "evse": {"id": 1, "connectorId": 1},
    }
    assert await station.call("TransactionEvent", {**event, "customData": CUSTOM}) == {}
    [transaction] = await central.rows("transaction")
    assert (transaction["uuid"], transaction["transaction_status"]) == ("T1", "Started")
    assert (await central.chargepoint())["deviations"] == []
