"""Live updates: what changed, told to every frontend that listens, after the commit.

Best effort: a listener that was away reads REST again, and a silent Redis slows nobody. Each
update is encoded once, here; the consumers only pass text on.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.utils import timezone
from redis import RedisError

from chargers import representation, selectors
from chargers.changes import Changes
from chargers.models import (
    ChargingLimit,
    ChargingNeeds,
    DisplayMessage,
    Event,
    EVSchedule,
    InstalledProfile,
    SecurityEvent,
    VariableMonitor,
)
from chargers.secrets import masked
from chargers.services import (
    charginglimits,
    displaymessages,
    evcharging,
    events,
    firmware,
    installedprofiles,
    logs,
    monitors,
    publications,
    reservations,
    security,
)
from tasks.models import TOPIC, Command, Report

logger = logging.getLogger(__name__)

ALL = "all"
READINGS = "metervalues"


def represent_command(row: Command) -> dict[str, Any]:
    """Represent a command read with the user who asked for it, and with its report."""
    report: Report | None = getattr(row, "report", None)
    return {
        "task_id": str(row.task_id),
        "chargepoint_id": row.chargepoint_id,
        "ocpp_version": row.ocpp_version,
        "action": row.action,
        "payload": masked(row.payload),
        "status": row.status,
        "response": masked(row.response),
        "error": row.error,
        "calls": masked(row.calls),
        "report": _represent_report(report) if report else None,
        "requested_by": row.requested_by.get_username() if row.requested_by else None,
        "created_at": representation.time(row.created_at),
        "sent_at": representation.time(row.sent_at),
        "finished_at": representation.time(row.finished_at),
    }


def _represent_report(row: Report) -> dict[str, Any]:
    kept = [row.content[number] for number in sorted(row.content, key=int)]
    return {
        "kind": row.kind,
        "request_id": row.request_id,
        "status": row.status,
        "parts": row.parts,
        "missing": row.missing,
        "content": kept or None,
        "finished_at": representation.time(row.finished_at),
    }


Reader = Callable[[Iterable[Any], datetime], list[tuple[Any, str, dict[str, Any]]]]


def _chargepoints(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = selectors.chargepoints(now=now).filter(pk__in=keys)
    return [(row.pk, row.pk, representation.chargepoint(row)) for row in rows]


def _connectors(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = selectors.connectors().filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id, representation.connector(row)) for row in rows]


def _transactions(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = selectors.transactions().filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id or "", representation.transaction(row)) for row in rows]


def _reservations(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = selectors.reservations().filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id or "", representation.reservation(row)) for row in rows]


def _installed_profiles(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = InstalledProfile.objects.filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id, representation.installedprofile(row)) for row in rows]


def _charging_limits(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = ChargingLimit.objects.filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id, representation.charginglimit(row)) for row in rows]


def _charging_needs(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = ChargingNeeds.objects.filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id, representation.chargingneeds(row)) for row in rows]


def _ev_schedules(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = EVSchedule.objects.filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id, representation.evschedule(row)) for row in rows]


def _security_events(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = SecurityEvent.objects.filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id or "", representation.securityevent(row)) for row in rows]


def _events(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = Event.objects.filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id or "", representation.event(row)) for row in rows]


def _display_messages(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = DisplayMessage.objects.filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id, representation.displaymessage(row)) for row in rows]


def _variable_monitors(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = VariableMonitor.objects.filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id, representation.variablemonitor(row)) for row in rows]


def _firmware_publications(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = selectors.firmwarepublications().filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id or "", representation.firmwarepublication(row)) for row in rows]


def _firmware_updates(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = selectors.firmwareupdates().filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id or "", representation.firmwareupdate(row)) for row in rows]


def _log_uploads(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = selectors.loguploads().filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id or "", representation.logupload(row)) for row in rows]


def _commands(keys: Iterable[Any], now: datetime) -> list[tuple[Any, str, dict[str, Any]]]:
    rows = Command.objects.select_related("requested_by", "report").filter(pk__in=keys)
    return [(row.pk, row.chargepoint_id or "", represent_command(row)) for row in rows]


READERS: Mapping[str, Reader] = {
    "chargepoint": _chargepoints,
    "connector": _connectors,
    "transaction": _transactions,
    reservations.TOPIC: _reservations,
    installedprofiles.TOPIC: _installed_profiles,
    charginglimits.TOPIC: _charging_limits,
    evcharging.NEEDS_TOPIC: _charging_needs,
    evcharging.SCHEDULE_TOPIC: _ev_schedules,
    displaymessages.TOPIC: _display_messages,
    events.TOPIC: _events,
    monitors.TOPIC: _variable_monitors,
    security.TOPIC: _security_events,
    publications.TOPIC: _firmware_publications,
    firmware.TOPIC: _firmware_updates,
    logs.TOPIC: _log_uploads,
    TOPIC: _commands,
}

TOPICS = (*READERS, READINGS)

# A topic with its updates, each the station it is about and the frame for the listeners.
Batch = list[tuple[str, list[tuple[str, str]]]]


def render(changes: Changes, now: datetime) -> Batch:
    """Read the changed rows again and encode one frame an update. Costs a query or two a topic."""
    at = representation.time(now)
    batch: Batch = [
        (topic, [(station, _encode(topic, "deleted", at, data))]) for topic, station, data in changes.removed
    ]
    for topic, noted in changes.rows.items():
        if frames := [
            (station, _encode(topic, noted[key], at, data)) for key, station, data in READERS[topic](noted, now)
        ]:
            batch.append((topic, frames))
    if changes.readings:
        readings = [(each["chargepoint_id"], _encode(READINGS, "created", at, each)) for each in changes.readings]
        batch.append((READINGS, readings))
    return batch


def _encode(topic: str, event: str, at: str | None, data: dict[str, Any]) -> str:
    frame = {"topic": topic, "event": event, "at": at, "data": data}
    try:
        return orjson.dumps(frame).decode()
    except TypeError:
        # An integer of more than 64 bits; the other updates of the batch must not be lost for it.
        return json.dumps(frame)


def group(topic: str) -> str:
    """Name the channel layer's group of a topic."""
    return f"updates.{topic}"


async def send(batch: Batch) -> None:
    """Send one message per topic to the channel layer. Raises what the layer raises."""
    layer = get_channel_layer()
    for topic, frames in batch:
        await layer.group_send(group(topic), {"type": "updates", "topic": topic, "frames": frames})


def publish(changes: Changes, gone: Batch | None = None) -> None:
    """Tell the listeners, from synchronous code whose changes are committed.

    `gone` is about rows that were deleted: it was rendered before.
    """
    if not (changes or gone):
        return
    try:
        async_to_sync(_send_in_time)([*render(changes, timezone.now()), *(gone or [])])
    except (RedisError, OSError) as error:
        # TimeoutError is an OSError.
        logger.warning("live updates were not sent, redis does not answer: %s", error or type(error).__name__)
    except Exception:
        logger.exception("live updates were not sent")


async def _send_in_time(batch: Batch) -> None:
    """Send, and give up where Redis takes too long: whoever waits for this has more important things to tell."""
    async with asyncio.timeout(settings.REDIS_TIMEOUT):
        await send(batch)
