"""Bringing the local lists of stations to what they should hold."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef
from django.db.transaction import atomic

from chargers.changes import Changes
from chargers.choices import OcppVersion
from chargers.models import ChargePoint
from chargers.services import locallists
from chargers.values import ListChange
from tasks import commands
from tasks.action import Payload
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.listupdates import claim
from tasks.models import OPEN, Command
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
    with atomic():
        row = claim(station)
        terms = locallists.terms_of([station.pk])[station.pk]
        change = locallists.change(row, (wanted or locallists.Wanted(now)).entries(terms))
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
    running = Command.objects.filter(chargepoint=OuterRef("chargepoint"), action=NAME, status__in=OPEN)
    rows = [row for row in locallists.candidates(REQUESTS, now).exclude(Exists(running)) if row.is_due(now)]
    if not rows:
        return []
    wanted = locallists.Wanted(now)
    terms = locallists.terms_of(row.chargepoint_id for row in rows)
    different = [
        row.chargepoint_id
        for row in rows
        if not (row.is_known and row.digest == wanted.digest(terms[row.chargepoint_id]))
    ][:MOST_AT_ONCE]
    stored = []
    for station in ChargePoint.objects.with_connected(now).filter(pk__in=different):
        try:
            command = synchronise(station, requested_by=None, now=now, changes=changes, wanted=wanted)
        except CommandError as error:
            extra = {"chargepoint_id": station.pk}
            logger.info("the local list of %s is not sent: %s", station, error, extra=extra)
        else:
            stored += [command.pk] if command else []
    return stored
