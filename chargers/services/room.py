"""How much is kept of what a station makes up.

A station tells its connectors, its variables and the like itself. What goes beyond any real station
is left out and counted, so that neither a defect nor anybody who means it fills the database. What
is known already is kept up to date.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import prometheus_client
from django.db.models import Count, Model
from django.utils import timezone

from chargers.changes import Changes
from chargers.services import stations
from chargers.values import DeviationNote

Row = TypeVar("Row", bound=Model)

LEFT_OUT = prometheus_client.Counter(
    "ocpp_left_out_total", "Records that were one too many to keep of a station", ["kind"]
)
TOO_MANY = "too-many-records"


def fitting(rows: Sequence[Row], most: int, changes: Changes) -> list[Row]:
    """Return those of stations' new rows, all of one model, that each station has room for.

    It takes one query, however many stations there are.
    """
    if not rows:
        return []
    model = type(rows[0])
    names = {_station(row) for row in rows}
    counts = model._default_manager.filter(chargepoint__in=names).order_by().values_list("chargepoint")
    taken = Counter(dict(counts.annotate(Count("pk"))))
    kept, left = [], Counter[str]()
    for row in rows:
        station = _station(row)
        if taken[station] < most:
            taken[station] += 1
            kept.append(row)
        else:
            left[station] += 1
    if left:
        kind = str(model._meta.verbose_name_plural)
        LEFT_OUT.labels(kind).inc(left.total())
        now, example = timezone.now(), f"{kind} beyond {most}"
        notes = [DeviationNote(station, TOO_MANY, example, now, count) for station, count in left.items()]
        stations.note_deviations(notes, changes)
    return kept


def _station(row: Any) -> str:
    return str(row.chargepoint_id)
