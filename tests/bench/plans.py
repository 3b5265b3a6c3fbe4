"""How the database goes about what stations, operators and beat make the platform do all the time.

Each use is done against made-up history (`tests.bench.history`), its statements are caught as they
run, and the database is asked how it executes them. Nothing of it stays.
"""

import functools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from chargers.changes import Changes
from chargers.choices import OcppVersion
from chargers.models import Transaction
from chargers.services import (
    installedprofiles,
    jobs,
    metervalues,
    obedience,
    reservations,
    statuses,
    transactionevents,
    transactions,
    transactionstarts,
    transactionstops,
)
from chargers.services import retention as domain
from chargers.values import (
    MeterReport,
    Reading,
    StatusReport,
    TransactionEvent,
    TransactionRef,
    TransactionStart,
    TransactionStop,
)
from tasks import commands, locallists, reports, retention

# Tables that grow without end: nobody may read one of them from end to end.
LARGE = frozenset(
    {
        "chargers_event",
        "chargers_metervalue",
        "chargers_securityevent",
        "chargers_statusnotification",
        "chargers_transaction",
        "chargers_transactionevent",
        "tasks_command",
    }
)
COUNT = 'SELECT COUNT(*) AS "__count"'
# Rows of other stations that an index may be read past until a page is full.
TOLERATED = 10_000
USER = "plans"


@dataclass
class Found:
    """What came of a use: its statements, the seconds it took, and why it failed, if it did.

    `whole` are the large tables that were read from end to end, or as good as; `counted` those whose
    rows were counted one by one, because a list tells exactly how many there are.
    """

    statements: list[tuple[str, Any]] = field(default_factory=list)
    seconds: float = 0
    whole: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)
    failure: str = ""


@dataclass(frozen=True)
class Place:
    """Whom the uses are about: the busiest station, the one with the least to tell, and a transaction of each kind."""

    busy: str
    quiet: str
    ended: int
    running: int
    now: datetime

    @classmethod
    def of_history(cls) -> "Place":
        rows = Transaction.objects.order_by("-pk")
        running = rows.filter(stop_transaction_timestamp=None, chargepoint="HISTORY-00000").values_list("pk").first()
        ended = rows.exclude(stop_transaction_timestamp=None).values_list("pk", "chargepoint_id").first()
        assert running is not None
        assert ended is not None
        return cls("HISTORY-00000", ended[1], ended[0], running[0], timezone.now())


Use = Callable[[Place], Any]


