"""Monitors of variables, as stations are believed to have them (2.0.1 N02 to N06)."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.conf import settings

from chargers import representation
from chargers.changes import Changes
from chargers.models import VariableMonitor
from chargers.services import removals, room
from chargers.values import MonitorsReport

TOPIC = "variablemonitor"

TOLD = (
    "component",
    "component_instance",
    "evse_id",
    "connectorid",
    "variable",
    "variable_instance",
    "type",
    "value",
    "severity",
    "transaction",
    "told_at",
)


def record(values: Sequence[MonitorsReport], changes: Changes) -> list[None]:
    """Keep the monitors that stations told or took, and forget those that they said to have no longer."""
    for value in values:
        _record(value, changes)
    return [None] * len(values)


def _record(value: MonitorsReport, changes: Changes) -> None:
    rows = VariableMonitor.objects.filter(chargepoint=value.station)
    known = {row.monitor_id: row for row in rows.filter(monitor_id__in=[each.number for each in value.monitors])}
    new: dict[int, VariableMonitor] = {}
    for told in value.monitors:
        row = known.get(told.number) or new.setdefault(
            told.number, VariableMonitor(chargepoint_id=value.station, monitor_id=told.number)
        )
        row.be_about(told.name)
        row.type, row.value, row.severity = told.type, told.value, told.severity
        row.transaction, row.told_at = told.transaction, value.at
    for row in VariableMonitor.objects.bulk_create(
        room.fitting(list(new.values()), settings.OCPP_MAX_RECORDS, changes)
    ):
        changes.note(TOPIC, row.pk, "created")
    VariableMonitor.objects.bulk_update(known.values(), TOLD)
    for row in known.values():
        changes.note(TOPIC, row.pk)
    if value.gone:
        _remove(rows.filter(monitor_id__in=value.gone), changes)


def _remove(rows: Iterable[VariableMonitor], changes: Changes) -> None:
    removals.remove(rows, TOPIC, representation.variablemonitor, changes)


def forget_all(values: Sequence[str], changes: Changes) -> list[None]:
    """Forget the monitors of stations that have been put back to what is built in (N03.FR.04, N03.FR.05)."""
    _remove(VariableMonitor.objects.filter(chargepoint__in=values), changes)
    return [None] * len(values)


def forget_untold(station: str, since: datetime, changes: Changes) -> None:
    """Forget the monitors that a station has not told since: it no longer has them."""
    _remove(VariableMonitor.objects.filter(chargepoint=station, told_at__lt=since), changes)
