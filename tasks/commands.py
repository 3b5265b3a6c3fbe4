"""The life of a command: asked for, relayed, sent, ended. The row is the truth.

Functions for the web process and the worker come first; those that the csms calls through its
intake take a batch and come last.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.db.transaction import atomic
from django.utils import timezone

from chargers.changes import Changes
from chargers.choices import OcppVersion, RegistrationStatus
from chargers.models import ChargePoint
from chargers.secrets import masked
from chargers.services import limitations
from tasks import broker, schemas
from tasks.action import Action, Draft, Payload
from tasks.actions import BY_NAME
from tasks.errors import NotAccepted, NotCancellable, StationOffline, StationUnable, VersionMismatch
from tasks.models import OPEN, TOPIC, UNFINISHED, Command, CommandStatus

logger = logging.getLogger(__name__)

Idle = Callable[[], AbstractContextManager[None]]

# What a node may need beyond the station's time before its result is here.
GRACE = timedelta(seconds=2)

NEVER_SENT = "never sent: others were before it"


def check_sendable(station: ChargePoint, action: Action) -> None:
    """Raise the CommandError that says why `station`, read with ``connected``, cannot get it now."""
    if not station.connected:
        raise StationOffline(f"{station} is not connected")
    if station.ocpp_version != action.version:
        raise VersionMismatch(f"{station} speaks {station.ocpp_version}, not {action.version}")
    if station.registration_status == RegistrationStatus.REJECTED or (
        station.registration_status == RegistrationStatus.PENDING and not action.while_pending
    ):
        raise NotAccepted(f"{station} is {station.registration_status}: {action.name} must not be sent to it")


def check_able(station: ChargePoint, action: Action, payload: Payload) -> None:
    """Raise StationUnable where the station is known to refuse what is asked of it."""
    if known := limitations.certain(station.pk, action.all_needs(payload)):
        instead = action.instead(station) if action.instead else ""
        raise StationUnable(
            f"{station} does not do this ({known.get_kind_display()} {known.subject}): {known.reason}, "
            f"last on {known.last_seen:%Y-%m-%d}. {instead}With `force` it is asked all the same."
        )


def create(
    *,
    station: ChargePoint,
    action: Action,
    payload: Payload,
    requested_by: User | None,
    now: datetime,
    changes: Changes,
    extras: Payload | None = None,
    force: bool = False,
) -> Command:
    """Store a command for a station that can get it; relaying it is the caller's next step.

    `extras` are the fields of the request that OCPP does not know. Raises a CommandError, or
    InvalidBody where the request makes no sense as a whole.
    """
    check_sendable(station, action)
    draft = Draft(uuid4(), station, payload, extras or {}, now, changes, requested_by, force)
    if action.prepare:
        draft = replace(draft, payload=action.prepare(draft))
    if action.fills:
        schemas.check(action.version, action.name, draft.payload)
    if not force:
        check_able(station, action, draft.payload)
    command = Command.objects.create(
        task_id=draft.command_id,
        chargepoint=station,
        ocpp_version=action.version,
        action=action.name,
        payload=draft.payload,
        requested_by=requested_by,
        created_at=now,
        expires_at=now + timedelta(seconds=settings.OCPP_TIMEOUT) + GRACE,
    )
    changes.note(TOPIC, command.pk, "created")
    _log_request(command, requested_by.get_username() if requested_by else "the platform")
    return command


def _log_request(command: Command, by: str) -> None:
    logger.info("%s: %s is asked for by %s", command.chargepoint_id, command.action, by, extra=_extra(command))


def _extra(command: Command) -> dict[str, Any]:
    """Return what log lines about a command belong to."""
    return {"chargepoint_id": command.chargepoint_id, "command_id": command.pk}


def relay(command_id: UUID, *, now: datetime, changes: Changes) -> None:
    """Hand a queued command to the node that holds its station, or end it as offline."""
    command = Command.objects.select_related("chargepoint__node").filter(pk=command_id).first()
    if command is None or command.status != CommandStatus.QUEUED:
        return
    node = command.chargepoint.node if command.chargepoint else None
    if node is None or not node.is_alive(now):
        end(
            command_id,
            CommandStatus.OFFLINE,
            now=now,
            changes=changes,
            reason="the station is not connected",
            was=CommandStatus.QUEUED,
        )
        return
    broker.hand_to_node(node.node_id, command_id)
    extra = _extra(command)
    logger.info("%s: %s is handed to csms node %s", command.chargepoint_id, command.action, node.node_id, extra=extra)


def end(
    command_id: UUID,
    status: CommandStatus,
    *,
    now: datetime,
    changes: Changes,
    reason: str = "",
    was: CommandStatus | None = None,
) -> bool:
    """End a command without an answer, if it is still open; say whether it was.

    `was` is what the caller saw: a command that has been sent meanwhile stays open.
    """
    error = {"code": status.value, "description": reason, "details": {}} if reason else None
    still_so = Command.objects.filter(pk=command_id, status__in=(was,) if was else OPEN)
    # Together: what a command was to bring about must not wait for ever for one that is over.
    with atomic():
        ended = still_so.update(status=status, finished_at=now, error=error)
        if ended:
            changes.note(TOPIC, command_id)
            _let_go([command_id], now, changes)
    if ended:
        _tell_ended(command_id, status)
    return bool(ended)


def _let_go(ended: Sequence[UUID], now: datetime, changes: Changes) -> None:
    """Take the secrets out of commands that have ended, and tell who prepared them of those without an answer."""
    unanswered: dict[Action, list[Command]] = {}
    for command in Command.objects.filter(pk__in=ended):
        if (payload := masked(command.payload)) != command.payload:
            Command.objects.filter(pk=command.pk).update(payload=payload)
        action = BY_NAME.get((command.ocpp_version, command.action))
        if action and action.unanswered and command.status != CommandStatus.ANSWERED:
            unanswered.setdefault(action, []).append(command)
    for action, rows in unanswered.items():
        assert action.unanswered is not None
        action.unanswered(rows, now, changes)


def _tell_ended(command_id: UUID, status: CommandStatus) -> None:
    try:
        broker.tell_ended(command_id, status)
    except broker.RedisError:
        # Whoever waits reads the row again by itself.
        extra = {"command_id": command_id}
        logger.warning("cannot tell the end of command %s: redis does not answer", command_id, extra=extra)


def cancel(command: Command, *, now: datetime, changes: Changes) -> None:
    """Cancel a command that has not been sent. Raises NotCancellable."""
    cancelled = end(command.pk, CommandStatus.CANCELLED, now=now, changes=changes, was=CommandStatus.QUEUED)
    command.refresh_from_db()
    if not cancelled:
        raise NotCancellable(f"command {command.pk} is {command.status}, not queued")


def wait(command: Command, *, seconds: float, changes: Changes, idle: Idle = nullcontext) -> Command:
    """Wait for a command's end and return the row as it then is. `idle` is entered while nothing is done.

    After `seconds` a command that is still queued is ended as timeout, so that it can never be
    sent behind the caller's back; one that was sent stays open until its node ends it.
    """
    deadline = time.monotonic() + seconds + GRACE.total_seconds() / 2
    while True:
        # A web thread may wait for half a minute; its database connection must not.
        connection.close()
        remaining = deadline - time.monotonic()
        with idle():
            try:
                broker.await_end(command.pk, min(max(remaining, 0), 5))
            except broker.RedisError:
                time.sleep(0.2)
        command.refresh_from_db()
        if not command.is_open:
            return command
        if time.monotonic() >= deadline:
            break
    if command.status == CommandStatus.QUEUED:
        end(
            command.pk,
            CommandStatus.TIMEOUT,
            now=timezone.now(),
            changes=changes,
            reason=NEVER_SENT,
            was=CommandStatus.QUEUED,
        )
        command.refresh_from_db()
    return command


def sweep(*, now: datetime, changes: Changes) -> int:
    """End every open command whose time is over: its node died, or Redis lost it. Return how many."""
    overdue = Command.objects.select_related("chargepoint__node").filter(status__in=OPEN, expires_at__lt=now)
    count = 0
    for command in overdue[:1000]:
        status, reason = _overdue(command, now)
        was = CommandStatus(command.status)
        own = Changes()
        try:
            count += end(command.pk, status, now=now, changes=own, reason=reason, was=was)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # The others must not wait for ever for this one.
            logger.exception("command %s could not be ended", command.pk, extra=_extra(command))
        else:
            changes.merge(own)
    return count


def _overdue(command: Command, now: datetime) -> tuple[CommandStatus, str]:
    """Say how a command ends that is open beyond its time, and why."""
    if command.status == CommandStatus.SENT:
        return CommandStatus.TIMEOUT, "no answer in time"
    node = command.chargepoint.node if command.chargepoint else None
    if node is not None and node.is_alive(now):
        return CommandStatus.TIMEOUT, NEVER_SENT
    return CommandStatus.OFFLINE, "never reached the station"


@dataclass(frozen=True, slots=True)
class Request:
    """A command of the platform's own, for a station whose connection asks for it."""

    station: str
    action: Action
    payload: Payload
    at: datetime


