"""What a command is made of: a row of `tasks.actions`, and a draft on its way to becoming one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User

from chargers.changes import Changes
from chargers.choices import LimitationKind, OcppVersion
from chargers.models import ChargePoint
from tasks.models import Command

Payload = dict[str, Any]

# Notes of actions that move files.
UPLOAD = (
    "A location that is left out is a folder of its own on the platform's file server, by a protocol that the "
    "station takes. How far it is, `/api/logupload/` tells."
)
DOWNLOAD = (
    "The location is a URL, or the path of a file on the platform's file server. Left out, it is "
    "`firmware/<id>/firmware.bin` there, with the id that `/api/firmwareupdate/` tells: put the file there before "
    "the station retrieves it. How far it is, `/api/firmwareupdate/` tells too."
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A command about to be stored: its id, its station, and what was asked for.

    `payload` is the request as far as it was told; `extras` holds the fields that REST knows and
    OCPP does not. With `force` what the station is known to refuse is sent all the same.
    """

    command_id: UUID
    station: ChargePoint
    payload: Payload
    extras: Payload
    now: datetime
    changes: Changes
    requested_by: User | None = None
    force: bool = False


# A kind of `LimitationKind` with its subject.
Need = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """An OCPP action in the direction of the station.

    `renames` maps the field names that older clients send to the schema's. `fills` names required
    members that `prepare` chooses where they are left out, inner ones as ``log.remoteLocation``.
    `extras` are the schemas of fields that only REST knows. `prepare` checks a draft as a whole
    and returns the payload to be sent; it raises InvalidBody or a CommandError. `needs` names what
    a station must be able to do, `instead` says what one that is not may be asked for in its place.
    `unanswered` is told of commands that ended without an answer.
    `while_pending` says whether the specification lets the CSMS send it to a station whose boot
    was answered Pending (OCPP 1.6 section 4.2). `note` is what its documentation says besides.
    """

    version: OcppVersion
    name: str
    summary: str
    renames: Mapping[str, str] = field(default_factory=dict)
    path_aliases: tuple[str, ...] = ()
    fills: tuple[str, ...] = ()
    extras: Mapping[str, Payload] = field(default_factory=dict)
    prepare: Callable[[Draft], Payload] | None = None
    needs: Callable[[Payload], Sequence[Need]] | None = None
    instead: Callable[[ChargePoint], str] | None = None
    unanswered: Callable[[Sequence[Command], datetime, Changes], None] | None = None
    while_pending: bool = True
    note: str = ""

    @property
    def path(self) -> str:
        return self.name.lower()

    def all_needs(self, payload: Payload) -> list[Need]:
        """Name what a station must be able to do, the action itself first."""
        return [(LimitationKind.ACTION, self.name), *(self.needs(payload) if self.needs else ())]
