"""Reservations over REST: asked for, listed, told live."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from chargers.models import Reservation
from tasks.models import Command
from tests.api import rows
from tests.api.conftest import Listen

pytestmark = pytest.mark.django_db


def request(**fields: Any) -> dict[str, Any]:
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    asked = {"chargepoint_id": "CP001", "sync": False, "connector_id": 1, "id_tag": "TAG1", "expiry_date": until}
    return {**asked, **fields}


@pytest.mark.usefixtures("handed_over")
def test_a_request_makes_a_reservation_that_listeners_hear_of(operator: APIClient, listen: Listen) -> None:
    station = rows.station(connected=True)
    connector = rows.connector(station)
    rows.tag("TAG1", parent=rows.tag("FAMILY"))
    with listen() as news:
        task_id = operator.post("/api/ocpp16/reservenow/", request()).json()["task_id"]
    [listed] = operator.get("/api/reservation/CP001/").json()["results"]
    assert ("reservation", "created", listed) in news
    assert (listed["reservation_id"], listed["status"], listed["task_id"]) == (1, "Requested", task_id)
    assert listed["connector"] == operator.get(f"/api/connector/{connector.pk}/").json()
    assert (listed["id_tag"], listed["parent_id_tag"]) == ("TAG1", "FAMILY")
    assert listed["expiry_date"] == Command.objects.get().payload["expiryDate"]


@pytest.mark.usefixtures("handed_over")
def test_a_reservation_that_was_never_sent_has_failed(operator: APIClient, redis_settings: str) -> None:
    rows.station(connected=True)
    task_id = operator.post("/api/ocpp16/reservenow/", request()).json()["task_id"]
    assert operator.delete(f"/api/task/{task_id}/").status_code == 204
    [listed] = operator.get("/api/reservation/").json()["results"]
    assert (listed["status"], listed["reason"]) == ("Failed", "cancelled")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"expiry_date": "2020-01-01T00:00:00Z"}, "expiry_date"),
        ({"expiry_date": "soon"}, "expiry_date"),
        ({"expiry_date": "2030-12-31T23:59:60Z"}, "expiry_date"),
        ({"id_tag": "123456789012345678901"}, "id_tag"),
        ({"parent_id_tag": "123456789012345678901"}, "parent_id_tag"),
        ({"connector_id": -1}, "connector_id"),
        ({"connector_id": 2**31}, "connector_id"),
        ({"reservation_id": 0}, "reservation_id"),
        ({"reservation_id": -1}, "reservation_id"),
        ({"reservation_id": 2**31}, "reservation_id"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field_and_leaves_nothing(
    fields: dict[str, Any], field: str, operator: APIClient
) -> None:
    rows.station(connected=True)
    refused = operator.post("/api/ocpp16/reservenow/", request(**fields))
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {field}
    assert not Command.objects.exists()
    assert not Reservation.objects.exists()


def test_a_station_that_is_known_not_to_reserve_is_not_asked(operator: APIClient, handed_over: list[str]) -> None:
    rows.limitation(rows.station(connected=True), "action", "ReserveNow", certain=True)
    refused = operator.post("/api/ocpp16/reservenow/", request())
    assert (refused.status_code, refused.json()["code"]) == (409, "CHARGING_STATION_UNABLE")
    assert not Reservation.objects.exists()
    assert operator.post("/api/ocpp16/reservenow/", request(force=True)).status_code == 202
    assert handed_over == [str(Command.objects.get().pk)]


@pytest.mark.usefixtures("handed_over")
def test_a_connector_and_a_reservation_that_nobody_knows_are_still_sent(operator: APIClient) -> None:
    rows.station(connected=True)
    assert operator.post("/api/ocpp16/reservenow/", request(connector_id=77, reservation_id=5)).status_code == 202
    asked = {"chargepoint_id": "CP001", "sync": False, "reservation_id": 4711}
    assert operator.post("/api/ocpp16/cancelreservation/", asked).status_code == 202
    payloads = [command.payload for command in Command.objects.order_by("created_at")]
    assert payloads[0]["connectorId"] == 77
    assert payloads[1] == {"reservationId": 4711}


@pytest.mark.usefixtures("handed_over")
def test_a_group_whose_name_is_too_long_to_be_told_is_still_the_group(operator: APIClient) -> None:
    rows.station(connected=True)
    rows.tag("TAG1", parent=rows.tag("F" * 21))
    operator.post("/api/ocpp16/reservenow/", request())
    assert "parentIdTag" not in Command.objects.get().payload
    assert Reservation.objects.get().parent_id_tag == "F" * 21


def test_reservations_are_found_by_station_tag_and_status(viewer: APIClient) -> None:
    station, other = rows.station(), rows.station("CP2")
    rows.tag("04-A1")
    rows.reservation(station, 1, id_tag_id="04-A1")
    rows.reservation(station, 2, status="Cancelled", id_tag_id="GONE")
    rows.reservation(other, 3)

    def found(path: str = "/api/reservation/", **query: str) -> list[int]:
        return [row["reservation_id"] for row in viewer.get(path, query).json()["results"]]

    assert found() == [3, 2, 1]
    assert found(chargepoint_id="cp001") == [2, 1]
    assert found(status="Cancelled") == [2]
    assert found(id_token="04a1") == [1]
    assert found(id_token="GONE") == [2]
    assert found("/api/reservation/cp001/") == [2, 1]
    assert found("/api/reservation/CP2/", status="Cancelled") == []
    assert viewer.get("/api/reservation/", {"status": "Maybe"}).status_code == 400


def test_reservations_of_a_station_that_is_gone_are_kept_and_of_one_that_never_was_there_are_none(
    viewer: APIClient,
) -> None:
    station = rows.station()
    rows.station("CP2")
    rows.reservation(station)
    station.delete()
    [kept] = viewer.get("/api/reservation/CP001/").json()["results"]
    assert kept["chargepoint_id"] == "CP001"
    assert viewer.get("/api/reservation/CP2/").json()["results"] == []
    for nobody in ("NOBODY", "%00"):
        missing = viewer.get(f"/api/reservation/{nobody}/")
        assert (missing.status_code, missing.json()["code"]) == (404, "CHARGING_STATION_DOES_NOT_EXIST")