@dataclass(frozen=True, slots=True)
class Awaiting:
    """Asks what a station was asked for before; `triggers` are the actions by which it is asked for one message."""

    station: str
    triggers: Collection[str]
    since: datetime


@dataclass(frozen=True, slots=True)
class Sending:
    """A command about to go over the wire at `at`, with `seconds` for the answer."""

    command_id: UUID
    at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: with an answer, with the station's error, or with neither."""

    command_id: UUID
    status: CommandStatus
    at: datetime
    response: Any = None
    error: Payload | None = None
    calls: Sequence[Payload] = ()


def request(values: Sequence[Request], changes: Changes) -> list[Command]:
    """Store commands of the platform's own; they go straight to their stations' call lanes."""
    rows = []
    for value in values:
        row = Command(
            chargepoint_id=value.station,
            ocpp_version=value.action.version,
            action=value.action.name,
            payload=value.payload,
            created_at=value.at,
            expires_at=value.at + timedelta(seconds=settings.OCPP_TIMEOUT) + GRACE,
        )
        if value.action.fills and value.action.prepare:
            station = ChargePoint.objects.get(pk=value.station)
            row.payload = value.action.prepare(Draft(row.pk, station, value.payload, {}, value.at, changes))
        rows.append(row)
    for row in Command.objects.bulk_create(rows):
        changes.note(TOPIC, row.pk, "created")
        _log_request(row, "the platform")
    return rows


