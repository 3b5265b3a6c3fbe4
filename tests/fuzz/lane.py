"""A station's receive lane without its ends: no socket, and a database only where one is wanted.

What is fuzzed is the connection as it serves stations: frames, repairs, schemas, handlers, effects.
"""

import contextlib
import contextvars
import gc
import json
import logging
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from api import examples
from chargers.changes import Changes
from chargers.choices import RegistrationStatus
from chargers.values import StationProfile
from csms import rpc
from csms.connection import Connection, Late
from csms.errors import IntakeUnavailable
from csms.intake import Work
from csms.repairs import Note, clean
from csms.versions.base import Step, Version
from csms.versions.v16 import VERSION as V16
from csms.versions.v201 import VERSION as V201
from tasks import schemas
from tasks.actions import ACTIONS
from tasks.models import Command
from tasks.proxies import Origin
from tests.fuzz.payloads import completed, fitting

STATION = "FUZZ1"
# What a frame may take of one core, however many others want it.
MAX_SECONDS = 0.1
# A slow run is tried so often: the first may pay for something once, or for the garbage of others.
TRIES = 3
# What a database holds in a bigint.
INTEGERS = range(-(2**63), 2**63)

VERSIONS: Sequence[Version] = (V16, V201)


class Finding(AssertionError):
    """A frame after which something does not hold that should."""


@dataclass(frozen=True)
class Manner:
    """How a frame is read: as which version, whether strictly, with JSON mended or not, on which side of the clock."""

    version: Version
    strict: bool
    repair: bool
    zone: str

    @classmethod
    def of(cls, number: int) -> "Manner":
        """Return one for a byte; most of them are tolerant ones."""
        version = VERSIONS[number & 1]
        return cls(version, number & 6 == 6, number & 8 == 0, "Europe/Athens" if number & 16 else "")


class _Socket:
    class loop:
        time = staticmethod(time.monotonic)

    origin = Origin(None, secure=False)


class _Done:
    """A task that is over."""

    def done(self) -> bool:
        return True


class _Answered(OrderedDict[str, Late]):
    """Takes the answer to any command, whose id is its name."""

    def __init__(self, version: Version) -> None:
        super().__init__()
        for row in (row for row in ACTIONS if row.version == version.name):
            schema = schemas.schema(row.version, row.name, "Request")
            body = {name: value for name, value in examples.body(row).items() if name not in ("chargepoint_id", "sync")}
            payload = completed(schemas.to_wire(row.version, row.name, body, row.fills), fitting(schema, whole=False))
            key = uuid.uuid5(uuid.NAMESPACE_OID, row.name)
            command = Command(pk=key, chargepoint_id=STATION, action=row.name, payload=payload)
            self[row.name] = Late(command, Step(row.name, payload))

    def pop(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)


class Ends:
    """What the lane rests on: keeps the work that would be stored, and stores it where `stores`.

    Without a database everybody is told that it is away, which is an answer too.
    """

    def __init__(self, *, stores: bool) -> None:
        self.stores = stores
        self.work: list[Work] = []
        self.intake = self.reader = self.outside = self.large = self

    async def submit(self, *work: Work) -> list[Any]:
        self.work += work
        if not self.stores:
            raise IntakeUnavailable("there is none")
        with transaction.atomic():
            results = [service([value], Changes())[0] for service, value in work]
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    @contextlib.contextmanager
    def forgetting(self) -> Iterator[None]:
        """Take back what is stored meanwhile, so that a finding does not depend on what went before."""
        if not self.stores:
            yield
            return
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    async def ask(self, ask: Any, value: Any) -> Any:
        return None

    @contextlib.asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        yield

    async def read(self, read: Callable[[], Any]) -> Any:
        return read()

    def spawn(self, work: Coroutine[Any, Any, None]) -> Any:
        finish(work)
        return _Done()

    def count_deviation(self, station: str, note: Note) -> None:
        checked(note)

    async def tell_ended(self, command_id: Any, status: str) -> None:
        return


