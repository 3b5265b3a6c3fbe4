from typing import Any

import pytest
from rest_framework.test import APIClient

from chargers.models import ChargingProfile, InstalledProfile
from tests.api import rows

pytestmark = pytest.mark.django_db

PATH = "/api/chargingprofile16/"
BODY: dict[str, Any] = {
    "stack_level": 1,
    "chargingprofile_purpose": "ChargePointMaxProfile",
    "chargingprofile_kind": "Recurring",
    "recurrency_kind": "Daily",
    "valid_from": "2026-03-01T00:00:00Z",
    "valid_to": "2026-04-01T00:00:00Z",
    "duration": 86_400,
    "start_schedule": "2026-03-01T12:00:00Z",
    "charging_rate_unit": "W",
    "chargingschedule_period": [
        {"start_period": 0, "limit": 11_000, "number_phases": 3},
        {"start_period": 28_800, "limit": 6000.5, "number_phases": None},
    ],
    "min_charging_rate": 1380,
    "transaction_id": None,
}
PLAIN = {
    "chargingprofile_purpose": "TxDefaultProfile",
    "chargingprofile_kind": "Relative",
    "charging_rate_unit": "A",
    "chargingschedule_period": [{"start_period": 0, "limit": 16}],
}


def test_a_profile_is_added_read_changed_and_deleted(operator: APIClient) -> None:
    created = operator.post(PATH, BODY)
    assert created.status_code == 201
    number = created.json()["chargingprofile_id"]
    path = f"{PATH}{number}/"
    assert operator.get(path).json() == created.json() == {"chargingprofile_id": number, **BODY}
    assert operator.get(PATH).json()["results"] == [created.json()]

    changed = operator.patch(path, {"stack_level": 2, "duration": None, "min_charging_rate": None})
    assert changed.status_code == 200
    wanted = {"stack_level": 2, "duration": None, "min_charging_rate": None}
    assert changed.json() == {"chargingprofile_id": number, **BODY, **wanted}

    assert operator.delete(path).status_code == 204
    assert not ChargingProfile.objects.exists()


def test_what_is_stored_has_the_words_of_every_version(operator: APIClient) -> None:
    operator.post(PATH, BODY)
    row = ChargingProfile.objects.get()
    assert row.purpose == "ChargingStationMaxProfile"
    assert row.schedules == [
        {
            "duration": 86_400,
            "start_schedule": "2026-03-01T12:00:00Z",
            "charging_rate_unit": "W",
            "charging_schedule_period": [
                {"start_period": 0, "limit": 11_000, "number_phases": 3},
                {"start_period": 28_800, "limit": 6000.5},
            ],
            "min_charging_rate": 1380,
        }
    ]


def test_little_is_enough_and_the_rest_is_null(operator: APIClient) -> None:
    created = operator.post(PATH, PLAIN).json()
    absent = ("recurrency_kind", "valid_from", "valid_to", "duration", "start_schedule", "min_charging_rate")
    assert {created[name] for name in (*absent, "transaction_id")} == {None}
    assert created["stack_level"] == 0
    assert created["chargingschedule_period"] == [{"start_period": 0, "limit": 16, "number_phases": None}]


def test_times_are_taken_from_any_zone(operator: APIClient) -> None:
    created = operator.post(PATH, {**BODY, "start_schedule": "2026-03-01T14:00:00+02:00"}).json()
    assert created["start_schedule"] == "2026-03-01T12:00:00Z"


def test_a_blank_recurrence_is_none(operator: APIClient) -> None:
    for blank in (None, ""):
        created = operator.post(PATH, {**PLAIN, "recurrency_kind": blank})
        assert (created.status_code, created.json()["recurrency_kind"]) == (201, None)


def periods(*told: dict[str, Any]) -> dict[str, Any]:
    return {"chargingschedule_period": list(told)}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"stack_level": -1}, {"stack_level"}),
        ({"stack_level": None}, {"stack_level"}),
        ({"chargingprofile_purpose": "ChargingStationMaxProfile"}, {"chargingprofile_purpose"}),
        ({"chargingprofile_kind": "Sometimes"}, {"chargingprofile_kind"}),
        ({"chargingprofile_kind": "Absolute"}, {"recurrency_kind"}),
        ({"recurrency_kind": None}, {"recurrency_kind"}),
        ({"valid_to": "2026-02-01T00:00:00Z"}, {"valid_to"}),
        ({"duration": 86_401}, {"duration"}),
        ({"duration": 0}, {"duration"}),
        ({"duration": 28_800}, {"chargingschedule_period.1.start_period"}),
        ({"start_schedule": None}, {"start_schedule"}),
        ({"start_schedule": "noon"}, {"start_schedule"}),
        ({"charging_rate_unit": "kW"}, {"charging_rate_unit"}),
        ({"min_charging_rate": 0.25}, {"min_charging_rate"}),
        ({"transaction_id": 7}, {"transaction_id"}),
        (periods(), {"chargingschedule_period"}),
        ({"chargingschedule_period": "all day"}, {"chargingschedule_period"}),
        (periods({"limit": 1}), {"chargingschedule_period.0.start_period"}),
        (periods({"start_period": 0, "limit": 1, "phases": 1}), {"chargingschedule_period.0.phases"}),
        (periods({"start_period": 0, "limit": 1, "number_phases": 4}), {"chargingschedule_period.0.number_phases"}),
        (
            periods({"start_period": 60, "limit": 1.25}),
            {
                "chargingschedule_period.0.start_period",
                "chargingschedule_period.0.limit",
            },
        ),
        ({"chargingprofile_id": 7}, {"chargingprofile_id"}),
        ({"schedules": []}, {"schedules"}),
    ],
)
def test_a_bad_profile_is_refused_by_field_when_it_is_added_and_when_it_is_changed(
    change: dict[str, Any], fields: set[str], operator: APIClient
) -> None:
    refused = operator.post(PATH, {**BODY, **change})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == fields
    assert not ChargingProfile.objects.exists()

    created = operator.post(PATH, BODY).json()
    path = f"{PATH}{created['chargingprofile_id']}/"
    refused = operator.patch(path, change)
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == fields
    assert operator.get(path).json() == created


