"""The intake's writer without its thread: batches are put before it, and what it answers is read off."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import OperationalError, transaction

from chargers.changes import Changes
from csms.intake import Intake, Unit, Work


class _Loop:
    """An event loop that does at once what is asked of it."""

    def call_soon_threadsafe(self, function: Callable[..., object], *arguments: Any) -> None:
        function(*arguments)


class _Future:
    """What somebody waits for, who never stops waiting."""

    def __init__(self) -> None:
        self.told: list[Any] | Exception | None = None

    def done(self) -> bool:
        return self.told is not None

    def set_result(self, results: list[Any]) -> None:
        self.told = results

    def set_exception(self, error: Exception) -> None:
        self.told = error


class Writer(Intake):
    """Stores batches as the writer thread does, in the thread of whoever asks."""

    def __init__(self) -> None:
        super().__init__(lambda batch: None)
        self._loop = _Loop()  # type: ignore[assignment]

    def store(self, batch: Sequence[Work]) -> list[Any]:
        """Store what waits together, a unit a work, and return what each is answered: a result, or an exception."""
        futures = [_Future() for _ in batch]
        self._store([Unit((work,), future, 0.0) for work, future in zip(batch, futures, strict=True)])  # type: ignore[arg-type]
        return [each.told[0] if isinstance(each.told, list) else each.told for each in futures]

    def die_before_commit(self, batch: Sequence[Work]) -> None:
        """Leave what is left of a batch whose writer is killed before the commit: nothing."""
        with transaction.atomic():
            self.store(batch)
            transaction.set_rollback(True)

    def _tell(self, changes: Changes) -> None:
        return


def poison(values: Sequence[Any], changes: Changes) -> list[None]:
    """Fail whatever is stored together with it."""
    raise ValueError("a poisoned value")


class Deadlock:
    """A service that is in the way of others: a batch with it is rolled back some times."""

    def __init__(self, times: int) -> None:
        self.times = times

    @property
    def __name__(self) -> str:
        return type(self).__name__

    def __call__(self, values: Sequence[Any], changes: Changes) -> list[None]:
        if self.times:
            self.times -= 1
            raise OperationalError("deadlock detected")
        return [None] * len(values)
