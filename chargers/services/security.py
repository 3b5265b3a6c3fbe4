"""Security events that stations report."""

from collections.abc import Sequence

from chargers.changes import Changes
from chargers.models import SecurityEvent
from chargers.values import SecurityEventReport

TOPIC = "securityevent"


def record(values: Sequence[SecurityEventReport], changes: Changes) -> list[None]:
    rows = SecurityEvent.objects.bulk_create(
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
    for row in rows:
        changes.note(TOPIC, row.pk, "created")
    return [None] * len(values)
