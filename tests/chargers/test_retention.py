"""Retention: old history goes in small steps, and what is still of use stays."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from chargers.models import ChargePoint, MeterValue, SecurityEvent, StatusNotification, Transaction, TransactionEvent
from chargers.services import retention
from tests.api import rows

pytestmark = pytest.mark.django_db

NOW = timezone.now()
OLD = NOW - timedelta(days=40)
YOUNG = NOW - timedelta(days=20)
TABLE = {kind.model: kind.model._meta.db_table for kind in retention.KINDS}


@pytest.fixture(autouse=True)
def thirty_days(settings: Settings) -> None:
    for kind in retention.KINDS:
        setattr(settings, kind.setting, 30)


@pytest.fixture
def station(db: None) -> ChargePoint:
    return rows.station()


def go_on(seconds: float) -> bool:
    return False


def prune(rest: retention.Rest = go_on, **options: Any) -> Counter[str]:
    removed: Counter[str] = Counter()
    assert retention.prune(retention.KINDS, now=NOW, removed=removed, rest=rest, **options)
    return removed


def event_of(of: Transaction, at: Any) -> TransactionEvent:
    return TransactionEvent.objects.create(transaction=of, seq_no=1, kind="Updated", timestamp=at, received_at=at)


def ended(of: ChargePoint, **fields: Any) -> Transaction:
    return rows.transaction(of, stop_transaction_timestamp=OLD, **fields)


# By the name of the model: what makes a row that the platform heard of at a time.
MADE: dict[str, Callable[[ChargePoint, Any], Any]] = {
    "SecurityEvent": lambda of, at: rows.security_event(of, received_at=at),
    "Event": lambda of, at: rows.event(of, rows.Event.objects.count(), received_at=at),
    "Reservation": lambda of, at: rows.reservation(of, status="Used", created_at=at),
    "FirmwareUpdate": lambda of, at: rows.firmware_update(of, status="Installed", status_at=at),
    "FirmwarePublication": lambda of, at: rows.firmware_publication(of, status="Unpublished", status_at=at),
    "LogUpload": lambda of, at: rows.log_upload(of, status="Uploaded", status_at=at),
    "ChargingNeeds": lambda of, at: rows.charging_needs(of, received_at=at),
    "EVSchedule": lambda of, at: rows.ev_schedule(of, received_at=at),
    "StatusNotification": lambda of, at: rows.status(of, received_at=at),
    "TransactionEvent": lambda of, at: event_of(ended(of), at),
    "MeterValue": lambda of, at: reading(ended(of), at),
}


def reading(of: Transaction, at: Any) -> MeterValue:
    row = rows.reading(of, [{"value": "1"}])
    MeterValue.objects.filter(pk=row.pk).update(received_at=at)
    return row


@pytest.mark.parametrize("kind", retention.KINDS, ids=lambda kind: kind.model.__name__)
def test_what_is_older_than_its_setting_goes_and_the_rest_stays(
    kind: retention.Kind, station: ChargePoint, settings: Settings
) -> None:
    make = MADE[kind.model.__name__]
    old = [make(station, OLD).pk for _ in range(3)]
    young = [make(station, YOUNG).pk for _ in range(2)]

    setattr(settings, kind.setting, 0)
    assert prune()[TABLE[kind.model]] == 0
    assert kind.model._default_manager.count() == len(old + young)

    setattr(settings, kind.setting, 30)
    assert prune(dry=True)[TABLE[kind.model]] == len(old)
    assert kind.model._default_manager.count() == len(old + young)

    assert prune()[TABLE[kind.model]] == len(old)
    assert set(kind.model._default_manager.values_list("pk", flat=True)) == set(young)
    assert prune().total() == 0


def test_age_is_when_the_platform_heard_and_not_what_the_station_says(station: ChargePoint) -> None:
    rows.status(station, timestamp=NOW + timedelta(days=20000), received_at=OLD)
    wrong_clock = rows.status(station, timestamp=NOW - timedelta(days=20000), received_at=YOUNG)
    prune()
    assert StatusNotification.objects.get() == wrong_clock


def test_what_belongs_to_a_running_transaction_stays_until_it_has_ended(station: ChargePoint) -> None:
    running = rows.transaction(station)
    reading(running, OLD)
    event_of(running, OLD)
    rows.charging_needs(station, transaction=running, received_at=OLD)
    reading(ended(station), OLD)
    assert prune() == {TABLE[MeterValue]: 1}

    Transaction.objects.filter(pk=running.pk).update(stop_transaction_timestamp=NOW)
    assert prune() == {TABLE[MeterValue]: 1, TABLE[TransactionEvent]: 1, "chargers_chargingneeds": 1}


def test_a_reading_of_no_transaction_goes_too(station: ChargePoint) -> None:
    row = reading(ended(station), OLD)
    MeterValue.objects.filter(pk=row.pk).update(transaction=None)
    assert prune() == {TABLE[MeterValue]: 1}


def test_transactions_stay_and_so_does_their_energy(station: ChargePoint) -> None:
    of = ended(station, wh_meter_start=1000, wh_meter_last=4000, wh_meter_stop=4500, received_at=OLD)
    reading(of, OLD)
    prune()
    assert not MeterValue.objects.exists()
    assert Transaction.objects.get().energy_wh == Decimal(3500)


@pytest.mark.parametrize(
    ("model", "status"),
    [
        (rows.reservation, "Accepted"),
        (rows.firmware_update, "Downloading"),
        (rows.log_upload, "Uploading"),
        (rows.firmware_publication, "Published"),
    ],
)
def test_what_is_not_over_stays(model: Callable[..., Any], status: str, station: ChargePoint) -> None:
    at = "created_at" if model is rows.reservation else "status_at"
    model(station, status=status, **{at: OLD})
    assert prune().total() == 0


def test_a_row_that_stays_hides_none_behind_it(station: ChargePoint, settings: Settings) -> None:
    settings.RETENTION_STEP = 2
    running = rows.transaction(station)
    kept = [reading(running, OLD).pk for _ in range(5)]
    gone = [reading(ended(station), OLD).pk for _ in range(5)]
    late = reading(ended(station), YOUNG).pk
    assert prune() == {TABLE[MeterValue]: len(gone)}
    assert set(MeterValue.objects.values_list("pk", flat=True)) == {*kept, late}


def test_rows_out_of_order_are_removed_when_they_are_old_and_only_then(station: ChargePoint) -> None:
    """A clock that jumps leaves such rows: some at the head that look new keep none behind them."""
    for at in [YOUNG, YOUNG, OLD, OLD, OLD, OLD, OLD, YOUNG, OLD, YOUNG]:
        rows.status(station, received_at=at)
    prune()
    left = list(StatusNotification.objects.values_list("received_at", flat=True))
    assert left.count(YOUNG) == 4
    assert left.count(OLD) <= 1
    StatusNotification.objects.update(received_at=OLD)
    prune()
    assert not StatusNotification.objects.exists()


def test_a_step_removes_so_many_rows_at_most_and_rests_after_each(station: ChargePoint, settings: Settings) -> None:
    settings.RETENTION_STEP = 3
    for _ in range(10):
        rows.status(station, received_at=OLD)
    left: list[int] = []
    rests: list[float] = []

    def rest(seconds: float) -> bool:
        left.append(StatusNotification.objects.count())
        rests.append(seconds)
        return False

    prune(rest)
    assert left == [7, 4, 1, 0]
    assert all(seconds >= retention.LEAST_REST for seconds in rests)


def test_it_stops_when_it_is_told_to(station: ChargePoint, settings: Settings) -> None:
    settings.RETENTION_STEP = 2
    for _ in range(10):
        rows.status(station, received_at=OLD)
    removed: Counter[str] = Counter()
    assert not retention.prune(retention.KINDS, now=NOW, removed=removed, rest=lambda seconds: True)
    assert removed == {TABLE[StatusNotification]: 2}
    assert StatusNotification.objects.count() == 8


def test_it_stops_when_its_time_is_over(station: ChargePoint, settings: Settings) -> None:
    settings.RETENTION_STEP = 1
    for _ in range(3):
        rows.status(station, received_at=OLD)
    removed: Counter[str] = Counter()
    assert not retention.prune(retention.KINDS, now=NOW, removed=removed, rest=go_on, seconds=0)
    assert removed.total() == 1


def test_the_end_of_what_is_old_is_found_without_reading_it_all(station: ChargePoint) -> None:
    for number in range(400):
        rows.status(station, received_at=OLD if number < 150 else YOUNG)
    with CaptureQueriesContext(connection) as asked:
        assert prune() == {TABLE[StatusNotification]: 150}
    # Nine halvings find one among 400.
    assert len(asked) <= 2 * len(retention.KINDS) + 20
    with CaptureQueriesContext(connection) as asked:
        assert prune().total() == 0
    assert len(asked) <= 2 * len(retention.KINDS) + 10


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_remove_each_row_once(settings: Settings, short_connections: None) -> None:
    settings.RETENTION_STEP = 20
    station = rows.station()
    StatusNotification.objects.bulk_create(
        StatusNotification(
            chargepoint=station, evse_id=1, connectorid=1, status="Available", timestamp=OLD, received_at=OLD
        )
        for _ in range(400)
    )
    both: list[Counter[str]] = [Counter(), Counter()]
    failures: list[BaseException] = []
    start = threading.Barrier(len(both))

    def run(removed: Counter[str]) -> None:
        try:
            start.wait(10)
            while StatusNotification.objects.exists():
                retention.prune(retention.KINDS, now=NOW, removed=removed, rest=go_on)
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[removed]) for removed in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert sum(each.total() for each in both) == 400


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_is_at_is_left_for_the_next_run(short_connections: None) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole database")
    station = rows.station()
    held = rows.security_event(station, received_at=OLD)
    rows.security_event(station, received_at=OLD)
    removed: list[Counter[str]] = []

    def run() -> None:
        try:
            removed.append(prune())
        finally:
            connections.close_all()

    with transaction.atomic():
        SecurityEvent.objects.select_for_update().get(pk=held.pk)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(30)
        assert removed == [{TABLE[SecurityEvent]: 1}]
    assert SecurityEvent.objects.get() == held
    assert prune() == {TABLE[SecurityEvent]: 1}
