"""Meter values: every reading is kept, and moves the transaction it belongs to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

import orjson

from chargers import representation
from chargers.changes import Changes
from chargers.choices import TransactionFlag
from chargers.models import MeterValue, Transaction
from chargers.services import connectors
from chargers.sql import insert_rows, update_rows
from chargers.values import MeterReport, Reading, Sample, TransactionRef

KILO = Decimal(1000)
# The widest number an energy column holds.
MAX_ENERGY = Decimal(10) ** 19
ENERGY_STEP = Decimal("0.0001")
# More than any station delivers; a meter that runs faster is not believed.
MAX_POWER_W = 2_000_000
# What a reading may run ahead without being suspect: rounding, a reading taken late.
PLAUSIBLE_SLACK_WH = 1000
# A drop of more than this part of the start reading is no slip of the meter but another count.
SESSION_DROP = Decimal("0.1")
# How much earlier than its start a transaction's first reading may be taken.
START_SLACK = timedelta(minutes=1)
SUSPECT_UNIT_RATIO = 300
SUSPECT_UNIT_MIN_WH = 50

# What a reading moves, and what it takes to judge one; the rest of a transaction is not read.
METER_FIELDS = ("wh_meter_start", "wh_meter_last", "wh_meter_last_timestamp", "wh_meter_stop", "flags")
RESOLVED_FIELDS = (
    *METER_FIELDS,
    "chargepoint_id",
    "start_transaction_timestamp",
    "stop_transaction_timestamp",
)

FIELDS = (
    "chargepoint",
    "transaction",
    "evse_id",
    "connectorid",
    "timestamp",
    "timestamp_raw",
    "received_at",
    "samples",
    "fingerprint",
    "energy_wh",
    "energy_export_wh",
    "power_w",
    "current_a",
    "voltage_v",
    "soc_percent",
)
Row = tuple[Any, ...]

IMPORT = "Energy.Active.Import.Register"
EXPORT = "Energy.Active.Export.Register"
SOC = "SoC"
SUMMARISED = frozenset({IMPORT, EXPORT, "Power.Active.Import", "Power.Active.Export", "Current.Import", "Voltage", SOC})
# The words of OCPP's ReadingContext, the same in all versions.
CONTEXTS = frozenset(
    {
        "Interruption.Begin",
        "Interruption.End",
        "Other",
        "Sample.Clock",
        "Sample.Periodic",
        "Transaction.Begin",
        "Transaction.End",
        "Trigger",
    }
)


@dataclass(slots=True)
class Summary:
    """The columns of a reading: Wh, W, A, V and percent."""

    energy_wh: Decimal | None = None
    energy_export_wh: Decimal | None = None
    power_w: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    soc_percent: float | None = None


def summarise(samples: Iterable[Sample]) -> Summary:
    """Pick the columns out of a reading's samples.

    A value without a phase is the total; phases are only added up where there is no total, so
    that nothing counts twice (MV-13). A value that is no number, such as a signed one, stays a
    sample only. What a vendor's own context means is not known: such a value never stands in for
    one in a context of OCPP (MV-10).
    """
    totals: dict[str, Decimal] = {}
    phases: dict[str, dict[str, Decimal]] = {}
    for sample in samples:
        measurand = sample.get("measurand", IMPORT)
        if measurand not in SUMMARISED:
            continue
        # The state of charge is the vehicle's own; what is delivered counts at the outlet.
        elsewhere = measurand != SOC and sample.get("location", "Outlet") != "Outlet"
        if elsewhere or sample.get("format") == "SignedData":
            continue
        value = decimal(sample.get("value", ""))
        if value is None:
            continue
        if sample.get("unit", "")[:1] == "k":
            value *= KILO
        phase = sample.get("phase")
        if phase is None:
            found, name = totals, measurand
        elif phase != "N":
            found, name = phases.setdefault(measurand, {}), phase
        else:
            continue
        if name not in found or sample.get("context", "Sample.Periodic") in CONTEXTS:
            found[name] = value

    def total(measurand: str) -> Decimal | None:
        if measurand in totals:
            return totals[measurand]
        return sum(phases[measurand].values(), Decimal(0)) if measurand in phases else None

    summary = Summary(energy_wh=fit(total(IMPORT)), energy_export_wh=fit(total(EXPORT)))
    power, power_out = total("Power.Active.Import"), total("Power.Active.Export")
    if power is not None or power_out is not None:
        summary.power_w = float((power or 0) - (power_out or 0))
    if "Current.Import" in totals:
        summary.current_a = float(totals["Current.Import"])
    elif "Current.Import" in phases:
        summary.current_a = float(max(phases["Current.Import"].values()))
    if "Voltage" in totals:
        summary.voltage_v = float(totals["Voltage"])
    elif "Voltage" in phases:
        summary.voltage_v = float(next(iter(phases["Voltage"].values())))
    if SOC in totals:
        summary.soc_percent = float(totals[SOC])
    return summary


def register_of(readings: Sequence[Reading], context: str) -> Decimal | None:
    """Return the import register in Wh of the readings taken in `context`, such as Transaction.Begin."""
    for reading in readings:
        samples = [sample for sample in reading.samples if sample.get("context") == context]
        if samples and (energy := summarise(samples).energy_wh) is not None:
            return energy
    return None


def decimal(text: str) -> Decimal | None:
    """Read a finite number; a lone comma is the decimal sign (MV-05)."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        if text.count(",") != 1 or "." in text:
            return None
        return decimal(text.replace(",", "."))
    # Beyond any meter: such an exponent would only burst the column.
    return value if value.is_finite() and value.copy_abs() < MAX_ENERGY else None