def report(place: Place, ref: TransactionRef) -> MeterReport:
    energy = {"value": "9999", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    readings = [Reading(place.now, [energy])]  # type: ignore[list-item]
    return MeterReport(place.busy, OcppVersion.V16, 1, 1, ref, readings, place.now)


def start(place: Place) -> None:
    value = TransactionStart(
        station=place.busy,
        ocpp_version=OcppVersion.V16,
        evse_id=1,
        connector_id=1,
        id_token="TAG00001",
        meter_start=Decimal(0),
        at=place.now,
        received_at=place.now,
        fingerprint="plans",
    )
    transactionstarts.record([value], Changes())


def stop(place: Place, ref: TransactionRef) -> None:
    value = TransactionStop(
        station=place.busy,
        ocpp_version=OcppVersion.V16,
        ref=ref,
        id_token="TAG00001",
        meter_stop=Decimal(9999),
        at=place.now,
        received_at=place.now,
        fingerprint="plans",
        readings=[Reading(place.now, [{"value": "9999"}])],
    )
    transactionstops.record([value], Changes())


def status(place: Place) -> None:
    value = StatusReport(place.busy, OcppVersion.V16, 1, 1, "Available", place.now, place.now)
    statuses.record([value], Changes())


def transaction_event(place: Place) -> None:
    values = [
        TransactionEvent(
            station=place.busy,
            ocpp_version=OcppVersion.V201,
            uuid="plans",
            kind=kind,
            seq_no=number,
            trigger="MeterValuePeriodic",
            at=place.now,
            received_at=place.now,
            evse_id=1,
            connector_id=1,
            readings=[Reading(place.now, [{"value": "9999"}])],
        )
        for number, kind in enumerate(("Started", "Updated", "Ended"))
    ]
    transactionevents.record(values, Changes())


def one_step(kind: domain.Kind) -> Use:
    return lambda place: domain.prune([kind], now=place.now, removed=Counter(), rest=lambda seconds: True)


STATIONS: dict[str, Use] = {
    "MeterValues": lambda place: metervalues.record([report(place, TransactionRef(number=place.running))], Changes()),
    "MeterValues without a transaction id": lambda place: metervalues.record(
        [report(place, TransactionRef(by_connector=True))], Changes()
    ),
    "StartTransaction": start,
    "StopTransaction": lambda place: stop(place, TransactionRef(number=place.running)),
    "StopTransaction without a transaction id": lambda place: stop(place, TransactionRef()),
    "StatusNotification": status,
    "TransactionEvent": transaction_event,
}
BEAT: dict[str, Use] = {
    "sweep of commands": lambda place: commands.sweep(now=place.now, changes=Changes()),
    "abandoned transactions": lambda place: transactions.close_abandoned(now=place.now, changes=Changes()),
    "silent jobs": lambda place: jobs.time_out(now=place.now, changes=Changes()),
    "silent reports": lambda place: reports.time_out(now=place.now, changes=Changes()),
    "expired reservations": lambda place: reservations.expire(now=place.now, changes=Changes()),
    "charging profiles": lambda place: installedprofiles.sweep(now=place.now, changes=Changes()),
    "obedience": lambda place: obedience.judge(now=place.now, changes=Changes()),
    "local lists": lambda place: locallists.synchronise_automatic(now=place.now, changes=Changes()),
    **{f"prune {kind.name}": one_step(kind) for kind in retention.KINDS},
}


def lists(place: Place) -> dict[str, str]:
    """Name the lists of REST, with the filters that clients use, by what they show."""
    month = {"start_after": (place.now - timedelta(days=30)).isoformat()}
    ago = {"after": (place.now - timedelta(days=30)).isoformat()}

    def path(resource: str, **query: str) -> str:
        return f"/api/{resource}/" + (f"?{urlencode(query)}" if query else "")

    return {
        "chargepoint/": path("chargepoint"),
        "connector/": path("connector"),
        "transaction/": path("transaction"),
        "transaction/, of the busiest station": path("transaction", chargepoint_id=place.busy),
        "transaction/, of a quiet station": path("transaction", chargepoint_id=place.quiet),
        "transaction/, running": path("transaction", transaction_status="Started"),
        "transaction/, of an id tag": path("transaction", id_token="TAG00001"),
        "transaction/, of a month": path("transaction", **month),
        "transaction/, of a month by start": path("transaction", ordering="-start_transaction_timestamp", **month),
        "transaction/, of a station by start": path(
            "transaction", chargepoint_id=place.busy, ordering="-start_transaction_timestamp"
        ),
        "sampledvalue/<transaction>/": path(f"sampledvalue/{place.ended}"),
        "statusnotification/<busiest station>/": path(f"statusnotification/{place.busy}"),
        "statusnotification/<quiet station>/": path(f"statusnotification/{place.quiet}"),
        "statusnotification/<quiet station>/, of a status": path(
            f"statusnotification/{place.quiet}", status="SuspendedEV"
        ),
        "securityevent/": path("securityevent"),
        "securityevent/, of a station": path("securityevent", chargepoint_id=place.quiet),
        "securityevent/, of a month": path("securityevent", **ago),
        "event/": path("event"),
        "event/, of a station": path("event", chargepoint_id=place.quiet),
        "event/, of a month": path("event", **ago),
        "task/": path("task"),
        "task/, of a station": path("task", chargepoint_id=place.quiet),
        "task/, open": path("task", status="queued"),
        "task/, of an action": path("task", action="Reset"),
        "reservation/": path("reservation"),
    }


def pages(place: Place) -> dict[str, str]:
    """Name the pages of the admin over large tables."""
    return {
        "meter values": "/admin/chargers/metervalue/",
        "meter values of a station": f"/admin/chargers/metervalue/?chargepoint__exact={place.busy}",
        "meter values of a transaction": f"/admin/chargers/metervalue/?transaction__exact={place.ended}",
        "meter values, searched": f"/admin/chargers/metervalue/?q={place.quiet}",
        "transactions": "/admin/chargers/transaction/",
        "transactions of a station": f"/admin/chargers/transaction/?chargepoint__exact={place.quiet}",
        "statuses": "/admin/chargers/statusnotification/",
        "statuses of a station": f"/admin/chargers/statusnotification/?chargepoint__exact={place.quiet}",
        "meter values, searched by transaction": f"/admin/chargers/metervalue/?q={place.ended}",
        "transaction events": "/admin/chargers/transactionevent/",
        "transaction events, searched": f"/admin/chargers/transactionevent/?q={place.ended}",
        "events": "/admin/chargers/event/",
        "security events": "/admin/chargers/securityevent/",
        "commands": "/admin/tasks/command/",
    }


@contextmanager
def caught() -> Iterator[Found]:
    """Catch the statements of what happens inside, and undo it."""
    found = Found()

    def execute(run: Any, statement: str, parameters: Any, many: bool, context: Any) -> Any:
        found.statements.append((statement, parameters))
        return run(statement, parameters, many, context)

    began = time.perf_counter()
    try:
        with transaction.atomic():
            with connection.execute_wrapper(execute):
                yield found
            found.seconds = time.perf_counter() - began
            for statement, parameters in found.statements:
                tables = whole_tables(statement, parameters) & LARGE
                if statement.startswith(COUNT):
                    found.counted |= tables
                else:
                    found.whole |= tables
            transaction.set_rollback(True)
    except DatabaseError as error:
        found.seconds = time.perf_counter() - began
        found.failure = str(error).strip()


def whole_tables(statement: str, parameters: Any) -> set[str]:
    """Name the tables of which a statement reads every row, or nearly, by the database's own plan."""
    if statement.split(None, 1)[0] not in ("SELECT", "UPDATE", "DELETE", "WITH", "INSERT"):
        return set()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Of what only reads it can tell how much it has read.
            options = "ANALYZE, TIMING OFF, FORMAT JSON" if statement.startswith("SELECT") else "FORMAT JSON"
            cursor.execute(f"EXPLAIN ({options}) {statement}", parameters)
            (plan,) = cursor.fetchone()
            plan = json.loads(plan) if isinstance(plan, str) else plan
            return set(_whole(plan[0]["Plan"], _partial_indexes()))
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [step for *_, step in cursor.fetchall()]
    # It does not say that it reads a table in the order of its keys until a page is full.
    if " LIMIT " in statement and not any(step.startswith("USE TEMP B-TREE") for step in steps):
        return set()
    return {step.split()[1] for step in steps if step.startswith("SCAN ") and " USING " not in step}


@functools.cache
def _partial_indexes() -> frozenset[str]:
    """Name the indexes that hold some of the rows only: reading one from end to end reads just those."""
    models = (model for model in apps.get_models() if model._meta.db_table in LARGE)
    return frozenset(index.name for model in models for index in model._meta.indexes if index.condition is not None)


def _whole(node: Mapping[str, Any], partial: Set[str], *, limited: bool = False) -> Iterator[str]:
    """Walk a plan of PostgreSQL's. Reading an index in its order is not all of it under a limit that is soon reached."""
    kind = node["Node Type"]
    in_order = kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node
    soon_over = limited and node.get("Rows Removed by Filter", 0) <= TOLERATED
    if kind == "Seq Scan" or (in_order and not soon_over and node["Index Name"] not in partial):
        yield node["Relation Name"]
    # What sorts or adds up reads all there is.
    limited = kind == "Limit" or (limited and kind not in ("Sort", "Aggregate"))
    for part in node.get("Plans", ()):
        yield from _whole(part, partial, limited=limited)


def browser() -> Client:
    """Return a client of somebody who may see everything, by REST and in the admin."""
    user, _ = User.objects.get_or_create(username=USER, defaults={"is_staff": True, "is_superuser": True})
    client = Client(headers={"Authorization": f"Bearer {AccessToken.for_user(user)}", "Host": "localhost"})
    client.force_login(user)
    return client


def get(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"


def find(place: Place, *, times: int = 1) -> dict[str, dict[str, Found]]:
    """Do each use so many times; return what came of the last, by group and name."""
    with transaction.atomic():
        client = browser()
        found = {
            "stations": _each(STATIONS, times, lambda use: use(place)),
            "beat": _each(BEAT, times, lambda use: use(place)),
            "REST": _each(lists(place), times, lambda path: get(client, path)),
            "admin": _each(pages(place), times, lambda path: get(client, path)),
        }
        transaction.set_rollback(True)
    return found


def _each(uses: Mapping[str, Any], times: int, do: Callable[[Any], None]) -> dict[str, Found]:
    results = {}
    for name, use in uses.items():
        for _ in range(times):
            with caught() as results[name]:
                do(use)
    return results


def main() -> None:
    """Print the paths of the lists and what was found, with the database of the settings, as one JSON object."""
    place = Place.of_history()
    uses = {
        group: {
            name: {
                "statements": len(each.statements),
                "seconds": each.seconds,
                "whole": sorted(each.whole),
                "counted": sorted(each.counted),
                "failure": each.failure,
            }
            for name, each in uses.items()
        }
        # The first time loads what the second finds loaded, here and in the database.
        for group, uses in find(place, times=2).items()
    }
    json.dump({"paths": lists(place), "uses": uses}, sys.stdout)
