"""Security events: what stations report, and what the platform notices itself."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import F

from chargers.changes import Changes
from chargers.models import SecurityEvent
from chargers.values import Refusal, SecurityEventReport

TOPIC = "securityevent"

# The name in 2.0.1 for what 1.6 calls FailedToAuthenticationAtCentralSystem (whitepaper section 8).
REFUSED = "FailedToAuthenticateAtCsms"
# A station that is refused tries again, often every few seconds and for days.
REFUSED_AGAIN_AFTER = timedelta(hours=1)


def record(values: Sequence[SecurityEventReport], changes: Changes) -> list[None]:
    rows = SecurityEvent.objects.bulk_create(
        SecurityEvent(
            chargepoint_id=value.station,
            type=value.type,
            tech_info=value.tech_info,
            timestamp=value.at,
            timestamp_raw=value.at_raw,
            received_at=value.received_at,
            count=value.count,
        )
        for value in values
    )
    for row in rows:
        changes.note(TOPIC, row.pk, "created")
    return [None] * len(values)


def record_refusals(values: Sequence[Refusal], changes: Changes) -> None:
    """Keep that stations were not let in: an event for each station and reason an hour, which counts how often."""
    since = min(value.at for value in values) - REFUSED_AGAIN_AFTER
    counts: Counter[tuple[str, str]] = Counter()
    for value in values:
        counts[value.station, value.reason] += value.count
    kept = SecurityEvent.objects.filter(
        chargepoint__in={value.station for value in values}, type=REFUSED, received_at__gt=since
    )
    for key, station, info in kept.order_by("-pk").values_list("pk", "chargepoint_id", "tech_info"):
        if again := counts.pop((station, info.partition(": ")[2]), 0):
            SecurityEvent.objects.filter(pk=key).update(count=F("count") + again)
            changes.note(TOPIC, key)
    news = []
    for value in values:
        if count := counts.pop((value.station, value.reason), 0):
            info = f"{value.address or 'unknown address'}: {value.reason}"
            news.append(
                SecurityEventReport(value.station, REFUSED, info, at=value.at, received_at=value.at, count=count)
            )
    if news:
        record(news, changes)
