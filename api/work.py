"""A unit of work of the HTTP edge: one database transaction, and the news of it afterwards."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.utils import timezone

from chargers.changes import Changes
from tasks import updates


class Work(Changes):
    """Changes that may also be deletions."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: updates.Batch = []

    def note_deleted(self, topic: str, keys: Iterable[Any]) -> None:
        """Keep what listeners shall hear of rows that are about to go, while they can be read."""
        going = Changes()
        for key in keys:
            going.note(topic, key, "deleted")
        self.gone += updates.render(going, timezone.now())


@contextmanager
def unit_of_work() -> Iterator[Work]:
    """Commit what happens inside as one, then tell the listeners."""
    work = Work()
    with transaction.atomic():
        yield work
        transaction.on_commit(lambda: updates.publish(work, work.gone))
