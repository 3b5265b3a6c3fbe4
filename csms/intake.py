"""Intake by group commit: the only way from the event loop to the ORM.

Whatever waits is taken together, stored in one database transaction and answered after its
commit: a station is told that something is stored only when it is. Under load a commit carries
hundreds of units, at rest one, and neither waits for the other.

A batch that fails is rolled back and each unit tried in a transaction of its own, so that one
poisoned value fails alone. When the database is away everything that waits fails together with
IntakeUnavailable; the stations are told InternalError and send it again.
"""

import asyncio
import contextvars
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from chargers.changes import Changes
from csms import metrics
from csms.errors import IntakeUnavailable
from tasks import updates

logger = logging.getLogger(__name__)

Service = Callable[[Sequence[Any], Changes], Sequence[Any]]
Work = tuple[Service, Any]

# A deadlock or a busy lock passes; after this many tries something is wrong with the database.
ATTEMPTS = 3
WATCH_INTERVAL = 0.5


class Unit:
    """Work that is committed together, the future that waits for it, and what its log lines belong to."""

    __slots__ = ("context", "future", "results", "since", "work")

    def __init__(self, work: tuple[Work, ...], future: asyncio.Future[list[Any]], since: float) -> None:
        self.work = work
        self.future = future
        self.since = since
        self.context = contextvars.copy_context()
        self.results: list[Any] | Exception = []


