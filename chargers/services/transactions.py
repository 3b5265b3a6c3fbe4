"""Transactions: charging sessions from start to stop, whatever order and shape they come in.

Nothing a station reports is refused here. Repeats change nothing, held by the database's
constraints; contradictions are stored and flagged (`TransactionFlag`).
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q
from django.db.transaction import atomic

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, ConnectorStatus, TransactionFlag, TransactionStatus
from chargers.models import Connector, MeterValue, Reservation, Transaction
from chargers.services import connectors, displaymessages, idtags, installedprofiles, metervalues, reservations
from chargers.values import (
    OFFLINE_AFTER,
    Authorization,
    AuthorizationRequest,
    CostTold,
    MeterReport,
    RemoteStartAnswer,
    Started,
    Stopped,
    TransactionGone,
    TransactionStart,
    TransactionStop,
)

TOPIC = "transaction"

# Why a tag that may charge may not just now.
PASSING = (AuthorizationStatus.CONCURRENT_TX, AuthorizationStatus.RESERVED)


def start(values: Sequence[TransactionStart], changes: Changes) -> list[Started]:
    """Open transactions, one a start however often it is repeated (1.6 section 4.8, TX-05).

    A start with a tag that may not charge is recorded all the same: the station has already
    begun, and tells (ID-04).
    """
    held = reservations.held_by(value.station for value in values)
    started = [_start(value, held.get(value.station, ()), changes) for value in values]
    return installedprofiles.begin(values, started, changes)


def _start(value: TransactionStart, held: Sequence[Reservation], changes: Changes) -> Started:
    tag = idtags.find([value.id_token])[value.id_token]
    id_tag = tag.pk if tag else value.id_token
    request = AuthorizationRequest(value.station, value.id_token, value.received_at)
    if repeated := _repeated_start(value, id_tag):
        return Started(repeated.pk, _answer_again(repeated, idtags.judge(request, tag)), repeated=True)

    running = _running_before(value.station, value.evse_id, value.at)
    offline = value.received_at - value.at > OFFLINE_AFTER
    # What runs now, or is reserved now, says nothing about a session of days ago (TX-08).
    at = value.at if offline else value.received_at
    authorization = idtags.Running([tag], besides=running).judge(request, tag, at=at)
    authorization = reservations.guard(authorization, held, id_tag, at, evse_id=value.evse_id)
    _supersede(running, value.at, changes)
    place = (value.station, value.evse_id, value.connector_id)
    accepted = authorization.status == AuthorizationStatus.ACCEPTED
    transaction = Transaction(
        chargepoint_id=value.station,
        connector=connectors.ensure([place], changes).get(place),
        evse_id=value.evse_id,
        connectorid=value.connector_id,
        ocpp_version=value.ocpp_version,
        id_tag_id=id_tag,
        authorization_status=authorization.status,
        transaction_status=TransactionStatus.STARTED if accepted else TransactionStatus.UNAUTHORIZED,
        start_transaction_timestamp=value.at,
        wh_meter_start=value.meter_start,
        reservation_id=value.reservation_id,
        fingerprint=value.fingerprint or None,
        received_at=value.received_at,
    )
    if offline:
        transaction.flag(TransactionFlag.OFFLINE)
    if _is_our_time(value):
        transaction.flag(TransactionFlag.CLOCK_UNRELIABLE)
    if value.meter_start is None:
        transaction.flag(TransactionFlag.METER_UNKNOWN)
    transaction.save()
    changes.note(TOPIC, transaction.pk, "created")
    reservations.use(
        transaction,
        held,
        number=value.reservation_id,
        id_tag=id_tag,
        parent=tag.parent_id if tag else None,
        at=at,
        changes=changes,
    )
    return Started(transaction.pk, authorization)


def _is_our_time(value: TransactionStart | TransactionStop) -> bool:
    """Tell whether the time of receipt stands in for the station's."""
    return not value.fingerprint or value.at == value.received_at


