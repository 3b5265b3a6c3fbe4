"""Composite schedules: the last one of each EVSE and unit."""

import pytest

from chargers.changes import Changes
from chargers.models import ChargePoint, CompositeSchedule
from chargers.services import compositeschedules
from chargers.values import CompositeReport
from tests.chargers import told
from tests.chargers.told import at

pytestmark = pytest.mark.django_db


def report(minute: float, unit: str = "A", evse_id: int = 1, limit: float = 16) -> None:
    periods = [{"start_period": 0, "limit": limit}]
    value = CompositeReport("CP1", evse_id, unit, at(minute), at(minute), 3600, None, periods)  # type: ignore[arg-type]
    assert compositeschedules.record([value], Changes()) == [None]


def test_the_last_schedule_of_each_evse_and_unit_is_kept() -> None:
    told.station()
    report(0)
    report(1, "W", limit=11_000)
    report(2, evse_id=2)
    report(3, limit=10)
    kept = {
        (row.evse_id, row.charging_rate_unit): (row.received_at, row.charging_schedule_period[0]["limit"])
        for row in CompositeSchedule.objects.all()
    }
    assert kept == {(1, "A"): (at(3), 10), (1, "W"): (at(1), 11_000), (2, "A"): (at(2), 16)}


def test_a_station_that_was_deleted_meanwhile_has_none() -> None:
    told.station()
    ChargePoint.objects.all().delete()
    report(0)
    assert not CompositeSchedule.objects.exists()
