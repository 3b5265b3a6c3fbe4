"""An operator without REST: commands asked for and relayed the way the web process and the worker do it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chargers.changes import Changes
from chargers.models import ChargePoint
from tasks import commands
from tasks.actions import BY_NAME
from tasks.models import Command
from tests.csms.conftest import query_in_thread


def create(
    action: str, payload: dict[str, Any] | None = None, station: str = "CP1", *, force: bool = False, **extras: Any
) -> UUID:
    now = datetime.now(UTC)
    row = ChargePoint.objects.with_connected(now).get(pk=station)
    command = commands.create(
        station=row,
        action=BY_NAME[row.ocpp_version, action],
        payload=payload or {},
        extras=extras,
        force=force,
        requested_by=None,
        now=now,
        changes=Changes(),
    )
    return command.pk


def relay(command_id: UUID) -> None:
    commands.relay(command_id, now=datetime.now(UTC), changes=Changes())


async def ask(action: str, payload: dict[str, Any] | None = None, station: str = "CP1", **more: Any) -> UUID:
    """Ask a connected station for something, without waiting for its answer; return the command's id.

    `more` are `force`, and the fields that only REST knows.
    """

    def create_and_relay() -> UUID:
        command_id = create(action, payload, station, **more)
        relay(command_id)
        return command_id

    return await query_in_thread(create_and_relay)  # type: ignore[no-any-return]


async def end_of(command_id: UUID, seconds: float = 8) -> Command:
    """Wait until a command has ended; return its row."""

    def wait() -> Command:
        return commands.wait(Command.objects.get(pk=command_id), seconds=seconds, changes=Changes())

    command: Command = await query_in_thread(wait)
    assert not command.is_open, f"still {command.status} after {seconds:g} s"
    return command


async def row_of(command_id: UUID) -> Command:
    """Return a command's row as it stands."""
    return await query_in_thread(lambda: Command.objects.get(pk=command_id))  # type: ignore[no-any-return]


async def perform(action: str, payload: dict[str, Any] | None = None, station: str = "CP1", **more: Any) -> Command:
    """Ask a connected station for something and return how it ended."""
    return await end_of(await ask(action, payload, station, **more))