class _Errors(logging.Handler):
    """Remembers what was logged as an error: what is caught somewhere is a finding all the same."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Lane(Connection):
    """A connection whose frames are kept in place of being sent."""

    def __init__(self, manner: Manner, ends: Ends) -> None:
        settings.OCPP_VALIDATION = "strict" if manner.strict else "tolerant"
        profile = StationProfile(STATION, RegistrationStatus.ACCEPTED, manner.version.name, manner.zone, True)
        super().__init__(_Socket(), ends, profile, manner.version)  # type: ignore[arg-type]
        self.manner = manner
        self.ends = ends
        self.sent: list[bytes] = []
        self.answers = _Answered(manner.version)

    async def _send(self, frame: bytes) -> None:
        self.sent.append(frame)

    async def _ask(self, step: Step) -> None:
        self.ends.work.append((_following, step))

    def take(self, raw: bytes) -> None:
        """Serve a frame. Raises a Finding."""
        settings.OCPP_REPAIR_JSON = self.manner.repair
        # As on a connection that has just been made.
        self.registration, self.sent, self.ends.work = RegistrationStatus.ACCEPTED, [], []
        self._replays = self._noted = self._slow = None
        self._late = self.answers
        with _listening() as errors, self.ends.forgetting():
            # In a context of its own, as each connection has one.
            contextvars.copy_context().run(finish, self._receive(raw))
        if errors.records:
            record = errors.records[0]
            cause = record.exc_info[1] if record.exc_info else None
            raise Finding(f"{record.getMessage()}: {cause!r}") from cause
        self._check_answers(raw)
        for _, value in self.ends.work:
            checked(value)

    def _check_answers(self, raw: bytes) -> None:
        if len(self.sent) > 1:
            raise Finding(f"{len(self.sent)} answers")
        for frame in self.sent:
            message = json.loads(frame)
            if message[0] == rpc.CALL_ERROR:
                if len(message) != 5 or len(message[3]) > 255 or message[4] != {}:
                    raise Finding(f"a CALLERROR that is none: {message}")
            elif message[0] != rpc.CALL_RESULT or len(message) != 3:
                raise Finding(f"an answer that is none: {message}")
            if message[1] != rpc.NO_ID and not isinstance(message[1], str | int):
                raise Finding(f"an id that is none: {message}")


def _following(values: Sequence[Any], changes: Changes) -> Sequence[Any]:
    """Stand for the CALL that follows an answer."""
    return values


@contextlib.contextmanager
def _listening() -> Iterator[_Errors]:
    errors = _Errors()
    loggers = [logging.getLogger(name) for name in ("csms", "chargers", "tasks")]
    for each in loggers:
        each.addHandler(errors)
    try:
        yield errors
    finally:
        for each in loggers:
            each.removeHandler(errors)


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise Finding("it waits for something")


def timed(lane: Lane, raw: bytes) -> float:
    """Serve a frame and return the seconds of a core that it took. Raises a Finding where those are too many."""
    least = math.inf
    for _ in range(TRIES):
        started = time.thread_time()
        lane.take(raw)
        least = min(least, time.thread_time() - started)
        if least <= MAX_SECONDS:
            return least
        gc.collect()
    raise Finding(f"it takes {least:.3f} s to serve {len(raw)} bytes")


def checked(value: Any) -> None:
    """Raise a Finding where a value holds what no database takes, on its way to one."""
    match value:
        case str() if value != clean(value):
            raise Finding(f"control characters are stored: {value!r}")
        case int() if value not in INTEGERS:
            raise Finding(f"a number without end is stored: {value}")
        case float() | Decimal() if not math.isfinite(value):
            raise Finding(f"no number is stored: {value}")
        case datetime() if value.tzinfo is None:
            raise Finding(f"a time without a zone is stored: {value}")
        case dict():
            _checked_json(value)
        case list() | tuple() | set() | frozenset():
            for each in value:
                checked(each)
        case _ if is_dataclass(value):
            for field in fields(value):
                checked(getattr(value, field.name))


def _checked_json(value: Any) -> None:
    """Look through JSON, which has whole numbers of any size."""
    match value:
        case dict():
            for name, each in value.items():
                checked(name)
                _checked_json(each)
        case list():
            for each in value:
                _checked_json(each)
        case str() | float():
            checked(value)
