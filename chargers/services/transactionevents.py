"""Transaction events: charging sessions that a 2.x station tells in numbered steps (2.0.1 block E).

Each number counts once, and the order of arrival does not matter: an Ended before its Started
closes the transaction, and the Started that follows fills in its beginning. A batch takes a fixed
number of statements, however many events are in it; what is rare, such as a reservation that is
used up, comes on top.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Max, Min

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, TokenType, TransactionFlag, TransactionStatus
from chargers.models import Connector, IdTag, MeterValue, Transaction, TransactionEvent, Variable
from chargers.models.idtag import tag_key
from chargers.services import (
    connectors,
    displaymessages,
    idtags,
    installedprofiles,
    metervalues,
    reservations,
    transactions,
)
from chargers.sql import insert_rows, update_rows
from chargers.values import (
    OFFLINE_AFTER,
    Authorization,
    AuthorizationRequest,
    EventAnswer,
    MeterReport,
    Started,
    TransactionRef,
    TransactionStart,
)
from chargers.values import TransactionEvent as Event

STARTED, ENDED = "Started", "Ended"
# The variable with the group whose tokens end sessions and begin none (2.0.1 C16).
MASTER_PASS = ("AuthCtrlr", "MasterPassGroupId")

EVENT_FIELDS = (
    "transaction",
    "seq_no",
    "kind",
    "trigger",
    "charging_state",
    "id_token",
    "evse_id",
    "connectorid",
    "number_of_phases_used",
    "cable_max_current",
    "timestamp",
    "offline",
    "received_at",
)
# What the most frequent event moves, a reading; and what any event may.
MOVED_FIELDS = (*metervalues.METER_FIELDS, "charging_state", "time_spent_charging", "last_seq_no")
ALL_FIELDS = (
    *MOVED_FIELDS,
    "evse_id",
    "connectorid",
    "connector",
    "id_tag",
    "stop_id_tag",
    "authorization_status",
    "transaction_status",
    "start_transaction_timestamp",
    "stop_transaction_timestamp",
    "reason_stopped",
    "reservation_id",
    "remote_start_id",
)

# A station and its own id of a transaction.
Key = tuple[str, str]


def record(values: Sequence[Event], changes: Changes) -> list[EventAnswer]:
    """Store events; answer what the token that an event names may do, if it names one (E01.FR.11, E01.FR.12).

    The end of a session is answered with its cost, if that is known (I03.FR.02): what the station was told last.
    """
    batch = _Batch(values, changes)
    answers = [EventAnswer(batch.take(value), batch.cost(value)) for value in values]
    batch.store()
    return answers


class _Batch:
    """Events that are stored together: what they need is read first, and what they change written last."""

    def __init__(self, values: Sequence[Event], changes: Changes) -> None:
        self.changes = changes
        shown = [value for value in values if value.id_token is not None and not value.free]
        self.tags = idtags.find([value.id_token or "" for value in shown]) if shown else {}
        named = [value for value in shown if not self._is_free(value)]
        self.held = reservations.held_by(value.station for value in named) if named else {}
        self.rows, self.created = _transactions(values)
        self.known = _known_events(values, self.rows, self.created)
        self.starting = idtags.Running(
            self.tags[value.id_token or ""] for value in named if value.kind != ENDED and not value.stops
        )
        self.masters = _master_groups(named, self.tags)
        self.connectors = _connectors(values, self.rows, changes)
        self.events: list[metervalues.Row] = []
        self.readings: list[metervalues.Row] = []
        # Those of which only the meter moved, those of which anything may have, those that began or ended here.
        self.moved: dict[int, Transaction] = {}
        self.changed: dict[int, Transaction] = {}
        self.begun: list[Transaction] = []
        self.ended: dict[int, Transaction] = {}
        # Those whose place was told after something else, which may be readings.
        self.placed_late: dict[int, Transaction] = {}
        self.identified: list[tuple[TransactionStart, Transaction, Authorization]] = []

    def take(self, value: Event) -> Authorization | None:
        transaction = self.rows[value.station, value.uuid]
        authorization = self._authorize(value, transaction)
        if (transaction.pk, value.seq_no) in self.known:
            return authorization
        self.known.add((transaction.pk, value.seq_no))
        self._note_event(value, transaction)
        was_told, before = _can_be_recognised(transaction), (transaction.charging_state, transaction.flags)
        placed = self._place(transaction, value)
        identified = self._identify(transaction, value, authorization)
        told = self._tell(transaction, value)
        if not was_told and _can_be_recognised(transaction):
            accepted = authorization or Authorization(AuthorizationStatus.ACCEPTED)
            self.identified.append((_start_of(value, transaction), transaction, accepted))
        self._read_meters(transaction, value)
        if value.kind == ENDED:
            _end(transaction, value)
        if not transaction.is_open:
            _judge_end(transaction)
            self.ended[transaction.pk] = transaction
        changed = placed or identified or told or value.kind != "Updated"
        (self.changed if changed else self.moved)[transaction.pk] = transaction
        self.starting.note(transaction)
        if changed or before != (transaction.charging_state, transaction.flags):
            # Of a meter that moved the readings tell, in every version.
            created = (value.station, value.uuid) in self.created
            self.changes.note(transactions.TOPIC, transaction.pk, "created" if created else "updated")
        return authorization

    def cost(self, value: Event) -> Decimal | None:
        return self.rows[value.station, value.uuid].total_cost if value.kind == ENDED else None

    def store(self) -> None:
        insert_rows(TransactionEvent, EVENT_FIELDS, self.events)
        insert_rows(MeterValue, metervalues.FIELDS, self.readings)
        for key, row in self.placed_late.items():
            nowhere = MeterValue.objects.filter(transaction=key).exclude(
                evse_id=row.evse_id, connectorid=row.connectorid
            )
            nowhere.update(evse_id=row.evse_id, connectorid=row.connectorid)
        _judge_gaps(self.ended)
        update_rows(self.changed.values(), ALL_FIELDS)
        update_rows([row for key, row in self.moved.items() if key not in self.changed], MOVED_FIELDS)
        transactions.supersede(self.begun, self.changes)
        if self.identified:
            installedprofiles.begin(
                [start for start, _, _ in self.identified],
                [Started(row.pk, authorization) for _, row, authorization in self.identified],
                self.changes,
            )
        if self.ended:
            installedprofiles.end(self.ended.keys(), self.changes)
            displaymessages.end(self.ended.values(), self.changes)

    def _is_free(self, value: Event) -> bool:
        """Tell whether a token stands for no driver: a start button's, or one that an operator made up (C02, C05)."""
        unknown = value.id_token is None or self.tags.get(value.id_token) is None
        return value.free or (value.token_type == TokenType.CENTRAL and unknown)

    def _authorize(self, value: Event, transaction: Transaction) -> Authorization | None:
        if value.id_token is None:
            return None
        if self._is_free(value):
            return Authorization(AuthorizationStatus.ACCEPTED)
        tag = self.tags[value.id_token]
        request = AuthorizationRequest(value.station, value.id_token, value.received_at, value.token_type)
        if value.kind == ENDED or value.stops:
            return idtags.judge(request, tag)
        at = _moment(value)
        authorization = self.starting.judge(request, tag, at=at, besides=[transaction.pk])
        if tag is not None and tag.parent is not None and tag.parent.lookup_key in self.masters.get(value.station, ()):
            # It ends the sessions of others, and begins none (C16.FR.03).
            return Authorization(AuthorizationStatus.BLOCKED, authorization.expiry_date, authorization.parent)
        id_tag = tag.pk if tag else value.id_token
        held, evse_id = self.held.get(value.station, ()), value.evse_id or transaction.evse_id
        return reservations.guard(authorization, held, id_tag, at, evse_id=evse_id)

    def _note_event(self, value: Event, transaction: Transaction) -> None:
        self.events.append(
            (
                transaction.pk,
                value.seq_no,
                value.kind,
                value.trigger,
                value.charging_state,
                value.id_token or "",
                value.evse_id,
                value.connector_id,
                value.number_of_phases_used,
                value.cable_max_current,
                value.at,
                value.offline,
                value.received_at,
            )
        )

    def _place(self, transaction: Transaction, value: Event) -> bool:
        """Learn where the transaction takes place; stations may tell later, and the EVSE before the connector."""
        if not _teaches_place(transaction, value):
            return False
        connector = self.connectors.get((value.station, value.evse_id, value.connector_id))
        transaction.evse_id = value.evse_id
        transaction.connectorid = connector.connectorid if connector else value.connector_id
        transaction.connector = connector
        if transaction.last_seq_no is not None:
            self.placed_late[transaction.pk] = transaction
        return True

    def _identify(self, transaction: Transaction, value: Event, authorization: Authorization | None) -> bool:
        """Learn who charges: the first tag that may counts; one that ends the session is kept beside it."""
        if authorization is None or self._is_free(value):
            return False
        if value.kind == ENDED or value.stops:
            transaction.stop_id_tag = value.id_token or ""
        accepted = authorization.status == AuthorizationStatus.ACCEPTED
        refused = transaction.authorization_status not in ("", AuthorizationStatus.ACCEPTED)
        if transaction.id_tag_id is not None and not (accepted and refused and not value.stops):
            return True
        tag = self.tags[value.id_token or ""]
        transaction.id_tag_id = tag.pk if tag else value.id_token
        transaction.authorization_status = authorization.status
        begun = TransactionStatus.STARTED if transaction.is_open else TransactionStatus.FINISHED
        transaction.transaction_status = begun if accepted else TransactionStatus.UNAUTHORIZED
        reservations.use(
            transaction,
            self.held.get(value.station, ()),
            number=value.reservation_id,
            id_tag=transaction.id_tag_id or "",
            parent=tag.parent_id if tag else None,
            at=_moment(value),
            changes=self.changes,
        )
        return True

    def _tell(self, transaction: Transaction, value: Event) -> bool:
        """Keep what an event tells of its transaction; say whether that is more than most do."""
        if transaction.last_seq_no is None or value.seq_no >= transaction.last_seq_no:
            # What is told later of before says nothing of how things are (V2-05).
            transaction.last_seq_no = value.seq_no
            transaction.charging_state = value.charging_state or transaction.charging_state
        if value.time_spent_charging is not None:
            transaction.time_spent_charging = max(value.time_spent_charging, transaction.time_spent_charging or 0)
        told = value.reservation_id is not None or value.remote_start_id is not None
        if value.reservation_id is not None:
            transaction.reservation_id = value.reservation_id
        if value.remote_start_id is not None:
            transaction.remote_start_id = value.remote_start_id
        if value.kind == STARTED:
            self._start(transaction, value)
        elif transaction.start_transaction_timestamp is None:
            transaction.flag(TransactionFlag.FOREIGN)
        if TransactionFlag.FOREIGN in transaction.flags:
            # It began no later than the first that was heard of it.
            known = transaction.start_transaction_timestamp
            transaction.start_transaction_timestamp = min(known, value.at) if known else value.at
            told = True
        if value.offline or (value.kind in (STARTED, ENDED) and value.received_at - value.at > OFFLINE_AFTER):
            transaction.flag(TransactionFlag.OFFLINE)
        if value.kind in (STARTED, ENDED) and value.at == value.received_at:
            transaction.flag(TransactionFlag.CLOCK_UNRELIABLE)
        return told

    def _start(self, transaction: Transaction, value: Event) -> None:
        transaction.start_transaction_timestamp = value.at
        transaction.flags = [flag for flag in transaction.flags if flag != TransactionFlag.FOREIGN]
        begin = metervalues.register_of(value.readings, "Transaction.Begin")
        if begin is None:
            begin = next(filter(_is_known, (metervalues.summarise(r.samples).energy_wh for r in value.readings)), None)
        if begin is not None:
            transaction.wh_meter_start = begin
        self.begun.append(transaction)

    def _read_meters(self, transaction: Transaction, value: Event) -> None:
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
            summary = metervalues.summarise(reading.samples)
            metervalues.move(transaction, reading.at, summary)
            self.readings.append(metervalues.row(report, reading, summary, transaction))
            metervalues.note(report, reading, transaction, self.changes)


