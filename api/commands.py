"""The command endpoints: one view, made once for each row of `tasks.actions.ACTIONS`."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.urls import URLPattern, re_path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api import errors
from api.command_schema import CommandSchema, prefix
from api.slots import turn_given_away
from api.work import unit_of_work
from chargers.changes import Changes
from chargers.errors import UnknownStation
from chargers.models import ChargePoint
from chargers.models.station import IDENTITY_LENGTH, identity_key
from chargers.secrets import masked
from tasks import commands, dispatch, updates
from tasks.action import Action, Payload
from tasks.actions import ACTIONS
from tasks.models import Command, CommandStatus
from tasks.schemas import InvalidBody, from_wire, problems_of, to_wire

# How a command that was not answered is told: status, code and message.
OUTCOMES: Mapping[str, tuple[int, str, str]] = {
    CommandStatus.ERROR: (502, "OCPP_CALL_ERROR", "The station answered with an error."),
    CommandStatus.TIMEOUT: (504, "OCPP_TIMEOUT", "The station did not answer in time."),
    CommandStatus.OFFLINE: (409, "CHARGING_STATION_OFFLINE", "The station went away before it got the command."),
    CommandStatus.CANCELLED: (409, "COMMAND_CANCELLED", "The command was cancelled before it was sent."),
}
# A command that was sent stays open until its node ends it, a little after the wait for it is over.
STILL_OPEN = OUTCOMES[CommandStatus.TIMEOUT]
QUEUE_DOWN = (503, "QUEUE_UNAVAILABLE", dispatch.QUEUE_DOWN)

# What JSON can say and no database can hold: NUL and lone surrogates.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Envelope(serializers.Serializer):
    """What every command's body holds besides the fields of its action."""

    chargepoint_id = serializers.CharField(max_length=IDENTITY_LENGTH, trim_whitespace=False)
    sync = serializers.BooleanField(default=True)
    force = serializers.BooleanField(default=False)


class Asked(NamedTuple):
    """A request body, taken apart."""

    station: str
    sync: bool
    force: bool
    payload: Payload
    extras: Payload


class CommandEndpoint(APIView):
    schema = CommandSchema()
    # None only until `as_view` names the row.
    row: Action = None  # type: ignore[assignment]

    def post(self, request: Request) -> Response:
        asked = read(self.row, request.data)
        command = store(self.row, asked, request.user)
        if not dispatch.hand_over(command):
            return failure(command, *QUEUE_DOWN)
        return outcome(wait(command)) if asked.sync else submitted(command)


def read(row: Action, body: Any) -> Asked:
    """Take a body apart. Raises InvalidBody with every reason against it."""
    envelope = Envelope(data=body)
    reasons = {} if envelope.is_valid() else errors.flatten(envelope.errors)
    if not isinstance(body, dict):
        raise InvalidBody(reasons)
    members = {name: value for name, value in body.items() if name not in envelope.fields}
    extras = {name: members.pop(name) for name in row.extras if name in members}
    reasons |= {name: reason for name, value in extras.items() if (reason := problems_of(row.extras[name], value))}
    payload = {}
    try:
        payload = to_wire(row.version, row.name, _renamed(row, members), row.fills)
    except InvalidBody as error:
        aliases = {field: alias for alias, field in row.renames.items() if alias in members}
        reasons |= {aliases.get(field, field): each for field, each in error.fields.items()}
    if reasons:
        raise InvalidBody(reasons)
    told = envelope.validated_data
    return Asked(told["chargepoint_id"], told["sync"], told["force"], payload, extras)


def _renamed(row: Action, asked: Payload) -> Payload:
    """Spell the fields as the schema does. Raises InvalidBody where one is named twice or holds the unspeakable."""
    reasons = {
        name: ["holds what cannot be stored or sent"] for name, value in asked.items() if not _is_storable(value)
    }
    for alias, field in row.renames.items():
        if alias in asked and field in asked:
            reasons[alias] = [f"is another name of {field}, which is there too"]
    if reasons:
        raise InvalidBody(reasons)
    return {row.renames.get(name, name): value for name, value in asked.items()}


def _is_storable(value: Any) -> bool:
    match value:
        case dict():
            return all(_is_storable(each) for member in value.items() for each in member)
        case list():
            return all(map(_is_storable, value))
        case str():
            return not _UNSTORABLE.search(value)
        case float() if not math.isfinite(value):
            return False
        case int() | float():
            # Also one that is written with an exponent: PostgreSQL returns it in full.
            return -(2**63) <= value < 2**63
    return True


def store(row: Action, asked: Asked, user: AbstractBaseUser) -> Command:
    now = timezone.now()
    try:
        station = ChargePoint.objects.with_connected(now).get(lookup_key=identity_key(asked.station))
    except ChargePoint.DoesNotExist as error:
        raise UnknownStation(asked.station) from error
    with unit_of_work() as work:
        return commands.create(
            station=station,
            action=row,
            payload=asked.payload,
            extras=asked.extras,
            force=asked.force,
            requested_by=user,
            now=now,
            changes=work,
        )


def wait(command: Command) -> Command:
    changes = Changes()
    command = commands.wait(command, seconds=settings.OCPP_TIMEOUT, changes=changes, idle=turn_given_away)
    updates.publish(changes)
    return command


def submitted(command: Command) -> Response:
    return success(command, 202, "TASK_SUBMITTED", f"{command} is on its way; its task tells what comes of it.")


def outcome(command: Command) -> Response:
    if command.status == CommandStatus.ANSWERED:
        return success(command, 200, "RESPONSE_RECEIVED", from_wire(masked(command.response)))
    return failure(command, *OUTCOMES.get(command.status, STILL_OPEN))


def success(command: Command, status: int, code: str, message: Any) -> Response:
    return Response({"message_code": code, "message": message, "task_id": str(command.pk)}, status)


def failure(command: Command, status: int, code: str, message: str) -> Response:
    return Response({**errors.body(code, message, command.error), "task_id": str(command.pk)}, status)


def urls() -> list[URLPattern]:
    patterns = []
    for row in ACTIONS:
        patterns.append(_url(row, row.path, CommandEndpoint.as_view(row=row)))
        # Documented under its own name only.
        patterns += [_url(row, alias, CommandEndpoint.as_view(row=row, schema=None)) for alias in row.path_aliases]
    return patterns


def _url(row: Action, path: str, view: Any) -> URLPattern:
    return re_path(rf"^{prefix(row.version)}/{path}/?$", view, name=f"{prefix(row.version)}-{path}")
