"""Charging profiles in store as OCPP 2.0.1 has them, and what stations tell of limits and vehicles."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from chargers.models import ChargingProfile
from tasks.models import Command
from tests.api import rows

pytestmark = pytest.mark.django_db

PATH, OLD_PATH = "/api/chargingprofile201/", "/api/chargingprofile16/"
PERIOD = {"start_period": 0, "limit": 16}
SCHEDULE: dict[str, Any] = {"charging_rate_unit": "A", "charging_schedule_period": [PERIOD]}
TARIFF = {"id": 1, "sales_tariff_entry": [{"relative_time_interval": {"start": 0}, "e_price_level": 1}]}
WHOLE: dict[str, Any] = {
    "id": 7,
    "duration": 3600,
    "start_schedule": "2026-03-01T12:00:00Z",
    "charging_rate_unit": "W",
    "charging_schedule_period": [{"start_period": 0, "limit": 3600.5, "number_phases": 1, "phase_to_use": 2}],
    "min_charging_rate": 1380,
    "sales_tariff": TARIFF,
}
BODY: dict[str, Any] = {
    "stack_level": 1,
    "chargingprofile_purpose": "TxProfile",
    "chargingprofile_kind": "Absolute",
    "recurrency_kind": None,
    "valid_from": "2026-03-01T00:00:00Z",
    "valid_to": "2026-04-01T00:00:00Z",
    "transaction_id": 7,
    "charging_schedule": [WHOLE, {**WHOLE, "id": 8}],
}
PLAIN = {
    "chargingprofile_purpose": "TxDefaultProfile",
    "chargingprofile_kind": "Relative",
    "charging_schedule": [SCHEDULE],
}


def test_a_profile_is_added_read_changed_and_deleted(operator: APIClient) -> None:
    created = operator.post(PATH, BODY)
    assert created.status_code == 201
    number = created.json()["chargingprofile_id"]
    path = f"{PATH}{number}/"
    assert operator.get(path).json() == created.json() == {"chargingprofile_id": number, **BODY}
    changed = operator.patch(path, {"stack_level": 2})
    assert changed.json() == {"chargingprofile_id": number, **BODY, "stack_level": 2}
    assert operator.delete(path).status_code == 204
    assert not ChargingProfile.objects.exists()


def test_both_versions_have_the_same_profiles_as_far_as_1_6_can_say_them(operator: APIClient) -> None:
    number = operator.post(PATH, {**PLAIN, "chargingprofile_purpose": "ChargingStationMaxProfile"}).json()
    operator.post(PATH, BODY)
    old = operator.get(OLD_PATH).json()["results"]
    assert [row["chargingprofile_id"] for row in old] == [number["chargingprofile_id"]]
    assert old[0]["chargingprofile_purpose"] == "ChargePointMaxProfile"
    assert old[0]["chargingschedule_period"] == [{**PERIOD, "number_phases": None}]
    assert len(operator.get(PATH).json()["results"]) == 2


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"chargingprofile_purpose": "ChargingStationExternalConstraints"}, {"chargingprofile_purpose"}),
        ({"chargingprofile_purpose": "TxDefaultProfile", "transaction_id": None}, {"charging_schedule"}),
        ({"charging_schedule": []}, {"charging_schedule"}),
        ({"charging_schedule": [{**SCHEDULE, "id": number} for number in range(4)]}, {"charging_schedule"}),
        ({"charging_schedule": [WHOLE, WHOLE]}, {"charging_schedule.1.id"}),
        ({"charging_schedule": [{**WHOLE, "duration": 0}]}, {"charging_schedule.0.duration"}),
        ({"charging_schedule": [{**WHOLE, "limit": 1}]}, {"charging_schedule.0.limit"}),
        (
            {"charging_schedule": [{**SCHEDULE, "charging_schedule_period": [{**PERIOD, "phase_to_use": 1}]}]},
            {"charging_schedule.0.charging_schedule_period.0.phase_to_use"},
        ),
        (
            {"charging_schedule": [{**WHOLE, "sales_tariff": {"id": 1}}]},
            {"charging_schedule.0.sales_tariff.sales_tariff_entry"},
        ),
        (
            {"charging_schedule": [{**WHOLE, "sales_tariff": {**TARIFF, "price": 1}}]},
            {"charging_schedule.0.sales_tariff.price"},
        ),
    ],
)
def test_a_bad_profile_is_refused_by_field(change: dict[str, Any], fields: set[str], operator: APIClient) -> None:
    refused = operator.post(PATH, {**BODY, **change})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == fields
    assert not ChargingProfile.objects.exists()


def test_a_profile_that_1_6_cannot_say_is_not_sent_to_a_station_of_1_6(operator: APIClient) -> None:
    rows.station(connected=True)
    stored = operator.post(PATH, BODY).json()["chargingprofile_id"]
    body = {"chargepoint_id": "CP001", "connector_id": 1, "charging_profile_id": stored}
    refused = operator.post("/api/ocpp16/setchargingprofile/", body)
    assert (refused.status_code, refused.json()["details"].keys()) == (400, {"charging_profile_id"})


def test_no_more_profiles_are_set_than_a_station_holds(operator: APIClient) -> None:
    station = rows.station(connected=True, ocpp_version="ocpp2.0.1")
    rows.variable(
        station,
        "Entries",
        None,
        component="SmartChargingCtrlr",
        variable_instance="ChargingProfiles",
        characteristics={"data_type": "integer", "max_limit": 1.0, "supports_monitoring": False},
    )
    rows.installed_profile(station, 5, evse_id=1, stack_level=3)
    schedule = {"id": 1, "charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 16}]}
    told = {
        "stack_level": 0,
        "charging_profile_purpose": "TxDefaultProfile",
        "charging_profile_kind": "Relative",
        "charging_schedule": [schedule],
    }
    body = {"chargepoint_id": "CP001", "evse_id": 1, "charging_profile": {"id": 6, **told}}
    refused = operator.post("/api/ocpp201/setchargingprofile/", body)
    assert refused.status_code == 400
    assert refused.json()["details"] == {
        "charging_profile.id": ["The station holds 1 profiles at most, and has them: clear or replace one."]
    }
    assert not Command.objects.exists()


def test_limits_of_others_are_listed_by_station_evse_and_source(viewer: APIClient) -> None:
    station = rows.station()
    limit = rows.charging_limit(station, is_grid_critical=True)
    rows.charging_limit(station, evse_id=1, source="SO", schedules=[])
    rows.charging_limit(rows.station("CP2"))
    results = viewer.get("/api/charginglimit/", {"chargepoint_id": "CP001", "source": "EMS"}).json()["results"]
    assert results == [viewer.get(f"/api/charginglimit/{limit.pk}/").json()]
    assert results[0] == {
        "id": limit.pk,
        "chargepoint_id": "CP001",
        "evse_id": 0,
        "charging_limit_source": "EMS",
        "is_grid_critical": True,
        "charging_schedule": [
            {
                "id": None,
                "duration": None,
                "start_schedule": None,
                "charging_rate_unit": "A",
                "charging_schedule_period": [{**PERIOD, "number_phases": None, "phase_to_use": None}],
                "min_charging_rate": None,
                "sales_tariff": None,
            }
        ],
        "received_at": "2026-03-01T12:00:00Z",
    }
    assert len(viewer.get("/api/charginglimit/", {"evse_id": 1}).json()["results"]) == 1


def test_what_vehicles_need_and_say_is_listed_by_transaction(viewer: APIClient) -> None:
    station = rows.station()
    transaction = rows.transaction(station)
    needs = rows.charging_needs(station, transaction=transaction, departure_time=rows.NOON, chargingprofile_id=5)
    said = rows.ev_schedule(station, transaction=transaction, within_limits=False)
    rows.charging_needs(station)
    rows.ev_schedule(station)
    [row] = viewer.get("/api/chargingneeds/", {"transaction_id": transaction.pk}).json()["results"]
    assert row == {
        "id": needs.pk,
        "chargepoint_id": "CP001",
        "evse_id": 1,
        "transaction_id": transaction.pk,
        "requested_energy_transfer": "DC",
        "departure_time": "2026-03-01T12:00:00Z",
        "max_schedule_tuples": None,
        "parameters": {"ev_max_current": 125},
        "needs_status": "Accepted",
        "chargingprofile_id": 5,
        "charging_schedule": [],
        "received_at": "2026-03-01T12:00:00Z",
    }
    [row] = viewer.get("/api/evschedule/", {"transaction_id": transaction.pk}).json()["results"]
    assert (row["id"], row["within_limits"], row["time_base"]) == (said.pk, False, "2026-03-01T12:00:00Z")
    assert row["charging_schedule"]["charging_rate_unit"] == "A"
