"""Retention: rows that tell what was are removed some time after the platform heard of them.

Age is by the platform's own clock, since those of stations may be wrong. Transactions are never
removed, and have their energy in columns of their own; what is removed is the history behind them.
Each step looks at so many rows in the order of an index, in a short transaction of its own, and
rests as long as it took: on SQLite the csms waits for the same lock. Rows that somebody else is at
are left for the next run, so two runs may go on at once, and no station's message waits in a circle.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.db.transaction import atomic

from chargers.choices import FirmwarePublicationStatus
from chargers.models import (
    ChargingNeeds,
    Event,
    EVSchedule,
    FirmwarePublication,
    FirmwareUpdate,
    LogUpload,
    MeterValue,
    Reservation,
    SecurityEvent,
    StatusNotification,
    Transaction,
    TransactionEvent,
    firmwarepublication,
    firmwareupdate,
    logupload,
    reservation,
)
from chargers.sql import delete_rows

# Seconds that a rest takes at least: SQLite looks for its lock ten times a second.
LEAST_REST = 0.1

# Waits for so many seconds; says whether to stop.
Rest = Callable[[float], bool]


@dataclass(frozen=True)
class Kind:
    """Rows of a table that are removed once `at` is older than the days of a setting, 0 of which keep them for ever.

    `order` is a column with an index that grows with `at`, and `kept` picks rows that stay all the same.
    """

    model: type[Model]
    at: str
    setting: str = ""
    order: str = "pk"
    kept: Q | Exists | None = None

    @property
    def name(self) -> str:
        return str(self.model._meta.verbose_name_plural)

    def before(self, now: datetime) -> datetime | None:
        """Say up to when rows are removed; None where all are kept."""
        if not self.setting:
            return now
        days = getattr(settings, self.setting)
        return now - timedelta(days=days) if days else None

    def due(self, before: datetime) -> QuerySet[Any]:
        rows = self.model._default_manager.filter(**{f"{self.at}__lt": before})
        return rows if self.kept is None else rows.exclude(self.kept)


RUNNING = Exists(Transaction.objects.filter(pk=OuterRef("transaction_id"), stop_transaction_timestamp__isnull=True))

# The largest last: a run that is out of time has at least seen the others.
KINDS = (
    Kind(SecurityEvent, "received_at", "RETENTION_SECURITY_EVENTS"),
    Kind(Event, "received_at", "RETENTION_EVENTS"),
    Kind(Reservation, "created_at", "RETENTION_RESERVATIONS", kept=Q(status__in=reservation.OPEN)),
    Kind(FirmwareUpdate, "status_at", "RETENTION_JOBS", kept=Q(status__in=firmwareupdate.LIVE)),
    # What is published is still offered.
    Kind(
        FirmwarePublication,
        "status_at",
        "RETENTION_JOBS",
        kept=Q(status__in=[*firmwarepublication.LIVE, FirmwarePublicationStatus.PUBLISHED]),
    ),
    Kind(LogUpload, "status_at", "RETENTION_JOBS", kept=Q(status__in=logupload.LIVE)),
    Kind(ChargingNeeds, "received_at", "RETENTION_TRANSACTION_EVENTS", kept=RUNNING),
    Kind(EVSchedule, "received_at", "RETENTION_TRANSACTION_EVENTS", kept=RUNNING),
    Kind(StatusNotification, "received_at", "RETENTION_STATUSES"),
    Kind(TransactionEvent, "received_at", "RETENTION_TRANSACTION_EVENTS", kept=RUNNING),
    Kind(MeterValue, "received_at", "RETENTION_METER_VALUES", kept=RUNNING),
)


def prune(
    kinds: Iterable[Kind],
    *,
    now: datetime,
    removed: Counter[str],
    rest: Rest,
    seconds: float | None = None,
    dry: bool = False,
) -> bool:
    """Remove what is old enough, adding up in `removed` how many by table; return whether that was all of it.

    It stops where `rest` says so, or after `seconds`; `dry` counts only. Raises DatabaseError, and
    what was removed until then is.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    for kind in kinds:
        before = kind.before(now)
        if before is None:
            continue
        table = kind.model._meta.db_table
        low, last = None, _last(kind, before)
        while (high := _high(kind, low, last)) is not None:
            began = time.monotonic()
            if found := _step(kind, before, low, high, dry=dry):
                removed[table] += found
            low, took = high, time.monotonic() - began
            if rest(0 if dry else max(took, LEAST_REST)) or (deadline is not None and time.monotonic() >= deadline):
                return False
    return True


def _last(kind: Kind, before: datetime) -> Any:
    """Say where the old rows end in the order of the walk; None where there is none.

    Keys grow with the time of receipt, but for seconds between two nodes: what a search that halves
    the keys takes for too new is found the next day, and what it takes for old is looked at.
    """
    if kind.order == kind.at:
        return before
    rows = kind.model._default_manager.order_by("pk").values_list("pk", kind.at)
    ends = rows.first(), rows.last()
    if ends[0] is None or ends[1] is None:
        return None
    # `old` is the key of an old row, if it is one at all; beyond `limit` there is none.
    first, limit = ends[0][0], ends[1][0]
    old = first - 1
    while old < limit:
        middle = (old + limit + 1) // 2
        found = rows.filter(pk__gte=middle).first()
        if found is not None and found[1] < before:
            old = found[0]
        else:
            limit = middle - 1
    return None if old < first else old


def _high(kind: Kind, low: Any, last: Any) -> Any:
    """Say up to where the next step goes, None where there is none."""
    if last is None:
        return None
    rows = _between(kind.model._default_manager.all(), kind, low, last).order_by(kind.order)
    places = rows.values_list(kind.order, flat=True)
    beyond = list(places[settings.RETENTION_STEP - 1 : settings.RETENTION_STEP])
    if beyond:
        return beyond[0]
    return last if places[:1] else None


def _between(rows: QuerySet[Any], kind: Kind, low: Any, high: Any) -> QuerySet[Any]:
    rows = rows.filter(**{f"{kind.order}__lte": high})
    return rows if low is None else rows.filter(**{f"{kind.order}__gt": low})


def _step(kind: Kind, before: datetime, low: Any, high: Any, *, dry: bool) -> int:
    due = _between(kind.due(before), kind, low, high)
    if dry:
        return due.count()
    unlocked = due.select_for_update(skip_locked=True).values("pk")
    # The range once more: PostgreSQL would rather read the whole table than look up thousands of keys.
    rows = _between(kind.model._default_manager.all(), kind, low, high).filter(pk__in=unlocked)
    with atomic():
        return delete_rows(rows)