def fit(value: Decimal | None) -> Decimal | None:
    """Fit a number into an energy column; PostgreSQL would not even read one with thousands of decimals."""
    return value.quantize(ENERGY_STEP) if value is not None and value.copy_abs() < MAX_ENERGY else None


def record(values: Sequence[MeterReport], changes: Changes) -> list[None]:
    """Store readings and move their transactions, with a fixed number of statements a batch.

    A reading that is told again is stored once, over whichever connection and node it comes.
    """
    rows: list[Row] = []
    moved: dict[int, Transaction] = {}
    for value, transaction in zip(values, resolve(values, changes), strict=True):
        for reading in value.readings:
            summary = summarise(reading.samples)
            rows.append(row(value, reading, summary, transaction, once=True))
            if transaction is not None and move(transaction, reading.at, summary):
                moved[transaction.pk] = transaction
            note(value, reading, transaction, changes)
    insert_rows(MeterValue, FIELDS, rows, ignore_conflicts=True)
    update_rows(moved.values(), METER_FIELDS)
    return [None] * len(values)


def row(
    value: MeterReport, reading: Reading, summary: Summary, transaction: Transaction | None, *, once: bool = False
) -> Row:
    """Lay a reading out in the order of FIELDS; `once` lets the database know it again."""
    samples = orjson.dumps(reading.samples)
    return (
        value.station,
        transaction.pk if transaction else None,
        value.evse_id,
        value.connector_id,
        reading.at,
        reading.at_raw,
        value.received_at,
        samples.decode(),
        _fingerprint(value, samples) if once else None,
        summary.energy_wh,
        summary.energy_export_wh,
        summary.power_w,
        summary.current_a,
        summary.voltage_v,
        summary.soc_percent,
    )


def _fingerprint(value: MeterReport, samples: bytes) -> int:
    """Hash what a station says at one time, and where: in its words, since what they mean to us may have changed."""
    where = f"{value.evse_id} {value.connector_id} {value.ref.number} {value.ref.uuid} ".encode()
    return int.from_bytes(blake2b(where + samples, digest_size=8).digest(), "big", signed=True)


def note(value: MeterReport, reading: Reading, transaction: Transaction | None, changes: Changes) -> None:
    """Note a reading for the listeners."""
    changes.note_reading(
        representation.reading(
            transaction_id=transaction.pk if transaction else None,
            station=value.station,
            evse_id=value.evse_id,
            connector_id=value.connector_id,
            at=reading.at,
            samples=reading.samples,
        )
    )


def resolve(values: Sequence[MeterReport], changes: Changes) -> list[Transaction | None]:
    """Find the transaction of each report, locked; one that only the station knows is adopted (TX-18)."""
    numbers = {value.ref.number for value in values if value.ref.number is not None}
    # In the order of their keys, so that two nodes cannot wait for each other.
    locked = Transaction.objects.select_for_update().only(*RESOLVED_FIELDS).order_by("pk")
    found = {row.pk: row for row in locked.filter(pk__in=numbers)} if numbers else {}
    running = _running(value.station for value in values if value.ref.by_connector and value.readings)
    return [_resolve_one(value, found, running, changes) for value in values]


def _running(stations: Iterable[str]) -> Sequence[Transaction]:
    """Read what runs on stations, the newest by its own time first, locked."""
    wanted = set(stations)
    if not wanted:
        return ()
    rows = Transaction.objects.select_for_update().filter(
        chargepoint__in=wanted, stop_transaction_timestamp__isnull=True, start_transaction_timestamp__isnull=False
    )
    return sorted(
        rows.only(*RESOLVED_FIELDS, "evse_id").order_by("pk"),
        key=lambda row: (row.start_transaction_timestamp, row.pk),
        reverse=True,
    )