class Intake:
    """Takes units of work from the event loop to a writer thread and their results back.

    An async context manager: leaving it stores what still waits. `publish` gets the live updates
    of each batch on the event loop, after the answers.

    One that `only_reads` is for what takes long: nobody who has something to store waits for it,
    on SQLite either, as it opens no transaction.
    """

    def __init__(self, publish: Callable[[updates.Batch], None], *, only_reads: bool = False) -> None:
        self._publish = publish
        self._transaction = nullcontext if only_reads else transaction.atomic
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._pending: deque[Unit] = deque()
        name = "reader" if only_reads else "intake"
        self._thread = threading.Thread(target=self._write, name=name, daemon=True)
        self._stopped = False
        self.available = True

    async def __aenter__(self) -> "Intake":
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stopped = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, settings.INTAKE_TIMEOUT)
        self._watcher.cancel()
        for unit in self._pending:
            # The database hangs, and nobody watches any more.
            if not unit.future.done():
                unit.future.set_exception(IntakeUnavailable("the node has stopped"))

    async def submit(self, *work: Work) -> list[Any]:
        """Store work in one transaction and return its services' results, in order.

        A service gets every value that waits for it at once; work of one unit is committed
        together or not at all. Raises IntakeUnavailable when the database is away or took too
        long, the first exception among the results of the unit's services, or what a service
        raised for this unit alone.
        """
        if self._stopped:
            raise IntakeUnavailable("the node has stopped")
        unit = Unit(work, self._loop.create_future(), self._loop.time())
        self._pending.append(unit)
        self._queue.put(unit)
        results = await unit.future
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    async def _watch(self) -> None:
        """Give up units that wait too long: a database that hangs must not silence the stations."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            while self._pending and self._pending[0].future.done():
                self._pending.popleft()
            limit = self._loop.time() - settings.INTAKE_TIMEOUT
            overdue = [unit for unit in self._pending if unit.since < limit and not unit.future.done()]
            for unit in overdue:
                unit.future.set_exception(IntakeUnavailable("the database takes too long"))
            if overdue:
                self.available = False
                metrics.UNAVAILABLE.inc(len(overdue))
                logger.error("the database takes too long: %d units of work were given up", len(overdue))

    # From here on, everything runs in the writer thread.

    def _write(self) -> None:
        while (unit := self._queue.get()) is not None:
            batch = [unit]
            stop = False
            while len(batch) < settings.INTAKE_MAX_BATCH:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    stop = True
                    break
                batch.append(following)
            self._store(batch)
            if stop:
                break
        connection.close()

    def _store(self, batch: list[Unit]) -> None:
        batch = _still_wanted(batch)
        if not batch:
            return
        started = time.perf_counter()
        try:
            changes = self._store_together(batch)
        except IntakeUnavailable as error:
            self.available = False
            metrics.UNAVAILABLE.inc(len(batch))
            logger.error("the database is away, %d units of work were given up: %s", len(batch), error)
            for unit in batch:
                unit.results = error
            changes = None
        except Exception as error:
            # Whatever it was: without this thread the node would be dead.
            logger.exception("a batch of %d was given up", len(batch))
            for unit in batch:
                unit.results = error
            changes = None
        else:
            self.available = not all(isinstance(unit.results, IntakeUnavailable) for unit in batch)
        metrics.BATCHES.observe(len(batch))
        metrics.COMMITS.observe(time.perf_counter() - started)
        self._loop.call_soon_threadsafe(_resolve, batch)
        if changes:
            self._tell(changes)

    def _store_together(self, batch: list[Unit]) -> Changes:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                # The services' lines about one belong to it; those about many name their stations themselves.
                return batch[0].context.run(self._commit, batch) if len(batch) == 1 else self._commit(batch)
            except (OperationalError, InterfaceError) as error:
                # Deadlocks and busy locks are worth another try, and so is a connection that
                # was lost while nothing went on.
                logger.warning("a batch of %d was rolled back: %s", len(batch), _first_line(error))
                if not _reconnect():
                    raise IntakeUnavailable(_first_line(error)) from error
                time.sleep(0.01 * attempt)
                batch = _still_wanted(batch)
            except Exception:
                break
        return self._store_alone(batch)

    def _store_alone(self, batch: list[Unit]) -> Changes:
        """Store each unit by itself, so that what fails, fails alone."""
        changes = Changes()
        for unit in batch:
            unit.context.run(self._store_one, unit, changes)
        return changes

    def _store_one(self, unit: Unit, changes: Changes) -> None:
        try:
            changes.merge(self._commit(_still_wanted([unit])))
        except (OperationalError, InterfaceError) as error:
            metrics.UNAVAILABLE.inc()
            unit.results = IntakeUnavailable(_first_line(error))
            _reconnect()
        except Exception as error:
            metrics.POISONED.inc()
            logger.exception("a unit of work failed alone: %s", [service.__name__ for service, _ in unit.work])
            unit.results = error

    def _commit(self, batch: list[Unit]) -> Changes:
        """Run the services of a batch in one transaction, each once with all its values."""
        changes = Changes()
        values: dict[Service, list[Any]] = {}
        for unit in batch:
            for service, value in unit.work:
                values.setdefault(service, []).append(value)
        with self._transaction():
            results = {service: iter(_answers(service, each, changes)) for service, each in values.items()}
        for unit in batch:
            unit.results = [next(results[service]) for service, _ in unit.work]
        return changes

    def _tell(self, changes: Changes) -> None:
        try:
            batch = updates.render(changes, timezone.now())
        except Exception:
            logger.exception("live updates were not made")
            connection.close_if_unusable_or_obsolete()
            return
        self._loop.call_soon_threadsafe(self._publish, batch)


def _still_wanted(batch: list[Unit]) -> list[Unit]:
    """Leave out who stopped waiting: they were told that nothing is stored, and nothing is."""
    return [unit for unit in batch if not unit.future.done()]


def _answers(service: Service, values: list[Any], changes: Changes) -> Sequence[Any]:
    answers = service(values, changes)
    # Found out before the commit: what is stored must be answered.
    assert len(answers) == len(values), f"{len(answers)} results for {len(values)} values"
    return answers


def _reconnect() -> bool:
    """Tell whether the database answers, on a fresh connection if the old one is gone."""
    try:
        if connection.connection is not None and not connection.is_usable():
            connection.close()
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _resolve(batch: list[Unit]) -> None:
    for unit in batch:
        if unit.future.done():
            continue
        if isinstance(unit.results, Exception):
            unit.future.set_exception(unit.results)
        else:
            unit.future.set_result(unit.results)
