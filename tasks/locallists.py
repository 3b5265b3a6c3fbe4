"""Bringing the local lists of stations to what they should hold."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.db.transaction import atomic

from chargers.changes import Changes
from chargers.choices import OcppVersion
from chargers.models import ChargePoint, LocalList
from chargers.services import locallists
from chargers.values import ListChange
from tasks import commands
from tasks.action import Payload
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.listupdates import claim
from tasks.models import OPEN, UNDER_WAY, Command, Report, ReportKind
from tasks.v2 import locallists as v2
from tasks.v16 import locallists as v16

logger = logging.getLogger(__name__)

NAME = "SendLocalList"
# How each version is asked.
REQUESTS: Mapping[str, Callable[[ListChange], Payload]] = {
    OcppVersion.V16: v16.request,
    OcppVersion.V201: v2.request,
}
# The rest has its turn the next time.
MOST_AT_ONCE = 500


def synchronise(
    station: ChargePoint,
    *,
    requested_by: User | None,
    now: datetime,
    changes: Changes,
    wanted: locallists.Wanted | None = None,
) -> Command | None:
    """Store the command that brings a station's list, read with ``connected``, to what it should hold.

    None where it holds that already. Raises a CommandError.
    """

    def difference(row: LocalList) -> ListChange | None:
        return _lacking(row, wanted or locallists.Wanted(now))

    return _send(station, difference, requested_by=requested_by, now=now, changes=changes)


def _lacking(row: LocalList, wanted: locallists.Wanted) -> ListChange | None:
    return locallists.change(row, wanted.entries(locallists.terms_of([row.chargepoint_id])[row.chargepoint_id]))


def _send(
    station: ChargePoint,
    difference: Callable[[LocalList], ListChange | None],
    *,
    requested_by: User | None,
    now: datetime,
    changes: Changes,
) -> Command | None:
    with atomic():
        change = difference(claim(station))
        if change is None:
            return None
        # A station that never connected is asked in the words of the oldest, and refused for being offline.
        version = station.ocpp_version if station.ocpp_version in REQUESTS else OcppVersion.V16
        return commands.create(
            station=station,
            action=BY_NAME[version, NAME],
            payload=REQUESTS[version](change),
            requested_by=requested_by,
            now=now,
            changes=changes,
        )


def synchronise_automatic(*, now: datetime, changes: Changes) -> list[UUID]:
    """Store the commands for the stations that are to hold what they should by themselves; return their ids.

    Where nothing has changed this compares digests and reads no list.
    """
    rows = _due(locallists.candidates(REQUESTS, now), now)
    if not rows:
        return []
    wanted = locallists.Wanted(now)
    terms = locallists.terms_of(row.chargepoint_id for row in rows)
    different = [
        row.chargepoint_id
        for row in rows
        if not (row.is_known and row.digest == wanted.digest(terms[row.chargepoint_id]))
    ][:MOST_AT_ONCE]
    return _send_each(different, synchronise, now=now, changes=changes, wanted=wanted)


def _due(rows: QuerySet[LocalList], now: datetime) -> list[LocalList]:
    """Leave out the lists that are being sent, and those that were tried in vain lately."""
    running = Command.objects.filter(chargepoint=OuterRef("chargepoint"), action=NAME, status__in=OPEN)
    return [row for row in rows.exclude(Exists(running)) if row.is_due(now)]


def _send_each(
    stations: Sequence[str], send: Callable[..., Command | None], *, now: datetime, changes: Changes, **more: Any
) -> list[UUID]:
    stored = []
    for station in ChargePoint.objects.with_connected(now).filter(pk__in=stations):
        try:
            command = send(station, requested_by=None, now=now, changes=changes, **more)
        except CommandError as error:
            extra = {"chargepoint_id": station.pk}
            logger.info("the local list of %s is not sent: %s", station, error, extra=extra)
        else:
            stored += [command.pk] if command else []
    return stored


def forget_customers(*, now: datetime, changes: Changes) -> list[UUID]:
    """Store the commands that take out of local lists whom their stations have cleared; return their ids (N10.FR.02).

    A station that still tells what it had of a customer is not disturbed.
    """
    telling = Report.objects.filter(
        chargepoint=OuterRef("chargepoint"), kind=ReportKind.CUSTOMER_INFORMATION, status__in=UNDER_WAY
    )
    rows = _due(locallists.reachable(REQUESTS, now).filter(forgets=True).exclude(Exists(telling)), now)
    if not rows:
        return []
    stations = [row.chargepoint_id for row in rows][:MOST_AT_ONCE]
    return _send_each(stations, forget, now=now, changes=changes)


def forget(station: ChargePoint, *, requested_by: User | None, now: datetime, changes: Changes) -> Command | None:
    """Store the command that takes out of a station's list whom it has cleared, and changes nothing else of it.

    A list that nobody knows is sent as a whole. None where there is nothing to take out. Raises a CommandError.
    """

    def difference(row: LocalList) -> ListChange | None:
        if row.automatic or not row.is_known:
            return _lacking(row, locallists.Wanted(now))
        return locallists.removal(row)

    return _send(station, difference, requested_by=requested_by, now=now, changes=changes)
