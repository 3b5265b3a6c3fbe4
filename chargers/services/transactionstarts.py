"""Starts: charging sessions that a 1.6 station tells by StartTransaction (section 4.8).

A batch takes a fixed number of statements, however many starts are in it; what is rare, such as a
reservation that is used up, comes on top.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, TransactionFlag, TransactionStatus
from chargers.models import Transaction
from chargers.services import connectors, idtags, installedprofiles, metervalues, reservations, transactions
from chargers.values import OFFLINE_AFTER, Authorization, AuthorizationRequest, Started, TransactionStart

# Why a tag that may charge may not just now.
PASSING = (AuthorizationStatus.CONCURRENT_TX, AuthorizationStatus.RESERVED)


def record(values: Sequence[TransactionStart], changes: Changes) -> list[Started]:
    """Open transactions, one a start however often it is repeated (TX-05).

    A start with a tag that may not charge is recorded all the same: the station has already
    begun, and tells (ID-04).
    """
    return transactions.one_a_station(values, lambda each: _Batch(each, changes).begin())


class _Batch:
    """Starts of different stations: what they need is read first, and what they change written last."""

    def __init__(self, values: Sequence[TransactionStart], changes: Changes) -> None:
        self.values = values
        self.changes = changes
        self.tags = idtags.find([value.id_token for value in values])
        self.held = reservations.held_by(value.station for value in values)
        self.open = _open(values)
        self.repeated = self._repeated()
        self.new = [value for value in values if value.station not in self.repeated]
        self.running = idtags.Running(self.tags[value.id_token] for value in self.new)
        self.closed: list[Transaction] = []

    def begin(self) -> list[Started]:
        begun = {value.station: self._begin(value) for value in self.new}
        transactions.keep_closed(self.closed, self.changes)
        # After the judgement, to which a connector that nobody knew yet is none.
        known = connectors.ensure([_place(value) for value in self.new], self.changes)
        for value in self.new:
            begun[value.station][0].connector = known.get(_place(value))
        # Only now do they have a number.
        Transaction.objects.bulk_create(transaction for transaction, _ in begun.values())
        for value in self.new:
            self._use_reservation(value, begun[value.station][0])
        started = [self._answer(value, begun) for value in self.values]
        return installedprofiles.begin(self.values, started, self.changes)

    def _repeated(self) -> dict[str, Transaction]:
        """Find the transactions that starts have opened already, by station."""
        told = {value.station: value.fingerprint for value in self.values if value.fingerprint}
        rows = Transaction.objects.filter(chargepoint__in=told, fingerprint__in=set(told.values())) if told else ()
        found = {row.chargepoint_id or "": row for row in rows if row.fingerprint == told[row.chargepoint_id or ""]}
        for value in self.values:
            # Without a clock two starts look alike; only one that is still open can be meant.
            if not value.fingerprint and (row := self._lookalike(value)):
                found[value.station] = row
        return found

    def _lookalike(self, value: TransactionStart) -> Transaction | None:
        looks = (value.evse_id, value.connector_id, self._id_tag(value), metervalues.fit(value.meter_start))
        rows = (
            row
            for row in reversed(self.open[value.station])
            if row.fingerprint is None
            and row.uuid is None
            and (row.evse_id, row.connectorid, row.id_tag_id, row.wh_meter_start) == looks
        )
        return next(rows, None)

    def _id_tag(self, value: TransactionStart) -> str:
        tag = self.tags[value.id_token]
        return tag.pk if tag else value.id_token

    def _begin(self, value: TransactionStart) -> tuple[Transaction, Authorization]:
        """Make the transaction of a start, and close those that it ends (TX-07)."""
        ended = [row for row in self.open[value.station] if _ends(value, row)]
        at, id_tag = _moment(value), self._id_tag(value)
        authorization = self.running.judge(
            _request(value), self.tags[value.id_token], at=at, besides=[row.pk for row in ended]
        )
        held = self.held.get(value.station, ())
        authorization = reservations.guard(authorization, held, id_tag, at, evse_id=value.evse_id)
        for row in ended:
            transactions.close(row, value.at, TransactionFlag.SUPERSEDED)
            self.running.note(row)
        self.closed += ended
        transaction = _transaction(value, id_tag, authorization)
        self.running.note(transaction)
        return transaction, authorization

    def _use_reservation(self, value: TransactionStart, transaction: Transaction) -> None:
        tag = self.tags[value.id_token]
        reservations.use(
            transaction,
            self.held.get(value.station, ()),
            number=value.reservation_id,
            id_tag=self._id_tag(value),
            parent=tag.parent_id if tag else None,
            at=_moment(value),
            changes=self.changes,
        )

    def _answer(self, value: TransactionStart, begun: Mapping[str, tuple[Transaction, Authorization]]) -> Started:
        if repeated := self.repeated.get(value.station):
            authorization = idtags.judge(_request(value), self.tags[value.id_token])
            return Started(repeated.pk, _as_at_first(repeated, authorization), repeated=True)
        transaction, authorization = begun[value.station]
        self.changes.note(transactions.TOPIC, transaction.pk, "created")
        return Started(transaction.pk, authorization)


def _open(values: Sequence[TransactionStart]) -> Mapping[str, Sequence[Transaction]]:
    """Read what is open on stations, the oldest first, locked in the order of keys as everywhere."""
    found: dict[str, list[Transaction]] = {value.station: [] for value in values}
    rows = Transaction.objects.select_for_update().filter(
        chargepoint__in=found, stop_transaction_timestamp__isnull=True
    )
    for row in rows.order_by("pk"):
        found[row.chargepoint_id or ""].append(row)
    return found


def _ends(value: TransactionStart, row: Transaction) -> bool:
    """Tell whether a start ends what is open: on its EVSE, unless that began later.

    A start that is told only now may be an old one (TX-08).
    """
    began = row.start_transaction_timestamp
    return value.evse_id > 0 and row.evse_id == value.evse_id and began is not None and began <= value.at


def _is_offline(value: TransactionStart) -> bool:
    return value.received_at - value.at > OFFLINE_AFTER


def _moment(value: TransactionStart) -> datetime:
    """Return when a start happened: what runs now, or is reserved now, says nothing about days ago (TX-08)."""
    return value.at if _is_offline(value) else value.received_at


def _place(value: TransactionStart) -> connectors.Place:
    return value.station, value.evse_id, value.connector_id


def _request(value: TransactionStart) -> AuthorizationRequest:
    return AuthorizationRequest(value.station, value.id_token, value.received_at)


def _transaction(value: TransactionStart, id_tag: str, authorization: Authorization) -> Transaction:
    accepted = authorization.status == AuthorizationStatus.ACCEPTED
    transaction = Transaction(
        chargepoint_id=value.station,
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
    if _is_offline(value):
        transaction.flag(TransactionFlag.OFFLINE)
    if transactions.is_our_time(value):
        transaction.flag(TransactionFlag.CLOCK_UNRELIABLE)
    if value.meter_start is None:
        transaction.flag(TransactionFlag.METER_UNKNOWN)
    return transaction


def _as_at_first(repeated: Transaction, authorization: Authorization) -> Authorization:
    """Answer a repeat as the first time: what runs or is reserved by now, or no longer is, was no matter then."""
    first = repeated.authorization_status
    if authorization.status == AuthorizationStatus.ACCEPTED and first in PASSING:
        return replace(authorization, status=AuthorizationStatus(first))
    return authorization