def awaited(values: Sequence[Awaiting], changes: Changes) -> list[list[tuple[str, Payload]]]:
    """Tell of each station what it was asked for and may still send: reports it has not finished, and single messages."""
    found = []
    for value in values:
        rows = Command.objects.filter(chargepoint=value.station).filter(
            Q(report__status__in=UNFINISHED)
            | Q(action__in=value.triggers, response__status="Accepted", finished_at__gt=value.since)
        )
        found.append(list(rows.values_list("action", "payload")))
    return found


def take(values: Sequence[UUID], changes: Changes) -> list[Command | None]:
    """Read commands that a node was told to send; none for one that is no longer queued."""
    found = Command.objects.filter(pk__in=values, status=CommandStatus.QUEUED).in_bulk()
    for row in found.values():
        row.payload = schemas.in_order(OcppVersion(row.ocpp_version), row.action, row.payload)
    return [found.get(value) for value in values]


def mark_sent(values: Sequence[Sending], changes: Changes) -> list[bool]:
    """Mark commands as sent; False for one that was cancelled or ended while it waited."""
    sent = []
    for value in values:
        updated = Command.objects.filter(pk=value.command_id, status=CommandStatus.QUEUED).update(
            status=CommandStatus.SENT,
            sent_at=value.at,
            expires_at=value.at + timedelta(seconds=value.seconds) + GRACE,
        )
        if updated:
            changes.note(TOPIC, value.command_id)
        sent.append(bool(updated))
    return sent


def prolong(values: Sequence[Sending], changes: Changes) -> list[bool]:
    """Give commands that take another CALL time for it; False for one that was ended meanwhile."""
    return [
        bool(
            Command.objects.filter(pk=value.command_id, status=CommandStatus.SENT).update(
                expires_at=value.at + timedelta(seconds=value.seconds) + GRACE
            )
        )
        for value in values
    ]


def finish(values: Sequence[Outcome], changes: Changes) -> list[bool]:
    """Store how commands ended; an answer that comes late is kept beside the state that stands."""
    finished = []
    for value in values:
        response = masked(value.response)
        updated = Command.objects.filter(pk=value.command_id, status__in=OPEN).update(
            status=value.status,
            response=response,
            error=masked(value.error),
            calls=masked(list(value.calls)),
            finished_at=value.at,
        )
        if not updated and value.status == CommandStatus.ANSWERED:
            late = {"code": "late", "description": "the answer came after the time was over", "details": {}}
            Command.objects.filter(pk=value.command_id, response__isnull=True).update(response=response, error=late)
        changes.note(TOPIC, value.command_id)
        finished.append(bool(updated))
    _let_go([value.command_id for value, ended in zip(values, finished, strict=True) if ended], values[0].at, changes)
    return finished
