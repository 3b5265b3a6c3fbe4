"""How REST and the admin set commands going: stored, told to listeners, handed to the worker."""

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from chargers.changes import Changes
from chargers.models import ChargePoint
from tasks import commands, updates
from tasks.action import Action, Payload
from tasks.models import Command, CommandStatus
from tasks.tasks import relay_command

QUEUE_DOWN = "The command was not sent: the queue does not answer."


def ask(station: ChargePoint, action: Action, payload: Payload, *, requested_by: User | None) -> Command:
    """Ask a station, read with ``connected``, for something; the command tells what comes of it.

    Raises a CommandError, or InvalidBody where the request makes no sense.
    """
    changes = Changes()
    with transaction.atomic():
        command = commands.create(
            station=station,
            action=action,
            payload=payload,
            requested_by=requested_by,
            now=timezone.now(),
            changes=changes,
        )
        transaction.on_commit(lambda: updates.publish(changes))
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
