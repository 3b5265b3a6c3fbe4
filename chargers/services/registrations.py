"""How many stations and tags may be registered by themselves, because somebody showed them."""

import logging
import time

from django.db.models import Model
from prometheus_client import Counter

logger = logging.getLogger(__name__)

REFUSED = Counter("ocpp_registrations_refused_total", "Unknown stations and tags that there was no room for", ["kind"])
# Seconds for which a count is relied on; in between only what was let in here is added.
COUNT_LASTS = 60.0

_counts: dict[type[Model], tuple[float, int]] = {}


def has_room(model: type[Model], most: int) -> bool:
    """Tell whether one more row may be registered by itself, and count it."""
    read_at, count = _counts.get(model, (-COUNT_LASTS, 0))
    now = time.monotonic()
    if now - read_at >= COUNT_LASTS:
        read_at, count = now, model._default_manager.count()
        if count >= most:
            logger.warning("there are %d %s, and no more are registered by themselves", count, _name(model))
    if count >= most:
        REFUSED.labels(_name(model)).inc()
    _counts[model] = (read_at, min(count + 1, most))
    return count < most


def forget() -> None:
    """Count anew, as after rows were deleted."""
    _counts.clear()


def _name(model: type[Model]) -> str:
    return str(model._meta.verbose_name_plural)
