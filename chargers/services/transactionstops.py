"""Stops: charging sessions that a 1.6 station ends by StopTransaction (section 4.10).

A batch takes a fixed number of statements, however many stops are in it; what is rare, such as a
stop whose transaction is not known, comes on top.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q

from chargers.changes import Changes
from chargers.choices import TransactionFlag, TransactionStatus
from chargers.models import IdTag, MeterValue, Transaction
from chargers.services import idtags, installedprofiles, metervalues, transactions
from chargers.sql import insert_rows, update_rows
from chargers.values import (
    OFFLINE_AFTER,
    AuthorizationRequest,
    MeterReport,
    Reading,
    Stopped,
    TransactionStop,
)

# What a stop may change of its transaction.
FIELDS = (
    *metervalues.METER_FIELDS,
    "id_tag",
    "stop_id_tag",
    "stop_transaction_timestamp",
    "reason_stopped",
    "transaction_status",
)


def record(values: Sequence[TransactionStop], changes: Changes) -> list[Stopped]:
    """Close transactions; a stop without a start is kept as an orphan (TX-04)."""
    return transactions.one_a_station(values, lambda each: _Batch(each, changes).end())


class _Batch:
    """Stops of different stations: what they need is read first, and what they change written last."""

    def __init__(self, values: Sequence[TransactionStop], changes: Changes) -> None:
        self.values = values
        self.changes = changes
        self.tags = idtags.find([value.id_token for value in values if value.id_token])
        self.found = self._find()
        self.own_tags = self._own_tags()
        self.stored = _stored(
            (self.found[value.station], value) for value in values if value.readings and value.station in self.found
        )
        self.changed: list[Transaction] = []
        self.readings: list[metervalues.Row] = []

    def end(self) -> list[Stopped]:
        stopped = [self._stop(value) for value in self.values]
        insert_rows(MeterValue, metervalues.FIELDS, self.readings)
        update_rows(self.changed, FIELDS)
        installedprofiles.end([each.transaction_id for each in stopped], self.changes)
        return stopped

    def _find(self) -> dict[str, Transaction]:
        """Find the transactions that stops mean, by station and locked."""
        numbers = {value.station: value.ref.number for value in self.values if value.ref.number is not None}
        # In the order of their keys, so that two nodes cannot wait for each other.
        rows = Transaction.objects.select_for_update().filter(chargepoint__in=numbers, pk__in=set(numbers.values()))
        found = {
            row.chargepoint_id or "": row for row in rows.order_by("pk") if numbers[row.chargepoint_id or ""] == row.pk
        }
        for value in self.values:
            if value.station not in found and (row := self._without_number(value)):
                found[value.station] = row
        return found

    def _without_number(self, value: TransactionStop) -> Transaction | None:
        """Find the transaction of a stop whose number is not ours.

        By the station's own id, or, when the station does not know it (TX-01, TX-02), the open one
        of the same tag, or the only open one.
        """
        mine = Transaction.objects.select_for_update().filter(chargepoint=value.station)
        uuid = metervalues.own_id(value.ref)
        if uuid is not None:
            return mine.filter(uuid=uuid).first()
        if repeated := mine.filter(_is_stop(value)).first():
            return repeated
        # It began before it ended: a stop told late must not end what began since.
        running = mine.filter(
            stop_transaction_timestamp__isnull=True, start_transaction_timestamp__lte=value.at
        ).order_by("-start_transaction_timestamp", "-transaction_id")
        candidates = list(running)
        tag = self.tags.get(value.id_token)
        if id_tag := tag.pk if tag else value.id_token:
            return next((each for each in candidates if idtags.echoes(id_tag, each.id_tag_id or "")), None)
        return candidates[0] if len(candidates) == 1 else None

    def _own_tags(self) -> dict[str, IdTag | None]:
        """Find the tags that transactions began with and stops send back spoilt: told Invalid, a station would go on."""
        began_with = [
            self.found[value.station].id_tag_id or ""
            for value in self.values
            if value.station in self.found and self._is_spoilt(value, self.found[value.station])
        ]
        return idtags.find(began_with) if began_with else {}

    def _is_spoilt(self, value: TransactionStop, transaction: Transaction) -> bool:
        unknown = self.tags.get(value.id_token) is None
        return unknown and bool(transaction.id_tag_id) and idtags.echoes(value.id_token, transaction.id_tag_id or "")

    def _stop(self, value: TransactionStop) -> Stopped:
        transaction = self.found.get(value.station)
        tag = self.tags.get(value.id_token)
        if transaction is not None and self._is_spoilt(value, transaction):
            tag = self.own_tags[transaction.id_tag_id or ""]
        authorization = idtags.judge(_request(value), tag) if value.id_token else None
        id_tag = tag.pk if tag else value.id_token
        transaction = transaction or self._orphan(value, id_tag)
        moved = self._keep_readings(transaction, value)
        if transaction.is_open or transaction.closed_by_platform:
            _end(transaction, value, id_tag)
            self._change(transaction)
        elif _flag_difference(transaction, value) or moved:
            self._change(transaction)
        return Stopped(transaction.pk, authorization)

    def _change(self, transaction: Transaction) -> None:
        self.changed.append(transaction)
        self.changes.note(transactions.TOPIC, transaction.pk)

    def _orphan(self, value: TransactionStop, id_tag: str) -> Transaction:
        """Make a transaction of a stop whose start was never seen, as far as its readings tell."""
        begin = [each for each in value.readings if any(s.get("context") == "Transaction.Begin" for s in each.samples)]
        transaction = Transaction(
            chargepoint_id=value.station,
            uuid=metervalues.own_id(value.ref),
            ocpp_version=value.ocpp_version,
            id_tag_id=id_tag or None,
            start_transaction_timestamp=begin[0].at if begin else None,
            wh_meter_start=metervalues.register_of(value.readings, "Transaction.Begin"),
            fingerprint=value.fingerprint,
            received_at=value.received_at,
        )
        transaction.flag(TransactionFlag.ORPHAN_STOP)
        transaction.save()
        self.changes.note(transactions.TOPIC, transaction.pk, "created")
        return transaction

    def _keep_readings(self, transaction: Transaction, value: TransactionStop) -> bool:
        """Store what a station adds to a stop, and say whether it moves the meter.

        What it had sent before is not stored twice.
        """
        moved = False
        report = MeterReport(
            value.station,
            value.ocpp_version,
            transaction.evse_id,
            transaction.connectorid,
            value.ref,
            value.readings,
            value.received_at,
        )
        for reading in value.readings:
            if (transaction.pk, *_key(reading)) in self.stored:
                continue
            summary = metervalues.summarise(reading.samples)
            moved |= metervalues.move(transaction, reading.at, summary)
            self.readings.append(metervalues.row(report, reading, summary, transaction))
            metervalues.note(report, reading, transaction, self.changes)
        return moved


def _request(value: TransactionStop) -> AuthorizationRequest:
    return AuthorizationRequest(value.station, value.id_token, value.received_at)


def _is_stop(value: TransactionStop) -> Q:
    """Recognise what this stop has closed before: the orphan it made, or one that ended exactly so."""
    as_told = Q(stop_transaction_timestamp=value.at, wh_meter_stop=value.meter_stop, stop_id_tag=value.id_token)
    return Q(fingerprint=value.fingerprint) | as_told


def _stored(told: Iterable[tuple[Transaction, TransactionStop]]) -> set[tuple[int, datetime, str]]:
    """Read which of the readings that come with stops are stored already, by transaction, time and samples."""
    times = {transaction.pk: {reading.at for reading in value.readings} for transaction, value in told}
    if not times:
        return set()
    rows = MeterValue.objects.filter(transaction__in=times, timestamp__in=set().union(*times.values()))
    return {
        (key, at, _spell(samples)) for key, at, samples in rows.values_list("transaction_id", "timestamp", "samples")
    }


def _key(reading: Reading) -> tuple[datetime, str]:
    return reading.at, _spell(reading.samples)


def _spell(samples: Sequence[Any]) -> str:
    """Spell samples so that equal ones are equal, whatever order the database returns their members in."""
    return json.dumps(samples, sort_keys=True)


def _end(transaction: Transaction, value: TransactionStop, id_tag: str) -> None:
    if not transaction.is_open:
        transaction.flag(TransactionFlag.LATE_STOP)
    transaction.id_tag_id = transaction.id_tag_id or id_tag or None
    transaction.stop_transaction_timestamp = value.at
    transaction.wh_meter_stop = value.meter_stop
    transaction.reason_stopped = value.reason
    transaction.stop_id_tag = value.id_token
    if transaction.transaction_status == TransactionStatus.STARTED:
        transaction.transaction_status = TransactionStatus.FINISHED
    if value.meter_stop is None:
        transaction.flag(TransactionFlag.METER_UNKNOWN)
    elif transaction.wh_meter_start is not None and value.meter_stop < transaction.wh_meter_start:
        transaction.flag(TransactionFlag.STOP_BELOW_START)
    started = transaction.start_transaction_timestamp
    if started is not None and value.at < started:
        transaction.flag(TransactionFlag.STOP_BEFORE_START)
    if value.received_at - value.at > OFFLINE_AFTER:
        transaction.flag(TransactionFlag.OFFLINE)
    if transactions.is_our_time(value):
        transaction.flag(TransactionFlag.CLOCK_UNRELIABLE)
    elif started is not None and metervalues.outruns(transaction.energy_wh or Decimal(0), value.at - started):
        transaction.flag(TransactionFlag.METER_IMPLAUSIBLE)


def _flag_difference(transaction: Transaction, value: TransactionStop) -> bool:
    """Flag a repeated stop that says something else, and tell whether that is news; the first one counts (TX-06)."""
    # Where our time stands in for the station's, every repeat has another one.
    same_time = transactions.is_our_time(value) or transaction.stop_transaction_timestamp == value.at
    if (
        same_time and transaction.wh_meter_stop == value.meter_stop
    ) or TransactionFlag.STOP_DIFFERS in transaction.flags:
        return False
    transaction.flag(TransactionFlag.STOP_DIFFERS)
    return True
