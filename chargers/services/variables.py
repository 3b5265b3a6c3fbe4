"""Variables: what stations tell of their settings."""

from collections.abc import Sequence

from chargers.changes import Changes
from chargers.models import Variable
from chargers.values import VariablesReport

# A component and a variable of it, as they are compared.
Name = tuple[str, str]


def record(values: Sequence[VariablesReport], changes: Changes) -> list[None]:
    """Keep what stations told; a variable they no longer know is forgotten."""
    for value in values:
        _record(value)
    return [None] * len(values)


def _record(value: VariablesReport) -> None:
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
    new: dict[Name, Variable] = {}
    changed: dict[Name, Variable] = {}
    for told in value.variables:
        name = _name(told.component, told.variable)
        row = known.get(name)
        if row is None:
            row = new[name] = Variable(chargepoint_id=value.station, component=told.component, variable=told.variable)
        else:
            changed[name] = row
        row.value, row.mutability, row.read_at = told.value, told.mutability, value.at
    Variable.objects.bulk_create(new.values())
    Variable.objects.bulk_update(changed.values(), ["value", "mutability", "read_at"])
    unknown = {_name("", variable) for variable in value.unknown} - changed.keys()
    Variable.objects.filter(pk__in=[known[name].pk for name in unknown if name in known]).delete()


def _name(component: str, variable: str) -> Name:
    """Fold a variable's name for comparison: case does not matter (1.6 section 7.17)."""
    return component.casefold(), variable.casefold()
