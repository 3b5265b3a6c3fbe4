"""What a version is made of.

Serving a station's message has three steps: `read` turns the payload into a value of
``chargers.values``, a service of the domain takes it, `answer` turns the result into the payload
that goes back. What an answer to our own CALL changes is an effect: more work for the intake. A
command that may take more than one CALL has a script.
"""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any, NamedTuple
from uuid import UUID

from chargers.choices import LimitationKind, OcppVersion
from chargers.services import limitations
from chargers.values import NO_FACTS, ClientCertificate, Facts, LimitationReport
from csms import repairs, times
from csms.errors import ErrorCode
from csms.intake import Service, Work
from csms.repairs import Note
from csms.rpc import excerpt
from tasks.models import CommandStatus

Payload = dict[str, Any]

MAX_RESERVATION_ID = 2**31 - 1
# Deviations of one message that are kept: those that its repairs found, and as many again.
MAX_NOTES = 2 * repairs.MAX_NOTES


@dataclass(slots=True)
class Context:
    """What a handler knows besides the payload; it adds the deviations it overlooks."""

    station: str
    version: OcppVersion
    received_at: datetime
    zone: str = ""
    triggered: bool = False
    notes: list[Note] = field(default_factory=list)
    # Whether a handler asked somebody outside, and what was told: None where nothing came of it.
    consulted: bool = False
    told: Any = None
    # The command whose answer is read, where it is one, and whether the time for it was over.
    command_id: UUID | None = None
    late: bool = False
    # What the station proved its identity with, where it was a certificate, and where it connects from.
    certificate: ClientCertificate | None = None
    address: str | None = None

    def note(self, kind: str, example: object) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append(Note(kind, excerpt(example, 200)))

    def time(self, text: Any, member: str = "timestamp") -> times.Moment:
        """Read a time of the station and note what is wrong with it."""
        moment = times.read(text, self.received_at, self.zone)
        if moment.deviation:
            self.note(moment.deviation, f"{member}: {text}")
        return moment

    def reservation(self, number: float) -> int | None:
        """Read which reservation a start uses up; 0 or less stands for none (TX-16)."""
        if number <= MAX_RESERVATION_ID and number == int(number):
            return int(number) if number > 0 else None
        self.note("reservation-unknown", number)
        return None


class Step(NamedTuple):
    """A CALL to a station."""

    action: str
    payload: Payload


class Question(NamedTuple):
    """What a script wants to know of the database: a service that only reads, and a value of it.

    The answer is its result; it may take long.
    """

    service: Service
    value: Any


class Consultation(NamedTuple):
    """Whom a handler asks outside the platform, before anything is stored: somebody who may be slow.

    `wanted` says of a payload, which no schema has checked yet, whether that is needed. `ask` gets
    the handler's value, in a thread of its own, and returns what is told; it may raise anything.
    """

    wanted: Callable[[Any], bool]
    ask: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Handler:
    """How one action of a station is served.

    A handler without a service answers by itself. `records` marks an action whose repeat, with
    the same message id and payload, is answered as before and stored no second time (FR-09).
    `optional` names required members it can do without, in a tolerant platform. `then` says what
    the station is asked for once it has its answer. What `consults` was told stands in the
    context for the answer.
    """

    read: Callable[[Payload, Context], Any]
    service: Service | None
    answer: Callable[[Any, Context], Payload]
    records: bool = False
    optional: Collection[str] = ()
    then: Callable[[Any, Context], Sequence[Step]] | None = None
    consults: Consultation | None = None


Effect = Callable[[Payload, Payload, Context], Sequence[Work]]


class CallFailed(Exception):
    """A CALL without a usable answer: a CALLERROR, silence, or an answer that violates its schema.

    `error` is an object with ``code``, ``description`` and ``details``, as commands keep it.
    """

    def __init__(self, status: CommandStatus, error: Payload, response: Any = None) -> None:
        self.status = status
        self.error = error
        self.response = response
        super().__init__(f"{error['code']}: {error['description']}")

    @property
    def code(self) -> str:
        return str(self.error["code"])


@dataclass(slots=True)
class Talk:
    """What a script knows of the station, and what it learns of it on the way."""

    station: str = ""
    facts: Facts = NO_FACTS
    learnt: list[tuple[LimitationKind, str, str, bool]] = field(default_factory=list)

    def cannot(self, kind: LimitationKind, subject: str, reason: str, *, certain: bool = True) -> None:
        """Remember that the station is unable to do something; an empty reason says that it is able."""
        self.learnt.append((kind, subject, reason, certain))


# Yields the CALLs that a command takes, at least one, and gets each answer back, or a
# CallFailed thrown in; returns what the command is answered. What each answer changes is the
# matter of the effect of that action. In between it may yield a Question, and gets its result.
Script = Callable[[Payload, Talk], Generator[Step | Question, Any, Payload]]


def limitation(
    context: Context, kind: LimitationKind, subject: str, reason: str = "", *, certain: bool = False
) -> Work:
    """Return the work that remembers what a station is unable to do, or without a reason that it is able."""
    return limitations.record, LimitationReport(context.station, kind, subject, reason, context.received_at, certain)


def _greeting(message: str, facts: Facts) -> Sequence[Payload]:
    return [{"requestedMessage": message}]


@dataclass(frozen=True, slots=True)
class Version:
    """An OCPP version: its words, its handlers, what stations' answers change, and its scripts.

    `before_accepted` names the actions that are served whatever a station's registration status;
    `triggered` the actions in which a message comes that is asked for by another name; `reported`
    the commands that bring a report even before the station is accepted, and the messages that do;
    `greetings` returns the requests of TriggerMessage by which a station is asked for a message;
    `dispensable` the required members of answers that can be done without, in a tolerant platform;
    `answers_unreadable` says that a CALLERROR also goes to what has no id, or is of no known type.
    """

    name: OcppVersion
    handlers: Mapping[str, Handler]
    effects: Mapping[str, Effect]
    scripts: Mapping[str, Script]
    before_accepted: Collection[str]
    error_codes: Mapping[ErrorCode, str]
    triggered: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reported: Mapping[str, str] = field(default_factory=dict)
    greetings: Callable[[str, Facts], Sequence[Payload]] = _greeting
    dispensable: Mapping[str, Collection[str]] = field(default_factory=dict)
    answers_unreadable: bool = True

    def triggered_by(self, message: str) -> Sequence[str]:
        """Name the actions in which a message comes that is asked for."""
        return self.triggered.get(message, (message,))

    def spell(self, code: ErrorCode) -> str:
        """Spell an error code as this version does; a wrong spelling makes stations repeat (FR-12)."""
        return self.error_codes.get(code, code.value)


def together(modules: Sequence[ModuleType], table: str) -> dict[str, Any]:
    """Put the tables of one name together, of the modules that have one."""
    return {action: each for module in modules for action, each in getattr(module, table, {}).items()}
