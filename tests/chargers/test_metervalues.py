"""Meter values: every reading is kept, with its columns, and moves the transaction it belongs to."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chargers.changes import Changes
from chargers.models import ChargePoint, Connector, MeterValue, Transaction
from chargers.services import metervalues
from chargers.services.metervalues import Summary, decimal, summarise
from chargers.values import MeterReport, Sample, TransactionRef
from tests.chargers import told
from tests.chargers.told import a_report, at, energy, meter, power, reading, start, stop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    return told.station()


def sample(value: str, measurand: str | None = None, **members: Any) -> Sample:
    named = {"measurand": measurand} if measurand else {}
    return {"value": value, **named, **members}  # type: ignore[typeddict-item]


IMPORT = "Energy.Active.Import.Register"
EXPORT = "Energy.Active.Export.Register"
POWER = "Power.Active.Import"
POWER_OUT = "Power.Active.Export"
CURRENT = "Current.Import"


def phases(measurand: str, *values: str, names: Sequence[str] = ("L1", "L2", "L3"), **members: Any) -> list[Sample]:
    return [sample(value, measurand, phase=name, **members) for name, value in zip(names, values, strict=False)]


SUMMARIES: dict[str, tuple[list[Sample], dict[str, Any]]] = {
    "nothing": ([], {}),
    "no measurand is the energy register": ([sample("1500")], {"energy_wh": 1500}),
    "no unit is Wh": ([sample("1500", IMPORT)], {"energy_wh": 1500}),
    "kWh": ([sample("1.5", IMPORT, unit="kWh")], {"energy_wh": 1500}),
    "fractions": ([sample("165544.5", IMPORT, unit="Wh")], {"energy_wh": Decimal("165544.5")}),
    "comma": ([sample("1,5", IMPORT, unit="kWh")], {"energy_wh": 1500}),
    "exponent": ([sample("1.5E3", IMPORT)], {"energy_wh": 1500}),
    "zero": ([sample("0", IMPORT)], {"energy_wh": 0}),
    "negative": ([sample("-5", IMPORT)], {"energy_wh": -5}),
    "wide register": ([sample("5000000000", IMPORT)], {"energy_wh": 5_000_000_000}),
    "no number": ([sample("many", IMPORT)], {}),
    "no value": ([{"measurand": IMPORT}], {}),
    "NaN": ([sample("NaN", IMPORT), sample("Infinity", POWER)], {}),
    "thousands and decimals": ([sample("1,234.5", IMPORT)], {}),
    "beyond any meter": ([sample("1e19", IMPORT), sample("9e18", EXPORT, unit="kWh")], {}),
    "signed": ([sample("1500", IMPORT, format="SignedData")], {}),
    "signed beside raw": ([sample("OCMF|{}", format="SignedData"), sample("7", IMPORT)], {"energy_wh": 7}),
    "export": ([sample("300", EXPORT), sample("1500", IMPORT)], {"energy_wh": 1500, "energy_export_wh": 300}),
    "interval": ([sample("10", "Energy.Active.Import.Interval")], {}),
    "phases": (phases(IMPORT, "100", "200", "300"), {"energy_wh": 600}),
    "phases in kWh": (phases(IMPORT, "0.1", "0.2", unit="kWh"), {"energy_wh": 300}),
    "phases and neutral": (phases(IMPORT, "100", "200", "9", names=("L1", "L2", "N")), {"energy_wh": 300}),
    "phases beside a total": ([*phases(IMPORT, "100", "200", "300"), sample("601", IMPORT)], {"energy_wh": 601}),
    "a total beside phases": ([sample("601", IMPORT), *phases(IMPORT, "100", "200", "300")], {"energy_wh": 601}),
    "inlet": ([sample("9", IMPORT, location="Inlet"), sample("8", IMPORT, location="Outlet")], {"energy_wh": 8}),
    "power": ([sample("11", POWER, unit="kW")], {"power_w": 11000.0}),
    "power of phases": (phases(POWER, "3600", "3700", "3800"), {"power_w": 11100.0}),
    "power out": ([sample("2", POWER_OUT, unit="kW")], {"power_w": -2000.0}),
    "power in and out": ([sample("500", POWER), sample("200", POWER_OUT)], {"power_w": 300.0}),
    "current": ([sample("16", CURRENT)], {"current_a": 16.0}),
    "highest current": (phases(CURRENT, "6", "16", "10"), {"current_a": 16.0}),
    "current of neutral": (phases(CURRENT, "6", "99", names=("L1", "N")), {"current_a": 6.0}),
    "voltage": ([sample("400", "Voltage")], {"voltage_v": 400.0}),
    "first voltage": (phases("Voltage", "230", "231", names=("L1-N", "L2-N")), {"voltage_v": 230.0}),
    "charge of the vehicle": ([sample("42", "SoC", unit="Percent", location="EV")], {"soc_percent": 42.0}),
    "temperature": ([sample("21", "Temperature", unit="Celsius")], {}),
}


@pytest.mark.parametrize(("samples", "columns"), SUMMARIES.values(), ids=SUMMARIES)
def test_a_readings_columns_are_what_its_samples_mean(samples: list[Sample], columns: dict[str, Any]) -> None:
    assert summarise(samples) == Summary(**columns)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", "1.5"),
        (" 1.5 ", "1.5"),
        ("1,5", "1.5"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("9999999999999999999", "9999999999999999999"),
        ("10000000000000000000", None),
        ("1e999999999", None),
        ("1,234,567", None),
        ("1.234,5", None),
        ("", None),
        ("0x10", None),
        ("nan", None),
        ("-Infinity", None),
    ],
)
def test_a_number_is_read_where_there_is_no_doubt(text: str, value: str | None) -> None:
    assert decimal(text) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    "value", ["1e-500000", "1.00000000000000000000000000000000001", "9999999999999999999.99999", "-9e18"]
)
def test_any_number_that_is_read_can_be_kept(value: str) -> None:
    number = start(meter=0).transaction_id
    meter(number, 10, energy(value), {"value": value, "measurand": POWER, "unit": "W"})
    kept = MeterValue.objects.get()
    assert kept.samples[0]["value"] == value
    assert kept.energy_wh is not None
    assert abs(kept.energy_wh - Decimal(value)) <= Decimal("0.0001")
    stop(number, 20, meter=None)


def test_a_reading_is_kept_as_it_was_told() -> None:
    number = start().transaction_id
    samples = [energy("1500.50", context="Sample.Clock"), power(7000), sample("x", "Vendor.Thing", unit="foo")]
    changes = Changes()
    report = a_report(number, [reading(10, *samples)], received=11)
    metervalues.record([report], changes)
    kept = MeterValue.objects.get()
    assert kept.samples == samples
    assert (kept.chargepoint_id, kept.transaction_id, kept.evse_id, kept.connectorid) == ("CP1", number, 1, 1)
    assert (kept.timestamp, kept.timestamp_raw, kept.received_at) == (at(10), "", at(11) + told.TRAVEL)
    assert (kept.energy_wh, kept.power_w) == (Decimal("1500.5"), 7000)
    assert len(changes.readings) == 1
    assert not changes.rows


def test_readings_without_a_transaction_are_kept_and_move_none() -> None:
    number = start().transaction_id
    meter(None, 10, 1500)
    meter(None, 10, 99_000, evse_id=0)
    assert [row.transaction_id for row in MeterValue.objects.all()] == [None, None]
    assert MeterValue.objects.get(evse_id=0).connectorid == 0
    assert Transaction.objects.get(pk=number).wh_meter_last is None


def test_a_station_that_does_not_know_the_number_means_what_runs_on_the_connector() -> None:
    start(0, evse_id=2, id_token="TAG2")
    number = start(1).transaction_id
    meter(None, 10, 1500, ref=TransactionRef(by_connector=True))
    assert MeterValue.objects.get().transaction_id == number
    stop(number)
    meter(None, 40, 1500, ref=TransactionRef(by_connector=True))
    assert MeterValue.objects.last().transaction_id is None  # type: ignore[union-attr]


def test_the_newest_by_the_stations_time_is_what_runs_on_the_connector() -> None:
    live = start(60).transaction_id
    start(0, told_at=61, id_token="TAG2")
    meter(None, 62, 1500, ref=TransactionRef(by_connector=True))
    assert MeterValue.objects.get().transaction_id == live


def test_values_of_an_unknown_transaction_adopt_it_once_they_hold_something() -> None:
    metervalues.record([a_report(4711, [])], Changes())
    assert not Transaction.objects.exists()
    meter(4711, 10, 1500)
    adopted = Transaction.objects.get()
    assert (adopted.uuid, adopted.wh_meter_start, adopted.wh_meter_last) == ("4711", 1500, 1500)
    assert adopted.connector == Connector.objects.get()


def test_old_readings_are_kept_and_move_nothing() -> None:
    number = start().transaction_id
    meter(number, 20, 1500)
    meter(number, 10, 1200)
    meter(number, 20, 1600)
    transaction = Transaction.objects.get()
    assert (transaction.wh_meter_last, transaction.wh_meter_last_timestamp) == (1600, at(20))
    assert MeterValue.objects.count() == 3


def test_a_meter_that_jumps_back_keeps_the_highest_reading() -> None:
    number = start().transaction_id
    for minute, value in enumerate((1500, 0, 100, 1600), 10):
        meter(number, minute, value)
    transaction = Transaction.objects.get()
    assert (transaction.flags, transaction.wh_meter_last, transaction.energy_wh) == (["meter_jumped_back"], 1600, 600)


def test_the_readings_of_one_report_are_taken_in_order() -> None:
    number = start().transaction_id
    readings = [reading(minute, energy(1000 + 10 * minute)) for minute in (5, 10, 15)]
    metervalues.record([a_report(number, readings)], Changes())
    transaction = Transaction.objects.get()
    assert (transaction.wh_meter_last, transaction.wh_meter_last_timestamp, transaction.flags) == (1150, at(15), [])


def test_readings_of_a_station_deleted_meanwhile_stay_as_history(cp1: ChargePoint) -> None:
    number = start().transaction_id
    cp1.delete()
    meter(number, 10, 1500)
    meter(None, 10, 1500, station="GONE")
    assert list(MeterValue.objects.values_list("chargepoint_id", "transaction_id")) == [("CP1", number), ("GONE", None)]
    assert Transaction.objects.get().wh_meter_last == 1500


def queries_of(batch: list[MeterReport]) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert metervalues.record(batch, Changes()) == [None] * len(batch)
    return len(captured)


def test_a_batch_takes_as_many_queries_as_a_single_report() -> None:
    names = [told.station(f"CP-{number}").pk for number in range(50)]
    numbers = {name: start(station=name).transaction_id for name in names}
    samples = [energy(1500), power(7000), *phases(CURRENT, "10", "10", "10")]
    batch = [a_report(numbers[name], [reading(10, *samples)], station=name) for name in names]
    # One to lock and read the transactions, one to insert the readings, one to move the transactions.
    assert queries_of(batch[:1]) == queries_of(batch[1:]) == 3
    assert set(Transaction.objects.values_list("wh_meter_last", flat=True)) == {1500}
    assert MeterValue.objects.count() == 50
    outside = [a_report(None, [reading(20, *samples)] * 3, station=name) for name in names]
    assert queries_of(outside[:1]) == queries_of(outside[1:]) == 1


@pytest.mark.parametrize("sample", [energy(1500), power(7000)])
@pytest.mark.parametrize("of_transaction", [True, False])
def test_a_reading_that_is_sent_again_is_stored_once(sample: Sample, of_transaction: bool) -> None:
    number = start().transaction_id if of_transaction else None
    report = a_report(number, [reading(10, sample)])
    metervalues.record([report, report], Changes())
    # As after a node that ended before it answered.
    metervalues.record([replace(report, received_at=at(11))], Changes())
    assert MeterValue.objects.count() == 1
    metervalues.record([a_report(number, [reading(10, sample, energy(1600))])], Changes())
    assert MeterValue.objects.count() == 2


def test_readings_of_one_moment_that_tell_something_else_are_all_stored() -> None:
    metervalues.record(
        [
            a_report(None, [reading(0, energy(100)), reading(0, energy(101)), reading(1, energy(100))]),
            a_report(None, [reading(0, energy(100))], evse_id=2),
            a_report(7, [reading(0, energy(100))]),
        ],
        Changes(),
    )
    assert MeterValue.objects.count() == 5
