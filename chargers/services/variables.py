"""Variables: what stations tell of their settings."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Lower

from chargers.changes import Changes
from chargers.models import Variable
from chargers.services import connectors, room, stations
from chargers.values import DeviationNote, VariableName, VariableReport, VariablesReport

NOT_KEPT = "value-not-kept"
# The component of the device model that stands for a connector (2.0.1 appendix 3).
CONNECTOR = "connector"
TOLD = ("value", "asked", "mutability", "persistent", "constant", "characteristics", "reboot_required", "read_at")


def record(values: Sequence[VariablesReport], changes: Changes) -> list[None]:
    """Keep what stations told; a variable they no longer know is forgotten.

    A station that took a value and tells another is noted (CF-07, CF-08): what it tells counts. A
    connector that it tells of is one that it has (V2-09).
    """
    for value in values:
        if lost := _record(value, changes):
            stations.note_deviations([DeviationNote(value.station, NOT_KEPT, "; ".join(lost), value.at)], changes)
    connectors.ensure(
        (
            (value.station, told.evse_id, told.connector_id)
            for value in values
            for told in value.variables
            if told.component.casefold() == CONNECTOR and told.connector_id
        ),
        changes,
    )
    return [None] * len(values)


def _record(value: VariablesReport, changes: Changes) -> list[str]:
    known = _known(value.station, [*(told.name for told in value.variables), *value.unknown])
    lost: list[str] = []
    new: dict[VariableName, Variable] = {}
    changed: dict[VariableName, Variable] = {}
    for told in value.variables:
        name = told.name.folded
        row = known.get(name)
        if row is None:
            row = new.setdefault(name, Variable.named(value.station, told.name))
        else:
            changed[name] = row
        if not value.asked and row.asked is not None and not _same(row.asked, told.value or ""):
            lost.append(f"{told.variable}: {row.asked[:100]} became {(told.value or '')[:100]}")
        row.asked = told.value if value.asked else None
        row.value, row.reboot_required, row.read_at = told.value, told.reboot_required, value.at
        _describe(row, told)
    Variable.objects.bulk_create(room.fitting(list(new.values()), settings.OCPP_MAX_RECORDS, changes))
    Variable.objects.bulk_update(changed.values(), TOLD)
    unknown = {name.folded for name in value.unknown} - changed.keys()
    Variable.objects.filter(pk__in=[known[name].pk for name in unknown if name in known]).delete()
    return lost


def _describe(row: Variable, told: VariableReport) -> None:
    """Keep what a variable is like, as far as that was told."""
    row.mutability = row.mutability if told.mutability is None else told.mutability
    row.persistent = row.persistent if told.persistent is None else told.persistent
    row.constant = row.constant if told.constant is None else told.constant
    row.characteristics = row.characteristics if told.characteristics is None else dict(told.characteristics)


def _known(station: str, names: Collection[VariableName]) -> dict[VariableName, Variable]:
    """Return the rows that a station has of variables of these names, and maybe of others, by their names folded."""
    exact = {name.variable for name in names}
    # The database may fold less than Python does.
    rows = Variable.objects.annotate(folded=Lower("variable")).filter(
        Q(folded__in={each.casefold() for each in exact}) | Q(variable__in=exact), chargepoint=station
    )
    return {row.name.folded: row for row in rows}


def forget_untold(station: str, since: datetime) -> None:
    """Forget the variables of a station's device model that it has not told since: it no longer has them."""
    Variable.objects.filter(chargepoint=station, read_at__lt=since).exclude(component="").delete()


def _same(asked: str, told: str) -> bool:
    """Tell whether two values mean the same: case, blanks and the ways to write true do not matter."""
    return _plain(asked) == _plain(told)


def _plain(value: str) -> str:
    plain = "".join(value.split()).casefold()
    return {"true": "1", "false": "0"}.get(plain, plain)
