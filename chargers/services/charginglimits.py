"""Limits that others than the platform set at stations: energy management, the grid (2.0.1 K11 to K14)."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from chargers import representation
from chargers.changes import Changes
from chargers.models import ChargePoint, ChargingLimit
from chargers.services import installedprofiles, room
from chargers.values import ChargingLimitCleared, ChargingLimitReport

TOPIC = "charginglimit"


def record(values: Sequence[ChargingLimitReport], changes: Changes) -> list[None]:
    """Keep limits, each in place of the one its source had set there."""
    for value in values:
        if not ChargePoint.objects.filter(pk=value.station).exists():
            continue
        key: dict[str, Any] = {"chargepoint_id": value.station, "evse_id": value.evse_id, "source": value.source}
        known = ChargingLimit.objects.filter(**key).exists()
        if not known and not room.fitting([ChargingLimit(**key)], settings.OCPP_MAX_RECORDS, changes):
            continue
        row, created = ChargingLimit.objects.update_or_create(
            **key,
            defaults={
                "is_grid_critical": value.is_grid_critical,
                "schedules": list(value.schedules),
                "received_at": value.at,
            },
        )
        changes.note(TOPIC, row.pk, "created" if created else "updated")
    return [None] * len(values)


def clear(values: Sequence[ChargingLimitCleared], changes: Changes) -> list[None]:
    """Forget limits that were released, and the constraints that stations have listed for them (K13.FR.01)."""
    for value in values:
        rows = ChargingLimit.objects.filter(chargepoint=value.station, source=value.source)
        if value.evse_id is not None:
            rows = rows.filter(evse_id=value.evse_id)
        for row in rows:
            changes.note_removed(TOPIC, value.station, representation.charginglimit(row))
        rows.delete()
        installedprofiles.forget_external(value.station, value.source, value.evse_id, changes)
    return [None] * len(values)