def _is_known(energy: Decimal | None) -> bool:
    return energy is not None


def _transactions(values: Sequence[Event]) -> tuple[dict[Key, Transaction], Collection[Key]]:
    """Read the transactions of events, locked, and make those that are new; name the new ones."""
    rows = _locked({(value.station, value.uuid) for value in values})
    missing = {(each.station, each.uuid): each for each in values if (each.station, each.uuid) not in rows}
    if missing:
        Transaction.objects.bulk_create(
            [
                Transaction(
                    chargepoint_id=station, uuid=uuid, ocpp_version=each.ocpp_version, received_at=each.received_at
                )
                for (station, uuid), each in missing.items()
            ],
            # Another node may just have made it.
            ignore_conflicts=True,
        )
        rows |= _locked(missing.keys())
    return rows, missing.keys()


def _locked(keys: Collection[Key]) -> dict[Key, Transaction]:
    rows = (
        # In the order of their keys, so that two nodes cannot wait for each other.
        Transaction.objects.select_for_update()
        .filter(chargepoint__in={station for station, _ in keys}, uuid__in={uuid for _, uuid in keys})
        .order_by("pk")
    )
    found = {(row.chargepoint_id or "", row.uuid or ""): row for row in rows}
    return {key: found[key] for key in keys if key in found}


