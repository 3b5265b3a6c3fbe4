"""Transactions: what charging sessions have in common, however their stations tell them.

Nothing a station reports is refused here. Repeats change nothing, held by the database's
constraints; contradictions are stored and flagged (`TransactionFlag`).
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import TypeVar

from django.conf import settings
from django.db.models import Exists, F, OuterRef
from django.db.transaction import atomic

from chargers.changes import Changes
from chargers.choices import ConnectorStatus, TransactionFlag, TransactionStatus
from chargers.models import Connector, Transaction
from chargers.services import displaymessages, installedprofiles
from chargers.sql import update_rows
from chargers.values import CostTold, RemoteStartAnswer, TransactionGone, TransactionStart, TransactionStop

TOPIC = "transaction"

# What closing a transaction in its station's place changes.
CLOSED_FIELDS = ("stop_transaction_timestamp", "transaction_status", "reason_stopped", "wh_meter_stop", "flags")

Told = TypeVar("Told", TransactionStart, TransactionStop)
Answer = TypeVar("Answer")


def one_a_station(values: Sequence[Told], serve: Callable[[Sequence[Told]], Sequence[Answer]]) -> list[Answer]:
    """Serve values of many stations together, those of one station one after the other; return the answers in order.

    A station tells its next start or stop when the last one is answered, so nearly always all are served at once.
    """
    places: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value.station, []).append(place)
    answers: dict[int, Answer] = {}
    for turn in zip_longest(*places.values()):
        now = sorted(place for place in turn if place is not None)
        answers.update(zip(now, serve([values[place] for place in now]), strict=True))
    return [answers[place] for place in range(len(values))]


def is_our_time(value: TransactionStart | TransactionStop) -> bool:
    """Tell whether the time of receipt stands in for the station's."""
    return not value.fingerprint or value.at == value.received_at


def supersede(begun: Sequence[Transaction], changes: Changes) -> None:
    """Close what else is open on the EVSEs where transactions have just begun, in one query for all of them."""
    places = {(row.chargepoint_id, row.evse_id): row for row in begun if row.evse_id and row.is_open}
    if not places:
        return
    rows = (
        Transaction.objects.select_for_update()
        .filter(
            chargepoint__in={station for station, _ in places},
            stop_transaction_timestamp__isnull=True,
            start_transaction_timestamp__isnull=False,
        )
        .exclude(pk__in=[row.pk for row in places.values()])
        .order_by("pk")
    )
    ended = []
    for row in rows:
        at = began.start_transaction_timestamp if (began := places.get((row.chargepoint_id, row.evse_id))) else None
        if at is not None and row.start_transaction_timestamp is not None and row.start_transaction_timestamp <= at:
            close(row, at, TransactionFlag.SUPERSEDED)
            ended.append(row)
    keep_closed(ended, changes)


def close(transaction: Transaction, at: datetime, flag: TransactionFlag) -> None:
    """Close a transaction that its station left open, with the last reading it gave; `keep_closed` stores it."""
    transaction.stop_transaction_timestamp = at
    if transaction.transaction_status == TransactionStatus.STARTED:
        transaction.transaction_status = TransactionStatus.FINISHED
    transaction.reason_stopped = "Other"
    transaction.wh_meter_stop = transaction.wh_meter_last
    transaction.flag(flag)


def keep_closed(closed: Collection[Transaction], changes: Changes) -> None:
    """Store transactions that were closed, and forget what belonged to them."""
    if not closed:
        return
    update_rows(closed, CLOSED_FIELDS)
    for transaction in closed:
        changes.note(TOPIC, transaction.pk)
    installedprofiles.end([transaction.pk for transaction in closed], changes)
    displaymessages.end(closed, changes)


def follow(values: Sequence[RemoteStartAnswer], changes: Changes) -> list[None]:
    """Note which transactions followed remote starts; one that is not known yet names the start itself."""
    for value in values:
        rows = Transaction.objects.filter(chargepoint=value.station, uuid=value.uuid, remote_start_id=None)
        for key in rows.values_list("pk", flat=True):
            Transaction.objects.filter(pk=key).update(remote_start_id=value.remote_start_id)
            changes.note(TOPIC, key)
    return [None] * len(values)


def keep_costs(values: Sequence[CostTold], changes: Changes) -> list[None]:
    """Keep what stations were told that transactions cost (2.0.1 I02)."""
    for value in values:
        for key in Transaction.objects.filter(chargepoint=value.station, uuid=value.uuid).values_list("pk", flat=True):
            Transaction.objects.filter(pk=key).update(total_cost=value.cost)
            changes.note(TOPIC, key)
    return [None] * len(values)


def close_gone(values: Sequence[TransactionGone], changes: Changes) -> list[None]:
    """Close transactions whose stations say that they are over and have nothing more to tell of them (2.0.1 E14)."""
    for value in values:
        rows = Transaction.objects.select_for_update().filter(
            chargepoint=value.station, uuid=value.uuid, stop_transaction_timestamp__isnull=True
        )
        gone = list(rows)
        for row in gone:
            last = row.wh_meter_last_timestamp or row.start_transaction_timestamp or value.at
            close(row, last, TransactionFlag.NO_STOP)
        keep_closed(gone, changes)
    return [None] * len(values)


def close_abandoned(*, now: datetime, changes: Changes) -> int:
    """Close transactions whose connector has long been Available again; return how many (TX-12, TX-13).

    The station lost the stop, or never sends one. Should it come later, it replaces this.
    """
    available = Connector.objects.filter(
        pk=OuterRef("connector_id"),
        connector_status=ConnectorStatus.AVAILABLE,
        status_timestamp__gt=OuterRef("start_transaction_timestamp"),
        status_timestamp__lt=now - timedelta(seconds=settings.OCPP_TRANSACTION_GRACE),
    )
    abandoned = Transaction.objects.filter(Exists(available), stop_transaction_timestamp__isnull=True).annotate(
        available_since=F("connector__status_timestamp")
    )
    closed = 0
    for key, since in list(abandoned.values_list("pk", "available_since")[:1000]):
        with atomic():
            rows = Transaction.objects.select_for_update()
            transaction = rows.filter(pk=key, stop_transaction_timestamp__isnull=True).first()
            if transaction:
                close(transaction, since, TransactionFlag.NO_STOP)
                keep_closed([transaction], changes)
                closed += 1
    return closed
