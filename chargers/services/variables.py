"""Variables: what stations tell of their settings."""

from collections.abc import Sequence

from chargers.changes import Changes
from chargers.models import Variable
from chargers.values import VariableReport, VariablesReport


def record(values: Sequence[VariablesReport], changes: Changes) -> list[None]:
    """Keep what stations told; a variable they no longer know is forgotten."""
    for value in values:
        for told in value.variables:
            _keep(value, told)
        Variable.objects.filter(chargepoint=value.station, component="", variable__in=value.unknown).delete()
    return [None] * len(values)


def _keep(value: VariablesReport, told: VariableReport) -> None:
    Variable.objects.update_or_create(
        chargepoint_id=value.station,
        component=told.component,
        variable=told.variable,
        defaults={"value": told.value, "mutability": told.mutability, "read_at": value.at},
    )
