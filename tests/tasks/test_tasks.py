"""What the worker runs, without a worker: each task is one call of a service, told to listeners."""

from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import Retry
from django.utils import timezone
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import ConnectorStatus, OcppVersion, ProfileState, ReservationStatus
from chargers.models import ChargePoint, Connector, CsmsNode, InstalledProfile, LogUpload, Reservation, Transaction
from ov2xmp.celery import app
from tasks import broker, tasks, updates
from tasks.models import Command, CommandStatus
from tests.api import rows

NOW = timezone.now()
PAST = NOW - timedelta(hours=1)

pytestmark = pytest.mark.usefixtures("db", "redis_settings")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Changes]:
    """Return a list that gets what is told to listeners."""
    changes: list[Changes] = []
    monkeypatch.setattr(updates, "publish", changes.append)
    return changes


def command(**fields: Any) -> Command:
    defaults: dict[str, Any] = {
        "ocpp_version": OcppVersion.V16,
        "action": "Reset",
        "payload": {},
        "created_at": PAST,
        "expires_at": PAST,
    }
    return Command.objects.create(**{**defaults, **fields})


def node(**fields: Any) -> CsmsNode:
    return CsmsNode.objects.create(**{"node_id": "n", "name": "n", "started_at": PAST, "lease_until": PAST, **fields})


def test_relaying_ends_a_command_for_a_station_that_is_offline(told: list[Changes]) -> None:
    row = command(chargepoint_id="CP1")
    tasks.relay_command(command_id=str(row.pk), of_a_later_version=True)
    row.refresh_from_db()
    assert row.status == "offline"
    assert told[0].rows == {"tasks": {row.pk: "updated"}}


def test_relaying_is_tried_again_while_redis_is_away(
    settings: Settings, told: list[Changes], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = node(lease_until=timezone.now() + timedelta(minutes=5))
    station = ChargePoint.objects.create(chargepoint_id="CP1", node=alive)
    row = command(chargepoint=station)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    monkeypatch.setattr(tasks.relay_command, "retry", lambda exc: Retry(exc=exc))
    with pytest.raises(Retry):
        tasks.relay_command(command_id=str(row.pk))
    row.refresh_from_db()
    assert row.status == "queued"


def test_the_sweep_ends_commands_and_says_that_the_worker_is_alive(told: list[Changes]) -> None:
    row = command(status=CommandStatus.SENT)
    assert not broker.worker_is_alive()
    tasks.sweep_commands(of_a_later_version=True)
    row.refresh_from_db()
    assert row.status == "timeout"
    assert broker.worker_is_alive()
    assert told[0].rows == {"tasks": {row.pk: "updated"}}


def test_the_sweep_does_its_work_though_redis_is_away(settings: Settings, told: list[Changes]) -> None:
    row = command(status=CommandStatus.SENT)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    broker.client.cache_clear()
    tasks.sweep_commands()
    row.refresh_from_db()
    assert row.status == "timeout"


def test_stations_of_a_dead_node_are_marked_offline(told: list[Changes]) -> None:
    ChargePoint.objects.create(chargepoint_id="CP1", node=node())
    tasks.sweep_nodes()
    assert ChargePoint.objects.get().node_id is None
    assert told[0].rows == {"chargepoint": {"CP1": "updated"}}


def test_a_transaction_whose_connector_has_long_been_available_is_closed(told: list[Changes]) -> None:
    station = ChargePoint.objects.create(chargepoint_id="CP1")
    connector = Connector.objects.create(
        chargepoint=station,
        evse_id=1,
        connector_status=ConnectorStatus.AVAILABLE,
        status_timestamp=NOW - timedelta(minutes=30),
    )
    row = Transaction.objects.create(
        chargepoint=station,
        connector=connector,
        start_transaction_timestamp=PAST,
        received_at=PAST,
    )
    tasks.close_abandoned_transactions()
    row.refresh_from_db()
    assert row.flags == ["no_stop"]
    assert row.stop_transaction_timestamp == connector.status_timestamp
    assert told[0].rows["transaction"] == {row.pk: "updated"}


def test_a_job_of_which_nothing_is_heard_is_given_up(settings: Settings, told: list[Changes]) -> None:
    settings.OCPP_JOB_TIMEOUT = 1800
    row = LogUpload.objects.create(chargepoint_id="CP1", status_at=PAST, waits_from=PAST)
    tasks.time_out_jobs(of_a_later_version=True)
    row.refresh_from_db()
    assert row.status == "TimedOut"
    assert told[0].rows == {"logupload": {row.pk: "updated"}}


def test_a_reservation_whose_time_is_over_expires(told: list[Changes]) -> None:
    station = ChargePoint.objects.create(chargepoint_id="CP1")
    over, running = (
        Reservation.objects.create(
            chargepoint=station,
            reservation_id=number,
            evse_id=number,
            status=ReservationStatus.ACCEPTED,
            expiry_date=expiry,
            created_at=PAST,
        )
        for number, expiry in enumerate((PAST, NOW + timedelta(hours=1)), 1)
    )
    tasks.expire_reservations(of_a_later_version=True)
    over.refresh_from_db()
    running.refresh_from_db()
    assert (over.status, running.status) == ("Expired", "Accepted")
    assert told[0].rows == {"reservation": {over.pk: "updated"}}


def test_profiles_that_wait_in_vain_are_forgotten_and_told_of(told: list[Changes]) -> None:
    station = rows.station()
    rows.installed_profile(station, 1, since=PAST)
    rows.installed_profile(station, 2, state=ProfileState.PENDING, since=PAST)
    tasks.review_charging_profiles(of_a_later_version=True)
    assert InstalledProfile.objects.get().chargingprofile_id == 1
    assert [(topic, of, data["chargingprofile_id"]) for topic, of, data in told[0].removed] == [
        ("chargingprofile", "CP001", 2)
    ]


def test_every_scheduled_task_exists(settings: Settings) -> None:
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled <= set(app.tasks)
