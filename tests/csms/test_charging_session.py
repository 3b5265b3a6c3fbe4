"""A station charges, from its boot to its stop, and the database tells the same."""

from decimal import Decimal

from chargers.choices import TransactionStatus
from chargers.models import ChargePoint, Connector, IdTag, MeterValue, Transaction
from tests.csms.conftest import Query
from tests.simulator.v16 import Station16


async def test_a_whole_session_stands_in_the_database_as_the_station_told_it(station: Station16, query: Query) -> None:
    await query(lambda: IdTag.objects.create(id_token="TAG1"))
    boot = await station.call("BootNotification", {"chargePointVendor": "Acme", "chargePointModel": "One"})
    assert boot["status"] == "Accepted"
    await station.call("StatusNotification", {"connectorId": 1, "status": "Charging", "errorCode": "NoError"})
    started = await station.call(
        "StartTransaction",
        {"connectorId": 1, "idTag": "TAG1", "meterStart": 1000, "timestamp": "2026-01-01T10:00:00Z"},
    )
    assert started["idTagInfo"] == {"status": "Accepted"}
    number = started["transactionId"]
    sample = {"value": "1500", "unit": "Wh", "measurand": "Energy.Active.Import.Register"}
    reading = {"timestamp": "2026-01-01T10:10:00Z", "sampledValue": [sample]}
    values = {"connectorId": 1, "transactionId": number, "meterValue": [reading]}
    assert await station.call("MeterValues", values) == {}
    stop = {"transactionId": number, "meterStop": 2000, "timestamp": "2026-01-01T10:30:00Z", "idTag": "TAG1"}
    assert await station.call("StopTransaction", stop) == {"idTagInfo": {"status": "Accepted"}}

    transaction = await query(lambda: Transaction.objects.select_related("connector").get())
    assert transaction.transaction_id == number
    assert transaction.transaction_status == TransactionStatus.FINISHED
    assert transaction.energy_wh == Decimal(1000)
    assert transaction.wh_meter_last == Decimal(1500)
    assert transaction.reason_stopped == "Local"
    assert (transaction.connector.evse_id, transaction.connector.connectorid) == (1, 1)
    assert (await query(lambda: MeterValue.objects.get())).samples == [sample]
    assert (await query(lambda: Connector.objects.get())).connector_status == "Charging"
    assert (await query(lambda: ChargePoint.objects.get())).chargepoint_vendor == "Acme"
