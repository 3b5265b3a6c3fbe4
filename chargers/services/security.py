"""Security events that stations report."""

from collections.abc import Sequence

from chargers.changes import Changes
from chargers.models import SecurityEvent
from chargers.values import SecurityEventReport


def record(values: Sequence[SecurityEventReport], changes: Changes) -> list[None]:
    SecurityEvent.objects.bulk_create(
        SecurityEvent(
            chargepoint_id=value.station,
            type=value.type,
            tech_info=value.tech_info,
            timestamp=value.at,
            timestamp_raw=value.at_raw,
            received_at=value.received_at,
        )
        for value in values
    )
    return [None] * len(values)
