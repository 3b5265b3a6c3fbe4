"""What a unit of work changed: noted by the services, told to listeners after the commit."""

from typing import Any

from django.dispatch import Signal

# Sent with `changes` after the commit by the admin site, which knows no listeners; `tasks` passes it on.
committed = Signal()


class Changes:
    """Collects changes of one unit of work, each row once.

    Rows are noted by topic and key and read again after the commit, so that a listener gets what
    REST would answer. Readings are numerous and never change, so their data is kept as it is; so is
    that of rows that were removed, each with its topic and its station.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, str]] = {}
        self.readings: list[dict[str, Any]] = []
        self.removed: list[tuple[str, str, dict[str, Any]]] = []

    def note(self, topic: str, key: Any, event: str = "updated") -> None:
        """Note that the row `key` of `topic` was created, updated or deleted."""
        rows = self.rows.setdefault(topic, {})
        # A row created and then updated in one unit is news to the listeners: created.
        if event != "updated" or key not in rows:
            rows[key] = event

    def note_reading(self, reading: dict[str, Any]) -> None:
        self.readings.append(reading)

    def note_removed(self, topic: str, station: str, data: dict[str, Any]) -> None:
        """Note that a row is no more; `data` is what REST answered last."""
        self.removed.append((topic, station, data))

    def merge(self, other: "Changes") -> None:
        for topic, rows in other.rows.items():
            for key, event in rows.items():
                self.note(topic, key, event)
        self.readings += other.readings
        self.removed += other.removed

    def __bool__(self) -> bool:
        return bool(self.rows or self.readings or self.removed)
