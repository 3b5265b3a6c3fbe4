"""Variables: what stations tell of their settings."""

from collections.abc import Sequence

from chargers.changes import Changes
from chargers.models import Variable
from chargers.services import stations
from chargers.values import DeviationNote, VariablesReport

NOT_KEPT = "value-not-kept"

# A component and a variable of it, as they are compared.
Name = tuple[str, str]


def record(values: Sequence[VariablesReport], changes: Changes) -> list[None]:
    """Keep what stations told; a variable they no longer know is forgotten.

    A station that took a value and tells another is noted (CF-07, CF-08): what it tells counts.
    """
    for value in values:
        if lost := _record(value):
            stations.note_deviations([DeviationNote(value.station, NOT_KEPT, "; ".join(lost), value.at)], changes)
    return [None] * len(values)


def _record(value: VariablesReport) -> list[str]:
    known = {
        _name(row.component, row.variable): row
        for row in Variable.objects.filter(
            chargepoint=value.station,
            component_instance="",
            evse_id=0,
            connectorid=0,
            variable_instance="",
            attribute="Actual",
        )
    }
    lost: list[str] = []
    new: dict[Name, Variable] = {}
    changed: dict[Name, Variable] = {}
    for told in value.variables:
        name = _name(told.component, told.variable)
        row = known.get(name)
        if row is None:
            row = new[name] = Variable(chargepoint_id=value.station, component=told.component, variable=told.variable)
        else:
            changed[name] = row
        if not value.asked and row.asked is not None and not _same(row.asked, told.value or ""):
            lost.append(f"{told.variable}: {row.asked[:100]} became {(told.value or '')[:100]}")
        row.asked = told.value if value.asked else None
        row.value, row.mutability, row.read_at = told.value, told.mutability, value.at
    Variable.objects.bulk_create(new.values())
    Variable.objects.bulk_update(changed.values(), ["value", "asked", "mutability", "read_at"])
    unknown = {_name("", variable) for variable in value.unknown} - changed.keys()
    Variable.objects.filter(pk__in=[known[name].pk for name in unknown if name in known]).delete()
    return lost


def _same(asked: str, told: str) -> bool:
    """Tell whether two values mean the same: case, blanks and the ways to write true do not matter."""
    return _plain(asked) == _plain(told)


def _plain(value: str) -> str:
    plain = "".join(value.split()).casefold()
    return {"true": "1", "false": "0"}.get(plain, plain)


def _name(component: str, variable: str) -> Name:
    """Fold a variable's name for comparison: case does not matter (1.6 section 7.17)."""
    return component.casefold(), variable.casefold()