def _known_events(
    values: Sequence[Event], rows: Mapping[Key, Transaction], created: Collection[Key]
) -> set[tuple[int, int]]:
    """Name the events that are stored already, by transaction and number; a number above the last one cannot be."""
    doubtful = {
        (rows[value.station, value.uuid].pk, value.seq_no)
        for value in values
        if (value.station, value.uuid) not in created
        and not _is_newest(rows[value.station, value.uuid].last_seq_no, value.seq_no)
    }
    if not doubtful:
        return set()
    stored = TransactionEvent.objects.filter(
        transaction__in={key for key, _ in doubtful}, seq_no__in={number for _, number in doubtful}
    )
    return set(stored.values_list("transaction_id", "seq_no"))


def _is_newest(last: int | None, seq_no: int) -> bool:
    return last is not None and seq_no > last


def _master_groups(named: Sequence[Event], tags: Mapping[str, IdTag | None]) -> dict[str, set[str]]:
    """Read the master pass groups, folded, of stations whose events name a token that has a group."""
    stations = {value.station for value in named if (tag := tags[value.id_token or ""]) and tag.parent_id}
    if not stations:
        return {}
    component, variable = MASTER_PASS
    told = Variable.objects.filter(
        chargepoint__in=stations, component__iexact=component, variable__iexact=variable
    ).values_list("chargepoint_id", "value")
    return {station: {tag_key(group)} for station, group in told if group}