def test_what_is_missing_is_named(operator: APIClient) -> None:
    refused = operator.post(PATH, {})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == PLAIN.keys()


@pytest.mark.parametrize("number", ["4711", "x", str(10**30)])
def test_a_profile_that_is_not_there_has_a_code_of_its_own(number: str, operator: APIClient) -> None:
    for ask in (operator.get, operator.patch, operator.delete):
        response = ask(f"{PATH}{number}/")
        assert (response.status_code, response.json()["code"]) == (404, "CHARGING_PROFILE_DOES_NOT_EXIST")
    rows.station(connected=True)
    if number.isdecimal():
        body = {"chargepoint_id": "CP001", "connector_id": 0, "charging_profile_id": int(number)}
        response = operator.post("/api/ocpp16/setchargingprofile/", body)
        assert (response.status_code, response.json()["code"]) == (404, "CHARGING_PROFILE_DOES_NOT_EXIST")


def test_deleting_a_profile_changes_nothing_at_the_stations(operator: APIClient) -> None:
    stored = rows.charging_profile()
    rows.installed_profile(rows.station(), stored.pk)
    assert operator.delete(f"{PATH}{stored.pk}/").status_code == 204
    assert InstalledProfile.objects.get().chargingprofile_id == stored.pk


# What stations have


def test_installed_profiles_are_listed_by_station_evse_and_purpose(viewer: APIClient) -> None:
    station, other = rows.station(), rows.station("CP2")
    transaction = rows.transaction(station)
    rows.installed_profile(station, 1, purpose="ChargingStationMaxProfile")
    rows.installed_profile(station, 2, evse_id=1, purpose="TxProfile", transaction=transaction)
    rows.installed_profile(station, 3, evse_id=1, purpose="TxProfile", state="Pending")
    rows.installed_profile(other, 1)

    def found(**query: Any) -> list[tuple[str, int]]:
        results = viewer.get("/api/installedprofile/", query).json()["results"]
        return [(row["chargepoint_id"], row["chargingprofile_id"]) for row in results]

    assert found() == [("CP001", 1), ("CP001", 2), ("CP001", 3), ("CP2", 1)]
    assert found(chargepoint_id="cp001", evse_id=1) == [("CP001", 2), ("CP001", 3)]
    assert found(purpose="ChargingStationMaxProfile") == [("CP001", 1)]
    assert viewer.get("/api/installedprofile/", {"purpose": "Nonsense"}).status_code == 400


def test_an_installed_profile_tells_all_that_is_believed_of_it(viewer: APIClient) -> None:
    station = rows.station()
    transaction = rows.transaction(station)
    row = rows.installed_profile(station, 2, evse_id=1, purpose="TxProfile", transaction=transaction, stack_level=3)
    assert viewer.get(f"/api/installedprofile/{row.pk}/").json() == {
        "id": row.pk,
        "chargepoint_id": "CP001",
        "evse_id": 1,
        "profile_state": "Installed",
        "since": "2026-03-01T12:00:00Z",
        "charging_limit_source": "CSO",
        "without_effect": False,
        "chargingprofile_id": 2,
        "stack_level": 3,
        "chargingprofile_purpose": "TxProfile",
        "chargingprofile_kind": "Relative",
        "recurrency_kind": None,
        "valid_from": None,
        "valid_to": None,
        "transaction_id": transaction.pk,
        "charging_schedule": [
            {
                "id": None,
                "duration": None,
                "start_schedule": None,
                "charging_rate_unit": "A",
                "charging_schedule_period": [
                    {"start_period": 0, "limit": 16, "number_phases": None, "phase_to_use": None}
                ],
                "min_charging_rate": None,
                "sales_tariff": None,
            }
        ],
    }


def test_composite_schedules_are_those_of_a_station(viewer: APIClient) -> None:
    station = rows.station()
    rows.composite_schedule(station, duration=3600)
    rows.composite_schedule(station, evse_id=2, charging_rate_unit="", charging_schedule_period=[], schedule_start=None)
    rows.composite_schedule(rows.station("CP2"))
    results = viewer.get("/api/compositeschedule/", {"chargepoint_id": "CP001"}).json()["results"]
    known = {"chargepoint_id": "CP001", "min_charging_rate": None, "received_at": "2026-03-01T12:00:00Z"}
    assert results == [
        {
            **known,
            "evse_id": 1,
            "schedule_start": "2026-03-01T12:00:00Z",
            "duration": 3600,
            "charging_rate_unit": "A",
            "chargingschedule_period": [{"start_period": 0, "limit": 16, "number_phases": None, "phase_to_use": None}],
        },
        {
            **known,
            "evse_id": 2,
            "schedule_start": None,
            "duration": None,
            "charging_rate_unit": "",
            "chargingschedule_period": [],
        },
    ]
    assert len(viewer.get("/api/compositeschedule/", {"evse_id": 2}).json()["results"]) == 1
