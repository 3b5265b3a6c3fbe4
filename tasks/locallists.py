"""Bringing the local lists of stations to what they should hold."""

import logging
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef
from django.db.transaction import atomic

from chargers.changes import Changes
from chargers.choices import OcppVersion
from chargers.models import ChargePoint
from chargers.services import locallists
from tasks import commands
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.models import OPEN, Command
from tasks.v16.locallists import claim, request

logger = logging.getLogger(__name__)

ACTION = BY_NAME[OcppVersion.V16, "SendLocalList"]
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
        most = locallists.max_lengths([station.pk]).get(station.pk)
        change = locallists.change(row, (wanted or locallists.Wanted(now)).entries(most))
        if change is None:
            return None
        return commands.create(
            station=station,
            action=ACTION,
            payload=request(change),
            requested_by=requested_by,
            now=now,
            changes=changes,
        )


def synchronise_automatic(*, now: datetime, changes: Changes) -> list[UUID]:
    """Store the commands for the stations that are to hold what they should by themselves; return their ids.

    Where nothing has changed this compares digests and reads no list.
    """
    running = Command.objects.filter(chargepoint=OuterRef("chargepoint"), action=ACTION.name, status__in=OPEN)
    rows = [row for row in locallists.candidates(now).exclude(Exists(running)) if row.is_due(now)]
    if not rows:
        return []
    wanted = locallists.Wanted(now)
    most = locallists.max_lengths(row.chargepoint_id for row in rows)
    different = [
        row.chargepoint_id
        for row in rows
        if not (row.is_known and row.digest == wanted.digest(most.get(row.chargepoint_id)))
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