def _teaches_place(transaction: Transaction, value: Event) -> bool:
    return value.evse_id > 0 and not (transaction.evse_id and transaction.connectorid)


def _connectors(
    values: Sequence[Event], rows: Mapping[Key, Transaction], changes: Changes
) -> dict[connectors.Place, Connector]:
    """Find the connectors that events teach; an EVSE alone means its connector where it has but one (V2-05)."""
    places = {
        (value.station, value.evse_id, value.connector_id)
        for value in values
        if _teaches_place(rows[value.station, value.uuid], value)
    }
    found = connectors.ensure([place for place in places if place[2]], changes)
    if vague := {place for place in places if not place[2]}:
        found |= connectors.only_ones(vague)
    return found


def _moment(value: Event) -> datetime:
    """Return when a reservation must be held to matter: what is held now says nothing about what was done offline."""
    return value.at if value.offline else value.received_at


def _can_be_recognised(transaction: Transaction) -> bool:
    """Tell whether it is known which remote start it is of, if any: by that itself, or by who charges where."""
    return transaction.evse_id > 0 and (transaction.id_tag_id is not None or transaction.remote_start_id is not None)


def _start_of(value: Event, transaction: Transaction) -> TransactionStart:
    """Spell an event as the start that it is, in the eyes of what waits for one."""
    return TransactionStart(
        station=value.station,
        ocpp_version=value.ocpp_version,
        evse_id=transaction.evse_id,
        connector_id=transaction.connectorid,
        id_token=value.id_token or "",
        meter_start=transaction.wh_meter_start,
        at=value.at,
        received_at=value.received_at,
        remote_start_id=transaction.remote_start_id,
    )


def _end(transaction: Transaction, value: Event) -> None:
    if not transaction.is_open:
        if not transaction.closed_by_platform:
            if transaction.stop_transaction_timestamp != value.at:
                transaction.flag(TransactionFlag.STOP_DIFFERS)
            return
        transaction.flag(TransactionFlag.LATE_STOP)
    transaction.stop_transaction_timestamp = value.at
    transaction.reason_stopped = value.reason
    transaction.wh_meter_stop = metervalues.register_of(value.readings, "Transaction.End")
    if transaction.wh_meter_stop is None:
        transaction.wh_meter_stop = transaction.wh_meter_last
    if transaction.transaction_status == TransactionStatus.STARTED:
        transaction.transaction_status = TransactionStatus.FINISHED


def _judge_end(transaction: Transaction) -> None:
    """Flag what is doubtful about a transaction that has ended, as far as its beginning is known by now."""
    if transaction.wh_meter_stop is None or transaction.wh_meter_start is None:
        transaction.flag(TransactionFlag.METER_UNKNOWN)
    else:
        transaction.flags = [flag for flag in transaction.flags if flag != TransactionFlag.METER_UNKNOWN]
        if transaction.wh_meter_stop < transaction.wh_meter_start:
            transaction.flag(TransactionFlag.STOP_BELOW_START)
    started, stopped = transaction.start_transaction_timestamp, transaction.stop_transaction_timestamp
    if started is None or stopped is None:
        return
    if stopped < started:
        transaction.flag(TransactionFlag.STOP_BEFORE_START)
    elif metervalues.outruns(transaction.energy_wh or Decimal(0), stopped - started):
        transaction.flag(TransactionFlag.METER_IMPLAUSIBLE)


def _judge_gaps(ended: Mapping[int, Transaction]) -> None:
    """Flag what has ended and has gaps in the numbers of its events, until they are filled (E01.FR.07)."""
    if not ended:
        return
    numbers = (
        TransactionEvent.objects.filter(transaction__in=ended.keys())
        .values_list("transaction")
        .annotate(Min("seq_no"), Max("seq_no"), Count("pk"))
        .order_by()
    )
    for key, first, last, count in numbers:
        row = ended[key]
        row.flags = [flag for flag in row.flags if flag != TransactionFlag.EVENTS_MISSING]
        if last - first + 1 > count:
            row.flag(TransactionFlag.EVENTS_MISSING)
