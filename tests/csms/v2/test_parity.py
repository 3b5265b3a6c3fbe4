"""One charging session, played in 1.6 and in 2.0.1, leaves the same rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargers.models import ChargePoint, Connector, IdTag, MeterValue, StatusNotification, Transaction
from tests.csms.conftest import Query
from tests.simulator.v2 import Station201, sample, token
from tests.simulator.v16 import Station16, meter_value
from tests.simulator.v16 import sample as sample16

# Of a transaction and its like: what only one of the versions knows.
ONLY_16 = {"fingerprint"}
ONLY_201 = {"uuid", "last_seq_no", "charging_state", "time_spent_charging", "remote_start_id"}
# What differs between any two sessions.
OWN = {
    "id",
    "pk",
    "fingerprint",
    "transaction_id",
    "chargepoint_id",
    "connector_id",
    "ocpp_version",
    "received_at",
    "uuid",
}
# Statuses have fewer words in 2.0.1, and no error codes.
WORDS = {"Preparing": "Occupied", "Charging": "Occupied", "Finishing": "Occupied"}
BEGIN = datetime(2026, 1, 1, 10, tzinfo=UTC)


class Clock:
    """The time of a station: a minute later for each step."""

    def __init__(self) -> None:
        self.at = BEGIN

    def __call__(self) -> datetime:
        return self.at

    def step(self) -> None:
        self.at += timedelta(minutes=1)


def values(wh: float, context: str) -> list[tuple[float, dict[str, str]]]:
    """What the meter tells: energy, power and state of charge."""
    return [
        (wh, {"measurand": "Energy.Active.Import.Register", "unit": "Wh", "context": context}),
        (11_000, {"measurand": "Power.Active.Import", "unit": "W", "context": context}),
        (55, {"measurand": "SoC", "unit": "Percent", "context": context, "location": "EV"}),
    ]


async def in_16(url: str, id_tag: str) -> None:
    clock = Clock()
    async with Station16(url, "CP16", clock=clock) as station:
        await station.status(1, "Available")
        clock.step()
        await station.authorize(id_tag)
        await station.start(1, id_tag, meter_start=1000)
        await station.status(1, "Charging")
        for wh in (1200, 1400):
            clock.step()
            told = [sample16(value, **members) for value, members in values(wh, "Sample.Periodic")]
            await station.meter_values(1, told)
        clock.step()
        end = meter_value(clock(), [sample16(value, **members) for value, members in values(1500, "Transaction.End")])
        await station.stop(1, "EVDisconnected", meter_stop=1500, transactionData=[end])
        await station.status(1, "Available")


async def in_201(url: str, id_tag: str) -> None:
    clock = Clock()
    async with Station201(url, "CP201", clock=clock) as station:
        await station.status(1, "Available")
        clock.step()
        await station.authorize(token(id_tag))
        begin = [sample(1000, "Energy.Active.Import.Register", "Wh", context="Transaction.Begin")]
        await station.started(1, token(id_tag), trigger="Authorized", samples=begin)
        await station.status(1, "Occupied")
        for wh in (1200, 1400):
            clock.step()
            await station.meter(1, [sample(value, **members) for value, members in values(wh, "Sample.Periodic")])
        clock.step()
        end = [sample(value, **members) for value, members in values(1500, "Transaction.End")]
        await station.ended(id_token=token(id_tag), samples=end)
        await station.status(1, "Available")


def facts(row: Any, *, besides: set[str]) -> dict[str, Any]:
    return {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if field.attname not in OWN | besides
    }


def told(station: str) -> dict[str, list[dict[str, Any]]]:
    """Read what a station's session has left."""
    unknown = ONLY_16 | ONLY_201
    readings = MeterValue.objects.filter(chargepoint=station).order_by("timestamp", "pk")
    return {
        "transactions": [facts(row, besides=unknown) for row in Transaction.objects.filter(chargepoint=station)],
        "readings": [
            facts(row, besides={"timestamp_raw"})
            for row in readings
            # 1.6 tells the first register with StartTransaction, which is no reading.
            if not any(each["context"] == "Transaction.Begin" for each in row.samples)
        ],
        "statuses": [
            facts(row, besides={"timestamp_raw", "error_code"}) | {"status": WORDS.get(row.status, row.status)}
            for row in StatusNotification.objects.filter(chargepoint=station).order_by("pk")
        ],
        "connectors": [
            facts(row, besides={"error_code"}) for row in Connector.objects.filter(chargepoint=station).order_by("pk")
        ],
        "station": [{"status": row.chargepoint_status} for row in ChargePoint.objects.filter(pk=station)],
    }


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_the_same_session_leaves_the_same_rows_in_1_6_and_in_2_0_1(url: str, query: Query, known: bool) -> None:
    if known:
        await query(lambda: IdTag.objects.create(id_token="TAG1"))
    await in_16(url, "TAG1")
    await in_201(url, "TAG1")
    one, other = await query(lambda: (told("CP16"), told("CP201")))
    assert one == other
    assert [len(rows) for rows in one.values()] == [1, 3, 3, 1, 1]
    [transaction] = one["transactions"]
    assert transaction["transaction_status"] == ("Finished" if known else "Unauthorized")
