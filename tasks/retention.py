"""Retention of all there is: the domain's history, commands with their reports, and sessions that have expired."""

import logging
import threading
from collections import Counter
from datetime import datetime

from django.contrib.sessions.models import Session
from django.db.models import Q

from chargers.services import retention
from chargers.services.retention import Kind, Rest
from tasks import broker
from tasks.models import OPEN, UNDER_WAY, Command, Report

logger = logging.getLogger(__name__)

KINDS = (
    Kind(Session, "expire_date", order="expire_date"),
    # Before the commands, which must not go before what they refer to has an end.
    Kind(Report, "asked_at", "RETENTION_COMMANDS", kept=Q(status__in=UNDER_WAY)),
    Kind(Command, "created_at", "RETENTION_COMMANDS", order="created_at", kept=Q(status__in=OPEN)),
    *retention.KINDS,
)
# Nobody sets it: waiting for it rests.
NEVER = threading.Event()
NAMES = {kind.model._meta.db_table: kind.name for kind in KINDS}


def prune(
    *,
    now: datetime,
    removed: Counter[str] | None = None,
    seconds: float | None = None,
    rest: Rest = NEVER.wait,
    dry: bool = False,
) -> bool:
    """Remove what is old enough, as `chargers.services.retention.prune` does; log and count it."""
    removed = Counter() if removed is None else removed
    try:
        return retention.prune(KINDS, now=now, removed=removed, rest=rest, seconds=seconds, dry=dry)
    finally:
        if not dry:
            _tell(removed)


def _tell(removed: Counter[str]) -> None:
    found = +removed
    if not found:
        return
    text = ", ".join(f"{number:,} {NAMES[table]}" for table, number in found.most_common())
    logger.info("removed for their age: %s", text)
    try:
        broker.count_removed(found)
    except broker.RedisError as error:
        logger.warning("what was removed is not in the metrics, redis does not answer: %s", error)