def _repeated_start(value: TransactionStart, id_tag: str) -> Transaction | None:
    """Find the transaction that this start has already opened."""
    mine = Transaction.objects.filter(chargepoint=value.station)
    if value.fingerprint:
        return mine.filter(fingerprint=value.fingerprint).first()
    # Without a clock two starts look alike; only one that is still open can be meant.
    return mine.filter(
        evse_id=value.evse_id,
        connectorid=value.connector_id,
        id_tag=id_tag,
        wh_meter_start=value.meter_start,
        fingerprint__isnull=True,
        uuid__isnull=True,
        stop_transaction_timestamp__isnull=True,
    ).first()


def _answer_again(repeated: Transaction, authorization: Authorization) -> Authorization:
    """Answer a repeat as the first time: what runs or is reserved by now, or no longer is, was no matter then."""
    first = repeated.authorization_status
    if authorization.status == AuthorizationStatus.ACCEPTED and first in PASSING:
        return replace(authorization, status=AuthorizationStatus(first))
    return authorization


def _running_before(station: str, evse_id: int, at: datetime) -> list[int]:
    """Name the open transactions of an EVSE that a start at `at` ends (TX-07).

    One that began later stays: the start is an old one, told only now (TX-08).
    """
    if not evse_id:
        return []
    running = Transaction.objects.filter(
        chargepoint=station,
        evse_id=evse_id,
        stop_transaction_timestamp__isnull=True,
        start_transaction_timestamp__lte=at,
    ).values_list("pk", flat=True)
    return list(running)


def _supersede(running: Sequence[int], at: datetime, changes: Changes) -> None:
    for transaction in Transaction.objects.select_for_update().filter(pk__in=running).order_by("pk"):
        _close(transaction, at, TransactionFlag.SUPERSEDED, changes)


def supersede(begun: Sequence[Transaction], changes: Changes) -> None:
    """Close what else is open on the EVSEs where transactions have just begun, in one query for all of them."""
    places = {(row.chargepoint_id, row.evse_id): row for row in begun if row.evse_id and row.is_open}
    if not places:
        return
    rows = Transaction.objects.filter(
        chargepoint__in={station for station, _ in places},
        stop_transaction_timestamp__isnull=True,
        start_transaction_timestamp__isnull=False,
    ).exclude(pk__in=[row.pk for row in places.values()])
    for row in rows:
        at = began.start_transaction_timestamp if (began := places.get((row.chargepoint_id, row.evse_id))) else None
        if at is not None and row.start_transaction_timestamp is not None and row.start_transaction_timestamp <= at:
            _supersede([row.pk], at, changes)


def _close(transaction: Transaction, at: datetime, flag: TransactionFlag, changes: Changes) -> None:
    """Close a transaction that its station left open, with the last reading it gave."""
    transaction.stop_transaction_timestamp = at
    if transaction.transaction_status == TransactionStatus.STARTED:
        transaction.transaction_status = TransactionStatus.FINISHED
    transaction.reason_stopped = "Other"
    transaction.wh_meter_stop = transaction.wh_meter_last
    transaction.flag(flag)
    transaction.save()
    changes.note(TOPIC, transaction.pk)
    installedprofiles.end([transaction.pk], changes)
    displaymessages.end([transaction], changes)


def stop(values: Sequence[TransactionStop], changes: Changes) -> list[Stopped]:
    """Close transactions; a stop without a start is kept as an orphan (1.6 section 4.10, TX-04)."""
    stopped = [_stop(value, changes) for value in values]
    installedprofiles.end([each.transaction_id for each in stopped], changes)
    return stopped


def _stop(value: TransactionStop, changes: Changes) -> Stopped:
    tag = idtags.find([value.id_token])[value.id_token] if value.id_token else None
    transaction = _stopped_one(value, tag.pk if tag else value.id_token)
    began_with = transaction.id_tag_id if transaction else None
    if tag is None and began_with and idtags.echoes(value.id_token, began_with):
        # A station told Invalid would go on charging.
        tag = idtags.find([began_with])[began_with]
    authorization = None
    if value.id_token:
        request = AuthorizationRequest(value.station, value.id_token, value.received_at)
        authorization = idtags.judge(request, tag)

    id_tag = tag.pk if tag else value.id_token
    transaction = transaction or _orphan(value, id_tag, changes)
    if transaction.is_open or transaction.closed_by_platform:
        _keep_readings(transaction, value, changes)
        _end(transaction, value, id_tag)
        transaction.save()
        changes.note(TOPIC, transaction.pk)
    else:
        _note_repeat(transaction, value, changes)
    return Stopped(transaction.pk, authorization)


