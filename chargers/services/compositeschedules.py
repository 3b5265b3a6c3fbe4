"""Composite schedules: what stations say that all their charging profiles come to."""

from collections.abc import Sequence

from chargers.changes import Changes
from chargers.models import ChargePoint, CompositeSchedule
from chargers.values import CompositeReport


def record(values: Sequence[CompositeReport], changes: Changes) -> list[None]:
    """Keep the last schedule of each EVSE and unit; a station that was deleted meanwhile has none."""
    for value in values:
        if ChargePoint.objects.filter(pk=value.station).exists():
            CompositeSchedule.objects.update_or_create(
                chargepoint_id=value.station,
                evse_id=value.evse_id,
                charging_rate_unit=value.unit,
                defaults={
                    "schedule_start": value.schedule_start,
                    "duration": value.duration,
                    "min_charging_rate": value.min_charging_rate,
                    "charging_schedule_period": list(value.periods),
                    "received_at": value.at,
                },
            )
    return [None] * len(values)
