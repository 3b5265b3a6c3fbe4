"""A station's key is made anew, shown once, and whoever did it is kept."""

import logging
from urllib.parse import quote
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from chargers.models import ChargePoint, SecurityEvent
from chargers.services import stations
from tests.api import rows

pytestmark = pytest.mark.django_db


def path(identity: str) -> str:
    return f"/api/chargepoint/{quote(identity, safe='')}/key/"


@pytest.mark.parametrize("identity", ["CP001", "a/b", "a/key", "key", "RDAM 123"])
def test_a_new_key_is_the_stations_only_one(operator: APIClient, identity: str) -> None:
    old = stations.new_key(rows.station(identity))
    rows.station("another")
    answer = operator.post(path(identity.swapcase()))
    assert answer.status_code == 201
    assert answer.json().keys() == {"chargepoint_id", "key"}
    assert answer.json()["chargepoint_id"] == identity
    key = answer.json()["key"]
    assert len(key) == 40
    row = ChargePoint.objects.get(pk=identity)
    assert stations.key_matches(key.encode(), row.key_hash)
    assert not stations.key_matches(old.encode(), row.key_hash)
    assert ChargePoint.objects.get(pk="another").key_hash == ""
    assert key not in operator.get(f"/api/chargepoint/{quote(identity, safe='')}/").content.decode()


def test_who_made_it_is_kept_and_the_key_is_not(operator: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rows.station()
    key = operator.post(path("CP001")).json()["key"]
    (event,) = operator.get("/api/securityevent/").json()["results"]
    assert (event["chargepoint_id"], event["type"]) == ("CP001", "ReconfigurationOfSecurityParameters")
    assert event["tech_info"] == "a new key was made by operating_user"
    assert "operating_user made a new key for station CP001" in caplog.text
    assert key not in caplog.text


def test_a_key_that_the_station_may_have_taken_is_given_up_only_by_force(operator: APIClient) -> None:
    station = rows.station()
    stations.new_key(station)
    stations.propose_key(station, b"x" * 40, uuid4())
    refused = operator.post(path("CP001"))
    assert (refused.status_code, refused.json()["code"]) == (409, "KEY_CHANGE_IN_DOUBT")
    assert not SecurityEvent.objects.exists()
    key = operator.post(path("CP001"), {"force": True}).json()["key"]
    row = ChargePoint.objects.get()
    assert (row.proposed_key_hash, row.key_change_id) == ("", None)
    assert stations.key_matches(key.encode(), row.key_hash)


@pytest.mark.parametrize("body", [{"key": "0123456789abcdef"}, {"force": "perhaps"}])
def test_what_cannot_be_asked_for_is_named(operator: APIClient, body: dict[str, str]) -> None:
    rows.station()
    refused = operator.post(path("CP001"), body)
    assert (refused.status_code, refused.json()["details"].keys()) == (400, body.keys())
    assert ChargePoint.objects.get().key_hash == ""


def test_an_unknown_station_has_no_key(operator: APIClient) -> None:
    refused = operator.post(path("CP9"))
    assert (refused.status_code, refused.json()["code"]) == (404, "CHARGING_STATION_DOES_NOT_EXIST")


def test_a_viewer_makes_none(viewer: APIClient) -> None:
    rows.station()
    assert viewer.post(path("CP001")).status_code == 403
    assert ChargePoint.objects.get().key_hash == ""


def test_a_station_whose_identity_ends_like_the_path_is_still_reached(operator: APIClient) -> None:
    rows.station("CP001/key")
    assert operator.get(path("CP001")).json()["chargepoint_id"] == "CP001/key"
    assert operator.patch(path("CP001"), {"registration_status": "Pending"}).status_code == 200
    assert operator.delete(path("CP001")).status_code == 204
