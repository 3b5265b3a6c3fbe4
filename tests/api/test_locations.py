from typing import Any

import pytest
from rest_framework.test import APIClient

from chargers.models import ChargePoint, Location
from tests.api import rows
from tests.api.conftest import Listen

pytestmark = pytest.mark.django_db


def test_a_location_is_added_changed_and_deleted(operator: APIClient) -> None:
    body = {
        "name": "Depot",
        "address": "Ermou 1",
        "city": "Athens",
        "postal_code": "105 63",
        "country": "GRC",
        "coordinates": {"latitude": "37.975500", "longitude": "23.734800"},
        "parking_type": "PARKING_LOT",
        "time_zone": "Europe/Athens",
    }
    created = operator.post("/api/location/", body)
    assert created.status_code == 201
    path = f"/api/location/{created.json()['id']}/"
    assert operator.get(path).json() == {"id": created.json()["id"], **body}

    assert operator.patch(path, {"coordinates": {"latitude": 1, "longitude": 2.5}}).json()["coordinates"] == {
        "latitude": "1.000000",
        "longitude": "2.500000",
    }
    assert operator.patch(path, {"city": "Piraeus"}).json()["coordinates"]["latitude"] == "1.000000"
    assert operator.patch(path, {"coordinates": None}).json()["coordinates"] is None
    assert operator.delete(path).status_code == 204
    assert not Location.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "Depot", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"name": "Depot", "coordinates": {"latitude": 91, "longitude": 0}}, "coordinates.latitude"),
        ({"name": "Depot", "coordinates": {"latitude": 1}}, "coordinates.longitude"),
        ({"name": "Depot", "coordinates": "here"}, "coordinates"),
        ({"name": "Depot", "parking_type": "ROOF"}, "parking_type"),
        ({"name": "Depot", "id": "1"}, "id"),
    ],
)
def test_a_bad_location_is_refused_by_field(body: dict[str, Any], field: str, operator: APIClient) -> None:
    refused = operator.post("/api/location/", body)
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {field}


def test_deleting_a_location_keeps_its_stations(operator: APIClient, listen: Listen) -> None:
    location = rows.location()
    rows.station(location=location)
    with listen() as news:
        assert operator.delete(f"/api/location/{location.pk}/").status_code == 204
    assert ChargePoint.objects.get().location is None
    assert news == [("chargepoint", "updated", operator.get("/api/chargepoint/CP001/").json())]