def _resolve_one(
    value: MeterReport, found: dict[int, Transaction], running: Sequence[Transaction], changes: Changes
) -> Transaction | None:
    ref = value.ref
    if ref.number is not None:
        known = found.get(ref.number)
        if known is not None and known.chargepoint_id == value.station:
            return known
    if not value.readings:
        return None
    if ref.by_connector:
        return _on_evse(value, running)
    uuid = own_id(ref)
    if uuid is None:
        return None
    transaction, created = Transaction.objects.select_for_update().get_or_create(
        chargepoint_id=value.station,
        uuid=uuid,
        defaults={
            "evse_id": value.evse_id,
            "connectorid": value.connector_id,
            "ocpp_version": value.ocpp_version,
            "start_transaction_timestamp": min(reading.at for reading in value.readings),
            "received_at": value.received_at,
            "flags": [TransactionFlag.FOREIGN],
        },
    )
    if created:
        place = (value.station, value.evse_id, value.connector_id)
        transaction.connector = connectors.ensure([place], changes).get(place)
        transaction.save(update_fields=["connector"])
        changes.note("transaction", transaction.pk, "created")
    return transaction


def _on_evse(value: MeterReport, running: Sequence[Transaction]) -> Transaction | None:
    """Return the newest transaction of an EVSE that had begun by the time of the readings.

    Older ones may be told later, and so may readings from before (TX-08).
    """
    latest = max(reading.at for reading in value.readings) + START_SLACK
    here = (row for row in running if row.chargepoint_id == value.station and row.evse_id == value.evse_id)
    return next((row for row in here if (at := row.start_transaction_timestamp) and at <= latest), None)


def own_id(ref: TransactionRef) -> str | None:
    """Say by what id of its own a station names a transaction that our integer does not find."""
    if ref.uuid is not None:
        return ref.uuid
    return str(ref.number) if ref.number is not None else None


def move(transaction: Transaction, at: datetime, summary: Summary) -> bool:
    """Move a transaction's meter by a reading; say whether anything about it changed.

    A reading after the stop, or older than the last one, is kept but moves nothing (TX-14,
    TX-08). What the meter cannot have done is flagged, never corrected.
    """
    energy = summary.energy_wh
    stopped = not transaction.is_open and not transaction.closed_by_platform
    if energy is None or (stopped and transaction.wh_meter_stop is not None):
        return False
    last_at = transaction.wh_meter_last_timestamp
    if last_at is not None and at < last_at:
        return False
    if transaction.wh_meter_start is None:
        transaction.wh_meter_start = energy
    last = transaction.wh_meter_last if transaction.wh_meter_last is not None else transaction.wh_meter_start
    since = last_at or transaction.start_transaction_timestamp
    elapsed = at - since if since is not None else None
    energy = _since_start(transaction, energy, last, elapsed)
    if energy < last:
        transaction.flag(TransactionFlag.METER_JUMPED_BACK)
        return True
    if elapsed is not None:
        _judge_pace(transaction, energy - last, summary.power_w, elapsed)
    transaction.wh_meter_last = energy
    transaction.wh_meter_last_timestamp = at
    if not transaction.is_open and transaction.closed_by_platform:
        transaction.wh_meter_stop = energy
    return True


def _since_start(transaction: Transaction, energy: Decimal, last: Decimal, elapsed: timedelta | None) -> Decimal:
    """Return the reading on the scale of the start reading, for meters that count each session from 0 (TX-11).

    Among such readings some, mostly the first and the last, may be of the meter's life all the same.
    """
    start = transaction.wh_meter_start or Decimal(0)
    if TransactionFlag.SESSION_METER not in transaction.flags:
        if last > start or start - energy <= start * SESSION_DROP:
            return energy
        transaction.flag(TransactionFlag.SESSION_METER)
    since_start = start + energy
    if energy >= last and elapsed is not None and outruns(since_start - last, elapsed):
        return energy
    return since_start


def _judge_pace(transaction: Transaction, gained: Decimal, power_w: float | None, elapsed: timedelta) -> None:
    """Flag a meter that runs faster than any station, or a thousand times slower than its power (MV-08)."""
    if outruns(gained, elapsed):
        transaction.flag(TransactionFlag.METER_IMPLAUSIBLE)
    expected = (power_w or 0) * _hours(elapsed)
    if expected > SUSPECT_UNIT_MIN_WH and 0 < gained * SUSPECT_UNIT_RATIO < expected:
        transaction.flag(TransactionFlag.UNIT_SUSPECT)


def outruns(gained: Decimal, elapsed: timedelta) -> bool:
    """Tell whether a meter gained more than any station delivers in that time."""
    return gained > MAX_POWER_W * _hours(elapsed) + PLAUSIBLE_SLACK_WH


def _hours(elapsed: timedelta) -> float:
    return max(elapsed / timedelta(hours=1), 0.0)