def _stopped_one(value: TransactionStop, id_tag: str) -> Transaction | None:
    """Find the transaction a stop means.

    By our number, by the station's own id, or, when the station does not know it (TX-01, TX-02),
    the open one of the same tag, or the only open one.
    """
    mine = Transaction.objects.select_for_update().filter(chargepoint=value.station)
    if value.ref.number is not None and (found := mine.filter(pk=value.ref.number).first()):
        return found
    uuid = metervalues.own_id(value.ref)
    if uuid is not None:
        return mine.filter(uuid=uuid).first()
    if repeated := mine.filter(_is_stop(value)).first():
        return repeated
    # It began before it ended: a stop told late must not end what began since.
    running = mine.filter(stop_transaction_timestamp__isnull=True, start_transaction_timestamp__lte=value.at).order_by(
        "-start_transaction_timestamp", "-transaction_id"
    )
    candidates = list(running)
    if id_tag:
        return next((each for each in candidates if idtags.echoes(id_tag, each.id_tag_id or "")), None)
    return candidates[0] if len(candidates) == 1 else None


def _is_stop(value: TransactionStop) -> Q:
    """Recognise what this stop has closed before: the orphan it made, or one that ended exactly so."""
    as_told = Q(stop_transaction_timestamp=value.at, wh_meter_stop=value.meter_stop, stop_id_tag=value.id_token)
    return Q(fingerprint=value.fingerprint) | as_told


def _orphan(value: TransactionStop, id_tag: str, changes: Changes) -> Transaction:
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
    changes.note(TOPIC, transaction.pk, "created")
    return transaction


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
    if _is_our_time(value):
        transaction.flag(TransactionFlag.CLOCK_UNRELIABLE)
    elif started is not None and metervalues.outruns(transaction.energy_wh or Decimal(0), value.at - started):
        transaction.flag(TransactionFlag.METER_IMPLAUSIBLE)


def _note_repeat(transaction: Transaction, value: TransactionStop, changes: Changes) -> None:
    """Flag a repeated stop that says something else; the first one counts (TX-06)."""
    _keep_readings(transaction, value, changes)
    # Where our time stands in for the station's, every repeat has another one.
    same_time = _is_our_time(value) or transaction.stop_transaction_timestamp == value.at
    same = same_time and transaction.wh_meter_stop == value.meter_stop
    if not same and TransactionFlag.STOP_DIFFERS not in transaction.flags:
        transaction.flag(TransactionFlag.STOP_DIFFERS)
        transaction.save(update_fields=["flags"])
        changes.note(TOPIC, transaction.pk)


def _keep_readings(transaction: Transaction, value: TransactionStop, changes: Changes) -> None:
    """Store what the station adds to a stop, which moves the meter; what it had sent before is not stored twice."""
    if not value.readings:
        return
    known = {
        (at, _sample_keys(samples))
        for at, samples in MeterValue.objects.filter(
            transaction=transaction, timestamp__in=[reading.at for reading in value.readings]
        ).values_list("timestamp", "samples")
    }
    new = [reading for reading in value.readings if (reading.at, _sample_keys(reading.samples)) not in known]
    for reading in new:
        metervalues.move(transaction, reading.at, metervalues.summarise(reading.samples))
    report = MeterReport(
        value.station,
        value.ocpp_version,
        transaction.evse_id,
        transaction.connectorid,
        value.ref,
        new,
        value.received_at,
    )
    metervalues.keep(report, transaction, changes)


def _sample_keys(samples: Sequence[Any]) -> str:
    """Spell samples so that equal ones are equal, whatever order the database returns their members in."""
    return json.dumps(samples, sort_keys=True)


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
        for row in rows:
            last = row.wh_meter_last_timestamp or row.start_transaction_timestamp or value.at
            _close(row, last, TransactionFlag.NO_STOP, changes)
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
                _close(transaction, since, TransactionFlag.NO_STOP, changes)
                closed += 1
    return closed
