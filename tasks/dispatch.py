"""How REST and the admin set commands going: stored, told to listeners, handed to the worker."""

import functools
from collections.abc import Callable

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from chargers.changes import Changes
from chargers.models import ChargePoint
from tasks import commands, locallists, updates
from tasks.action import Action, Payload
from tasks.models import Command, CommandStatus
from tasks.tasks import relay_command

QUEUE_DOWN = "The command was not sent: the queue does not answer."


def ask(station: ChargePoint, action: Action, payload: Payload, *, requested_by: User | None) -> Command | None:
    """Ask a station, read with ``connected``, for something; the command tells what comes of it.

    Raises a CommandError, or InvalidBody where the request makes no sense.
    """
    create = functools.partial(commands.create, station=station, action=action, payload=payload)
    return send(functools.partial(create, requested_by=requested_by))


def synchronise_list(station: ChargePoint, *, requested_by: User | None) -> Command | None:
    """Send a station, read with ``connected``, what its local list lacks; None if nothing. Raises a CommandError."""
    return send(functools.partial(locallists.synchronise, station, requested_by=requested_by))


def send(create: Callable[..., Command | None]) -> Command | None:
    """Let a command be stored, which may turn out not to be needed, tell listeners, and hand it to the worker.

    `create` gets `now` and `changes`.
    """
    changes = Changes()
    with transaction.atomic():
        command = create(now=timezone.now(), changes=changes)
        transaction.on_commit(lambda: updates.publish(changes))
    if command is not None:
        hand_over(command)
    return command


def hand_over(command: Command) -> bool:
    """Hand a command to the worker; where the queue is down it ends at once, and False is returned."""
    try:
        relay_command.apply_async(kwargs={"command_id": str(command.pk)}, retry=False)
    except BrokerError:
        changes = Changes()
        commands.end(command.pk, CommandStatus.ERROR, now=timezone.now(), changes=changes, reason=QUEUE_DOWN)
        updates.publish(changes)
        command.refresh_from_db()
        return False
    return True
