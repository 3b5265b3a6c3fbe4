"""Transaction events: charging sessions that a 2.x station tells in numbered steps (2.0.1 block E).

Each number counts once, and the order of arrival does not matter: an Ended before its Started
closes the transaction, and the Started that follows fills in its beginning.
"""

from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, TransactionFlag, TransactionStatus
from chargers.models import Reservation, Transaction, TransactionEvent
from chargers.services import connectors, idtags, metervalues, reservations, transactions
from chargers.values import Authorization, AuthorizationRequest, MeterReport, TransactionRef
from chargers.values import TransactionEvent as Event

STARTED, ENDED = "Started", "Ended"


def record(values: Sequence[Event], changes: Changes) -> list[Authorization | None]:
    """Store events; answer what the tag that an event names may do, if it names one (E05.FR.01)."""
    held = reservations.held_by(value.station for value in values if value.id_token is not None)
    return [_record(value, held.get(value.station, ()), changes) for value in values]


def _record(value: Event, held: Sequence[Reservation], changes: Changes) -> Authorization | None:
    transaction, created = Transaction.objects.select_for_update().get_or_create(
        chargepoint_id=value.station,
        uuid=value.uuid,
        defaults={"ocpp_version": value.ocpp_version, "received_at": value.received_at},
    )
    authorization = _authorize(value, transaction, held)
    _, new = TransactionEvent.objects.get_or_create(
        transaction=transaction,
        seq_no=value.seq_no,
        defaults={
            "kind": value.kind,
            "trigger": value.trigger,
            "charging_state": value.charging_state,
            "timestamp": value.at,
            "offline": value.offline,
            "received_at": value.received_at,
        },
    )
    if not new:
        return authorization
    _place(transaction, value, changes)
    _identify(transaction, value, authorization, held, changes)
    if value.offline:
        transaction.flag(TransactionFlag.OFFLINE)
    if value.kind == STARTED:
        _start(transaction, value, changes)
    elif created:
        transaction.flag(TransactionFlag.FOREIGN)
    _read_meters(transaction, value, changes)
    if value.kind == ENDED:
        _end(transaction, value)
    transaction.save()
    changes.note(transactions.TOPIC, transaction.pk, "created" if created else "updated")
    return authorization


def _authorize(value: Event, transaction: Transaction, held: Sequence[Reservation]) -> Authorization | None:
    if value.id_token is None:
        return None
    if value.free:
        return Authorization(AuthorizationStatus.ACCEPTED)
    tag = idtags.find([value.id_token])[value.id_token]
    request = AuthorizationRequest(value.station, value.id_token, value.received_at)
    if value.kind == ENDED:
        return idtags.judge(request, tag)
    authorization = idtags.judge_start(request, tag, besides=[transaction.pk], at=value.received_at)
    id_tag = tag.pk if tag else value.id_token
    return reservations.guard(authorization, held, id_tag, _moment(value), evse_id=value.evse_id or transaction.evse_id)


def _moment(value: Event) -> datetime:
    """Return when a reservation must be held to matter: what is held now says nothing about what was done offline."""
    return value.at if value.offline else value.received_at


def _place(transaction: Transaction, value: Event, changes: Changes) -> None:
    """Learn where the transaction takes place; stations may tell later, and the EVSE before the connector."""
    if not value.evse_id or (transaction.evse_id and transaction.connectorid):
        return
    transaction.evse_id = value.evse_id
    transaction.connectorid = value.connector_id
    if value.connector_id:
        place = (value.station, value.evse_id, value.connector_id)
        transaction.connector = connectors.ensure([place], changes).get(place)


def _identify(
    transaction: Transaction,
    value: Event,
    authorization: Authorization | None,
    held: Sequence[Reservation],
    changes: Changes,
) -> None:
    """Learn who charges: the first tag counts; one that ends the session is kept beside it."""
    if authorization is None or value.free:
        return
    if value.kind == ENDED:
        transaction.stop_id_tag = value.id_token or ""
    if transaction.id_tag_id is not None:
        return
    tag = idtags.find([value.id_token or ""])[value.id_token or ""]
    transaction.id_tag_id = tag.pk if tag else value.id_token
    transaction.authorization_status = authorization.status
    if authorization.status != AuthorizationStatus.ACCEPTED and transaction.is_open:
        transaction.transaction_status = TransactionStatus.UNAUTHORIZED
    reservations.use(
        transaction,
        held,
        number=value.reservation_id,
        id_tag=transaction.id_tag_id or "",
        parent=tag.parent_id if tag else None,
        at=_moment(value),
        changes=changes,
    )


def _start(transaction: Transaction, value: Event, changes: Changes) -> None:
    transaction.start_transaction_timestamp = value.at
    transaction.reservation_id = value.reservation_id
    transaction.flags = [flag for flag in transaction.flags if flag != TransactionFlag.FOREIGN]
    transaction.wh_meter_start = metervalues.register_of(value.readings, "Transaction.Begin")
    if transaction.is_open:
        transactions.supersede(transaction, changes)


def _read_meters(transaction: Transaction, value: Event, changes: Changes) -> None:
    if not value.readings:
        return
    report = MeterReport(
        value.station,
        value.ocpp_version,
        transaction.evse_id,
        transaction.connectorid,
        TransactionRef(uuid=value.uuid),
        value.readings,
        value.received_at,
    )
    for reading in value.readings:
        metervalues.move(transaction, reading.at, metervalues.summarise(reading.samples))
    metervalues.keep(report, transaction, changes)


def _end(transaction: Transaction, value: Event) -> None:
    transaction.stop_transaction_timestamp = value.at
    transaction.reason_stopped = value.reason
    transaction.wh_meter_stop = metervalues.register_of(value.readings, "Transaction.End")
    if transaction.wh_meter_stop is None:
        transaction.wh_meter_stop = transaction.wh_meter_last
    if transaction.transaction_status == TransactionStatus.STARTED:
        transaction.transaction_status = TransactionStatus.FINISHED
