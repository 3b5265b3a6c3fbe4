"""Limits that others set at stations (2.0.1 K11 to K14)."""

from datetime import timedelta
from typing import Any

import pytest

from chargers import profiles
from chargers.changes import Changes
from chargers.models import ChargingLimit, InstalledProfile
from chargers.services import charginglimits
from chargers.values import ChargingLimitCleared, ChargingLimitReport
from tests.api import rows
from tests.chargers import told

pytestmark = pytest.mark.django_db

SCHEDULE: Any = {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 60, "limit": 20}]}


def report(**members: Any) -> Changes:
    changes = Changes()
    value = {"station": "CP1", "evse_id": 0, "source": "EMS", "at": told.at(0), "schedules": [SCHEDULE], **members}
    charginglimits.record([ChargingLimitReport(**value)], changes)
    return changes


def test_a_limit_takes_the_place_of_the_one_before_and_listeners_hear_of_it() -> None:
    told.station()
    first = report()
    second = report(at=told.at(1), is_grid_critical=True)
    row = ChargingLimit.objects.get()
    assert (row.received_at, row.is_grid_critical) == (told.at(1), True)
    assert first.rows == {"charginglimit": {row.pk: "created"}}
    assert second.rows == {"charginglimit": {row.pk: "updated"}}
    report(evse_id=1)
    report(source="SO")
    assert ChargingLimit.objects.count() == 3


def test_a_limit_without_a_start_began_when_it_was_told() -> None:
    told.station()
    report()
    [profile] = ChargingLimit.objects.get().profiles()
    assert profiles.limit_at(profile, told.at(0.5), None) is None
    limit = profiles.limit_at(profile, told.at(0) + timedelta(seconds=60), None)
    assert limit is not None
    assert (limit.limit, limit.unit) == (20, "A")


def test_a_limit_that_is_released_is_gone_with_the_constraints_it_was_listed_as() -> None:
    station = told.station()
    for source in ("EMS", "SO"):
        report(source=source)
    constraint = {"purpose": "ChargingStationExternalConstraints"}
    rows.installed_profile(station, -1, source="EMS", **constraint)
    rows.installed_profile(station, -2, source="SO", **constraint)
    rows.installed_profile(station, 3)
    changes = Changes()
    charginglimits.clear([ChargingLimitCleared("CP1", "EMS")], changes)
    assert [row.source for row in ChargingLimit.objects.all()] == ["SO"]
    assert sorted(InstalledProfile.objects.values_list("chargingprofile_id", flat=True)) == [-2, 3]
    assert [topic for topic, _, _ in changes.removed] == ["charginglimit", "chargingprofile"]


def test_a_station_that_was_deleted_meanwhile_has_no_limits() -> None:
    report()
    assert not ChargingLimit.objects.exists()
