"""Connectors: learnt from what stations report."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.conf import settings

from chargers.changes import Changes
from chargers.choices import AvailabilityStatus
from chargers.models import Connector
from chargers.services import room
from chargers.values import AvailabilityChange

TOPIC = "connector"

# A station, an EVSE of it, a connector of that.
Place = tuple[str, int, int]


def ensure(places: Iterable[Place], changes: Changes) -> dict[Place, Connector]:
    """Return the connectors at `places`, making those that are new; EVSE 0 has none, nor one that is too many."""
    wanted = {place for place in places if place[1] > 0}
    if not wanted:
        return {}
    known = _at(wanted)
    if missing := wanted - known.keys():
        new = [
            Connector(chargepoint_id=station, evse_id=evse, connectorid=number)
            for station, evse, number in sorted(missing)
        ]
        Connector.objects.bulk_create(
            room.fitting(new, settings.OCPP_MAX_CONNECTORS, changes),
            # Another node may just have made it.
            ignore_conflicts=True,
        )
        created = _at(missing)
        for connector in created.values():
            changes.note(TOPIC, connector.pk, "created")
        known |= created
    return known


def only_ones(places: Iterable[Place]) -> dict[Place, Connector]:
    """Return the connectors of EVSEs that are known to have but one, whatever connector the places name."""
    wanted = set(places)
    on_evse: dict[tuple[str, int], list[Connector]] = defaultdict(list)
    for row in Connector.objects.filter(chargepoint__in={station for station, _, _ in wanted}):
        on_evse[row.chargepoint_id, row.evse_id].append(row)
    return {place: rows[0] for place in wanted if len(rows := on_evse[place[:2]]) == 1}


def _at(places: set[Place]) -> dict[Place, Connector]:
    rows = Connector.objects.filter(chargepoint__in={station for station, _, _ in places})
    found = {(row.chargepoint_id, row.evse_id, row.connectorid): row for row in rows}
    return {place: found[place] for place in places if place in found}


def set_availability(values: Sequence[AvailabilityChange], changes: Changes) -> list[None]:
    """Keep what operators made of connectors: in service or out of it."""
    for value in values:
        rows = Connector.objects.filter(chargepoint=value.station)
        if value.evse_id:
            rows = rows.filter(evse_id=value.evse_id)
            if value.connector_id:
                rows = rows.filter(connectorid=value.connector_id)
            if not rows.exists():
                # Whoever changes it knows it, though it has not reported yet.
                ensure([(value.station, value.evse_id, value.connector_id or 1)], changes)
        status = AvailabilityStatus.OPERATIVE if value.operative else AvailabilityStatus.INOPERATIVE
        for key in rows.exclude(availability_status=status).values_list("pk", flat=True):
            changes.note(TOPIC, key)
        rows.update(availability_status=status)
    return [None] * len(values)
