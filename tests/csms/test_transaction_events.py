"""OCPP 2.0.1: a session told in numbered steps ends as the same transaction that 1.6 would leave."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chargers.models import ChargePoint, Deviation, IdTag, MeterValue, Transaction, TransactionEvent
from tests.api import rows
from tests.csms.conftest import Query
from tests.simulator.station import Station
from tests.simulator.v16 import Station16

UUID = "318a67d6-a3ab-4429-ae26-f3c7b61cf760"


@pytest.fixture
async def station201(url: str) -> AsyncIterator[Station]:
    async with Station(url, "CP201", subprotocols=["ocpp2.0.1"]) as station:
        yield station


def event(kind: str, seq_no: float, minute: int, **members: Any) -> dict[str, Any]:
    reason = {"stoppedReason": "EVDisconnected"} if kind == "Ended" else {}
    return {
        "eventType": kind,
        "timestamp": f"2026-01-01T10:{minute:02}:00Z",
        "triggerReason": "Authorized" if kind == "Started" else "MeterValuePeriodic",
        "seqNo": seq_no,
        "transactionInfo": {"transactionId": UUID, **reason},
        "evse": {"id": 1, "connectorId": 1},
        **members,
    }


def reading(minute: int, value: float, context: str) -> list[dict[str, Any]]:
    sample = {"value": value, "context": context, "unitOfMeasure": {"unit": "kWh"}}
    return [{"timestamp": f"2026-01-01T10:{minute:02}:00Z", "sampledValue": [sample]}]


TOKEN = {"idToken": "TAG1", "type": "ISO14443"}
SESSION = [
    event("Started", 0, 0, idToken=TOKEN, meterValue=reading(0, 1, "Transaction.Begin")),
    event("Updated", 1, 10, meterValue=reading(10, 1.5, "Sample.Periodic")),
    event("Ended", 2, 30, idToken=TOKEN, meterValue=reading(30, 2, "Transaction.End")),
]


def facts(transaction: Transaction) -> dict[str, Any]:
    """What a session leaves, whatever the version that told it."""
    return {
        "place": (transaction.evse_id, transaction.connectorid, transaction.connector is not None),
        "tag": (transaction.id_tag_id, transaction.stop_id_tag, transaction.authorization_status),
        "times": (transaction.start_transaction_timestamp, transaction.stop_transaction_timestamp),
        "meter": (transaction.wh_meter_start, transaction.wh_meter_stop, transaction.energy_wh),
        "status": (transaction.transaction_status, transaction.reason_stopped),
    }


async def test_the_same_session_in_both_versions_leaves_the_same_rows(
    station: Station16, station201: Station, query: Query
) -> None:
    await query(lambda: IdTag.objects.create(id_token="TAG1", max_active_transactions=None))
    for each in SESSION:
        answer = await station201.call("TransactionEvent", each)
        assert answer == ({"idTokenInfo": {"status": "Accepted"}} if "idToken" in each else {})
    start = {"connectorId": 1, "idTag": "TAG1", "meterStart": 1000, "timestamp": "2026-01-01T10:00:00Z"}
    number = (await station.call("StartTransaction", start))["transactionId"]
    stop = {
        "transactionId": number,
        "idTag": "TAG1",
        "meterStop": 2000,
        "timestamp": "2026-01-01T10:30:00Z",
        "reason": "EVDisconnected",
    }
    await station.call("StopTransaction", stop)

    told_16, told_201 = await query(
        lambda: list(Transaction.objects.select_related("connector").order_by("-chargepoint_id").reverse())
    )
    assert (told_16.ocpp_version, told_201.ocpp_version) == ("ocpp1.6", "ocpp2.0.1")
    assert facts(told_16) == facts(told_201)
    assert told_201.energy_wh == Decimal(1000)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_events_in_any_order_and_repeated_leave_one_transaction(
    station201: Station, query: Query, order: tuple[int, ...]
) -> None:
    await query(lambda: IdTag.objects.create(id_token="TAG1"))
    for index in (*order, *order):
        await station201.call("TransactionEvent", SESSION[index])

    transaction = await query(lambda: Transaction.objects.get())
    assert transaction.transaction_status == "Finished"
    assert transaction.energy_wh == Decimal(1000)
    assert transaction.id_tag_id == "TAG1"
    assert "foreign" not in transaction.flags
    assert await query(lambda: TransactionEvent.objects.count()) == 3
    assert await query(lambda: MeterValue.objects.count()) == 3


async def test_a_number_beyond_any_meter_is_left_out_and_the_session_kept(station201: Station, query: Query) -> None:
    absurd = event("Started", 0, 0, numberOfPhasesUsed=10**30, cableMaxCurrent=1e30)
    absurd["transactionInfo"] |= {"remoteStartId": 2**31, "timeSpentCharging": -(2**40)}
    assert await station201.call("TransactionEvent", absurd) == {}

    transaction = await query(lambda: Transaction.objects.get())
    assert (transaction.remote_start_id, transaction.time_spent_charging) == (None, None)
    kept = await query(lambda: TransactionEvent.objects.get())
    assert (kept.number_of_phases_used, kept.cable_max_current) == (None, None)
    assert (await query(lambda: Deviation.objects.get())).kind == "number-out-of-range"


async def test_a_whole_number_may_be_spelt_with_a_point(station: Station16, station201: Station, query: Query) -> None:
    """The schemas of 2.x take 1.0 for an integer, those of 1.6 do not; some languages write all numbers so."""
    told = event("Started", 0.0, 0, evse={"id": 1.0, "connectorId": 1.0}, cableMaxCurrent=32.0)
    assert await station201.call("TransactionEvent", told) == {}
    start = {"connectorId": 1.0, "idTag": "TAG1", "meterStart": 1000.0, "timestamp": "2026-01-01T10:00:00Z"}
    number = (await station.call("StartTransaction", start))["transactionId"]
    reading = {"timestamp": "2026-01-01T10:10:00Z", "sampledValue": [{"value": "1500"}]}
    values = {"connectorId": 1.0, "transactionId": float(number), "meterValue": [reading]}
    assert await station.call("MeterValues", values) == {}
    kept = await query(lambda: TransactionEvent.objects.get())
    assert (kept.seq_no, kept.evse_id, kept.cable_max_current) == (0, 1, 32)
    assert (await query(lambda: MeterValue.objects.get())).transaction_id == number


async def test_a_start_button_charges_without_a_tag(station201: Station, query: Query) -> None:
    started = event("Started", 0, 0, idToken={"idToken": "", "type": "NoAuthorization"})
    assert await station201.call("TransactionEvent", started) == {"idTokenInfo": {"status": "Accepted"}}
    assert (await query(lambda: Transaction.objects.get())).id_tag_id is None


async def test_where_everything_is_reserved_for_others_a_token_is_told_not_here(
    station201: Station, query: Query
) -> None:
    def reserve() -> None:
        IdTag.objects.create(id_token="TAG1")
        connector = rows.connector(ChargePoint.objects.get(pk="CP201"))
        until = datetime(2099, 1, 1, tzinfo=UTC)
        rows.reservation(connector.chargepoint, connector=connector, id_tag_id="OTHER", expiry_date=until)

    await query(reserve)
    refused = {"idTokenInfo": {"status": "NotAtThisLocation", "cacheExpiryDateTime": "2099-01-01T00:00:00Z"}}
    assert await station201.call("Authorize", {"idToken": TOKEN}) == refused
    now = datetime.now(UTC).isoformat()
    assert await station201.call("TransactionEvent", event("Started", 0, 0, idToken=TOKEN, timestamp=now)) == refused
    assert (await query(lambda: Transaction.objects.get())).authorization_status == "Reserved"


@pytest.mark.parametrize("offered", [["ocpp2.0.1", "ocpp1.6"], ["ocpp1.6", "ocpp2.0.1"], ["ocpp3.0", "OCPP2.0.1"]])
async def test_a_station_of_several_versions_is_spoken_to_in_the_first_that_is_known(
    offered: list[str], url: str, query: Query
) -> None:
    first = next(each for each in offered if each != "ocpp3.0")
    async with Station(url, "CPBOTH", subprotocols=offered) as station:
        assert station.connection is not None
        assert station.connection.subprotocol == first
        await station.call("Heartbeat", {})
    assert (await query(lambda: ChargePoint.objects.get(pk="CPBOTH"))).ocpp_version == first.lower()
