"""Rows that are deleted, and whose listeners are told what they were."""

from collections.abc import Callable, Iterable
from typing import Any

from chargers.changes import Changes


def remove(rows: Iterable[Any], topic: str, represent: Callable[[Any], dict[str, Any]], changes: Changes) -> list[Any]:
    """Delete stations' rows, all of one model, and return their keys."""
    going = {row.pk: row for row in rows}
    for row in going.values():
        changes.note_removed(topic, row.chargepoint_id, represent(row))
    if going:
        type(row)._default_manager.filter(pk__in=going).delete()
    return list(going)
