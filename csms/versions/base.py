"""What a version is made of.

Serving a station's message has three steps: `read` turns the payload into a value of
``chargers.values``, a service of the domain takes it, `answer` turns the result into the payload
that goes back. What an answer to our own CALL changes is an effect: more work for the intake.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chargers.choices import OcppVersion
from csms import times
from csms.errors import ErrorCode
from csms.intake import Service, Work
from csms.repairs import Note
from csms.rpc import excerpt

Payload = dict[str, Any]

MAX_RESERVATION_ID = 2**31 - 1


@dataclass(slots=True)
class Context:
    """What a handler knows besides the payload; it adds the deviations it overlooks."""

    station: str
    received_at: datetime
    zone: str = ""
    triggered: bool = False
    notes: list[Note] = field(default_factory=list)

    def note(self, kind: str, example: object) -> None:
        self.notes.append(Note(kind, excerpt(example, 200)))

    def time(self, text: Any, member: str = "timestamp") -> times.Moment:
        """Read a time of the station and note what is wrong with it."""
        moment = times.read(text, self.received_at, self.zone)
        if moment.deviation:
            self.note(moment.deviation, f"{member}: {text}")
        return moment

    def reservation(self, number: float) -> int | None:
        """Read which reservation a start uses up; 0 or less stands for none (TX-16)."""
        if isinstance(number, int) and number <= MAX_RESERVATION_ID:
            return number if number > 0 else None
        self.note("reservation-unknown", number)
        return None


@dataclass(frozen=True, slots=True)
class Handler:
    """How one action of a station is served.

    A handler without a service answers by itself. `records` marks an action whose repeat, with
    the same message id and payload, is answered as before and stored no second time (FR-09).
    `optional` names required members it can do without, in a tolerant platform.
    """

    read: Callable[[Payload, Context], Any]
    service: Service | None
    answer: Callable[[Any, Context], Payload]
    records: bool = False
    optional: Collection[str] = ()


Effect = Callable[[Payload, Payload, Context], Sequence[Work]]


@dataclass(frozen=True, slots=True)
class Version:
    """An OCPP version: its words, its handlers, and what stations' answers change.

    `before_accepted` names the actions that are served whatever a station's registration status.
    """

    name: OcppVersion
    handlers: Mapping[str, Handler]
    effects: Mapping[str, Effect]
    before_accepted: Collection[str]
    error_codes: Mapping[ErrorCode, str]

    def spell(self, code: ErrorCode) -> str:
        """Spell an error code as this version does; a wrong spelling makes stations repeat (FR-12)."""
        return self.error_codes.get(code, code.value)
