"""Reservations: connectors that stations keep for a tag and its group (1.6 section 5.13).

What is believed of them follows the stations' answers and messages; a command that was refused or
not answered changes nothing but its own row.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from uuid import UUID

from django.db.models import Max
from django.db.transaction import atomic

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, ConnectorStatus, ReservationStatus
from chargers.models import ChargePoint, Connector, Reservation, Transaction
from chargers.models.reservation import WAITING
from chargers.services import connectors
from chargers.values import Authorization, CancellationAnswer, ReservationAnswer, ReservationEnd, StatusReport

TOPIC = "reservation"

MAX_RESERVATION_ID = 2**31 - 1
REASON_LENGTH = 60
# The statuses in which a connector serves nobody.
OUT_OF_ORDER = frozenset({ConnectorStatus.FAULTED.value, ConnectorStatus.UNAVAILABLE.value})
# A start that names a reservation in one of these tells that the station had it.
USABLE = frozenset(
    {
        ReservationStatus.ACCEPTED,
        ReservationStatus.EXPIRED,
        ReservationStatus.FAILED,
        ReservationStatus.REMOVED,
        ReservationStatus.REQUESTED,
    }
)
# What the station has never held, so far as is known.
NEVER_HELD = (ReservationStatus.REQUESTED, ReservationStatus.REJECTED, ReservationStatus.FAILED)

# By station, what it is believed to hold.
Held = Mapping[str, Sequence[Reservation]]


# Asking, in the transaction that stores the command.


def request(
    *,
    station: ChargePoint,
    number: int | None,
    evse_id: int,
    id_tag: str,
    parent: str,
    expiry_date: datetime,
    connector_type: str = "",
    command_id: UUID,
    now: datetime,
    changes: Changes,
) -> Reservation:
    """Note a reservation that a station is about to be asked for; without a `number` it gets one of its own."""
    with atomic():
        # Two requests at once must not choose the same number.
        ChargePoint.objects.select_for_update().filter(pk=station.pk).values_list("pk").first()
        row = Reservation.objects.create(
            chargepoint=station,
            reservation_id=number or _next_number(station),
            evse_id=evse_id,
            connector=Connector.objects.filter(chargepoint=station, evse_id=evse_id).first() if evse_id else None,
            id_tag_id=id_tag,
            parent_id_tag=parent,
            expiry_date=expiry_date,
            connector_type=connector_type,
            command_id=command_id,
            created_at=now,
        )
    changes.note(TOPIC, row.pk, "created")
    return row


def _next_number(station: ChargePoint) -> int:
    """Choose a number that the station has not heard; once all are used up, one that is free."""
    known = Reservation.objects.filter(chargepoint=station)
    highest = max(known.aggregate(highest=Max("reservation_id"))["highest"] or 0, 0)
    if highest < MAX_RESERVATION_ID:
        return highest + 1
    taken = set(known.filter(status__in=USABLE).values_list("reservation_id", flat=True))
    return next(number for number in count(1) if number not in taken)


def fail(reasons: Mapping[UUID, str], *, now: datetime, changes: Changes) -> None:
    """Mark the reservations of commands that ended without an answer; one that comes late still counts."""
    for row in Reservation.objects.filter(command_id__in=list(reasons), status=ReservationStatus.REQUESTED):
        assert row.command_id is not None
        _move([row], ReservationStatus.FAILED, now, changes, reason=reasons[row.command_id])


# What stations answer and tell.


def settle(values: Sequence[ReservationAnswer], changes: Changes) -> list[None]:
    """Keep what stations answered to requests, which may come late."""
    for value in values:
        asked = Reservation.objects.filter(
            command_id=value.command_id, status__in=(ReservationStatus.REQUESTED, ReservationStatus.FAILED)
        )
        for row in asked:
            if value.reason:
                row.answered_at = value.at
                _move([row], ReservationStatus.REJECTED, value.at, changes, reason=value.reason)
            else:
                _accept(row, value, changes)
    return [None] * len(values)


def _accept(row: Reservation, value: ReservationAnswer, changes: Changes) -> None:
    """Believe that the station holds it, in place of what it held under the same number (5.13)."""
    same = Reservation.objects.filter(chargepoint=value.station, reservation_id=row.reservation_id).exclude(pk=row.pk)
    before = list(same.filter(pk__lt=row.pk, status=ReservationStatus.ACCEPTED).select_for_update())
    _move(before, ReservationStatus.REPLACED, value.at, changes)
    # An answer that comes late may be about what has been replaced since.
    outdated = same.filter(pk__gt=row.pk).exclude(status__in=NEVER_HELD).exists()
    place = (value.station, row.evse_id, 1)
    if row.connector is None:
        row.connector = connectors.ensure([place], changes).get(place)
    row.answered_at = value.at
    row.ended_at = value.at if outdated else None
    row.status = ReservationStatus.REPLACED if outdated else ReservationStatus.ACCEPTED
    row.reason = ""
    row.save(update_fields=["connector", "answered_at", "ended_at", "status", "reason"])
    changes.note(TOPIC, row.pk)


def settle_cancellation(values: Sequence[CancellationAnswer], changes: Changes) -> list[None]:
    """End what stations have cancelled; one that refuses has no such reservation (1.6 section 5.1)."""
    for value in values:
        rows = Reservation.objects.filter(chargepoint=value.station, reservation_id=value.number)
        if value.accepted:
            # It may have taken a request whose answer was lost.
            rows = rows.filter(status__in=(ReservationStatus.ACCEPTED, ReservationStatus.FAILED))
            _move(list(rows), ReservationStatus.CANCELLED, value.at, changes)
        else:
            rows = rows.filter(status=ReservationStatus.ACCEPTED)
            _move(list(rows), ReservationStatus.REMOVED, value.at, changes, reason="unknown to the station")
    return [None] * len(values)


def end(values: Sequence[ReservationEnd], changes: Changes) -> list[None]:
    """End what stations tell that they hold no longer (2.0.1 H02, H03)."""
    for value in values:
        rows = list(
            Reservation.objects.filter(
                chargepoint=value.station, reservation_id=value.number, status=ReservationStatus.ACCEPTED
            )
        )
        if value.expired:
            _move(rows, ReservationStatus.EXPIRED, value.at, changes)
        else:
            _move(rows, ReservationStatus.REMOVED, value.at, changes, reason="told by the station")
    return [None] * len(values)


def lose(values: Sequence[StatusReport], changes: Changes) -> None:
    """End what stations gave up because the connector, or all of the station, is out of order (1.6 section 5.13)."""
    broken = [value for value in values if value.status in OUT_OF_ORDER]
    if not broken:
        return
    held = held_by(value.station for value in broken)
    broken = [value for value in broken if held.get(value.station) and not _has_another(value)]
    for value in broken:
        at = value.at if value.is_late else value.received_at
        lost = [row for row in held.get(value.station, ()) if value.evse_id in (0, row.evse_id) and row.is_held(at)]
        _move(lost, ReservationStatus.REMOVED, value.received_at, changes, reason=value.status)


def _has_another(value: StatusReport) -> bool:
    """Tell whether an EVSE has a connector left that is in order."""
    others = Connector.objects.filter(chargepoint=value.station, evse_id=value.evse_id).exclude(
        connectorid=value.connector_id
    )
    return value.evse_id > 0 and others.exclude(connector_status__in=OUT_OF_ORDER).exists()


def expire(*, now: datetime, changes: Changes) -> int:
    """End what stations have let go of, or never told of, because its time is over; return how many."""
    # One by one: a node may be busy with some of them, in another order.
    return sum(
        _move([row], ReservationStatus.EXPIRED, row.expiry_date, changes)
        if row.status == ReservationStatus.ACCEPTED
        # The answer may come yet, or could not be kept when it came.
        else _move([row], ReservationStatus.FAILED, row.expiry_date, changes, reason="expired")
        for row in Reservation.objects.filter(status__in=WAITING, expiry_date__lte=now)[:1000]
    )


def _move(
    rows: Sequence[Reservation], to: ReservationStatus, at: datetime, changes: Changes, *, reason: str = ""
) -> int:
    """End reservations that are still as they were read; return how many."""
    moved = 0
    for row in rows:
        updated = Reservation.objects.filter(pk=row.pk, status=row.status).update(
            status=to,
            reason=reason[:REASON_LENGTH],
            answered_at=row.answered_at,
            transaction=row.transaction_id,
            ended_at=at,
        )
        if updated:
            row.status = to
            changes.note(TOPIC, row.pk)
        moved += updated
    return moved


# Who may charge where something is reserved.


def held_by(stations: Iterable[str]) -> Held:
    """Read what stations are believed to hold, in one statement for all of them."""
    held: dict[str, list[Reservation]] = defaultdict(list)
    for row in Reservation.objects.filter(chargepoint__in=set(stations), status=ReservationStatus.ACCEPTED):
        held[row.chargepoint_id or ""].append(row)
    return held


def guard(
    authorization: Authorization, held: Sequence[Reservation], id_tag: str, at: datetime, *, evse_id: int = 0
) -> Authorization:
    """Refuse a tag that may charge where all that is left is reserved for others.

    Without an EVSE, which is how a station asks before anything is plugged in, that is so when no
    connector is left to the tag; else it may charge at those that are (2.0.1 C01.FR.20). Stations may
    cache the answer: it expires with the first of the reservations.
    """
    if not held or authorization.status != AuthorizationStatus.ACCEPTED:
        return authorization
    now = [row for row in held if row.is_held(at)]
    others = [row for row in now if not row.is_for(id_tag, authorization.parent)]
    own = [row.evse_id for row in now if row not in others]
    if not others:
        return authorization
    station, ends = held[0].chargepoint_id or "", min(row.expiry_date for row in others)
    if _is_left(station, evse_id, own, [row.evse_id for row in others]):
        left = () if evse_id else _evses_left(station, own, [row.evse_id for row in others])
        return replace(authorization, evses=left, evses_until=ends) if left else authorization
    return Authorization(
        AuthorizationStatus.RESERVED, min(ends, authorization.expiry_date or ends), authorization.parent
    )


def _is_left(station: str, evse_id: int, own: Sequence[int], others: Sequence[int]) -> bool:
    """Tell whether an EVSE, or any where it is 0, is left beside what is reserved for others."""
    taken = set(others) - {0, *own}
    if evse_id in taken:
        return False
    if evse_id in own or 0 in own or (own and not evse_id):
        return True
    anywhere = others.count(0)
    if evse_id and not anywhere:
        return True
    known = set(Connector.objects.filter(chargepoint=station).values_list("evse_id", flat=True))
    return not known or len(known - taken) > anywhere


def _evses_left(station: str, own: Sequence[int], others: Sequence[int]) -> tuple[int, ...]:
    """Name the EVSEs that are left beside those that are reserved for others; none where all are, as far as is known."""
    taken = set(others) - {0, *own}
    if not taken:
        return ()
    known = set(Connector.objects.filter(chargepoint=station).values_list("evse_id", flat=True)) - {0}
    return tuple(sorted(known - taken)) if known & taken else ()


def use(
    transaction: Transaction,
    held: Sequence[Reservation],
    *,
    number: int | None,
    id_tag: str,
    parent: str | None,
    at: datetime,
    changes: Changes,
) -> None:
    """End the reservation that a transaction uses up: the one it names, else the one of its tag or group there."""
    row = _named(transaction.chargepoint_id or "", number) if number else None
    if row is None:
        fitting = [
            each
            for each in held
            if each.evse_id in (0, transaction.evse_id) and each.is_held(at) and each.is_for(id_tag, parent)
        ]
        # The more particular first: that connector, then that very tag.
        row = max(fitting, key=lambda each: (each.evse_id, each.is_for(id_tag, None)), default=None)
    if row is not None:
        row.transaction = transaction
        _move([row], ReservationStatus.USED, at, changes)


def _named(station: str, number: int) -> Reservation | None:
    """Find the reservation that a start names; under one number the latest counts, unless the station holds another."""
    told = Reservation.objects.filter(chargepoint=station, reservation_id=number).exclude(
        status__in=(ReservationStatus.REJECTED, ReservationStatus.REPLACED)
    )
    rows = list(told.order_by("-pk"))
    row = next((each for each in rows if each.status == ReservationStatus.ACCEPTED), rows[0] if rows else None)
    return row if row is not None and row.status in USABLE else None
