"""What stations told: their statuses and their variables."""

import pytest
from rest_framework.test import APIClient

from tests.api import rows

pytestmark = pytest.mark.django_db


def test_statuses_come_newest_first(viewer: APIClient) -> None:
    station = rows.station()
    for word in ("Available", "Preparing", "Charging"):
        rows.status(station, word)
    rows.status(rows.station("CP2"), "Faulted")
    results = viewer.get("/api/statusnotification/CP001/").json()["results"]
    assert [row["status"] for row in results] == ["Charging", "Preparing", "Available"]


def test_statuses_are_filtered(viewer: APIClient) -> None:
    station = rows.station()
    rows.status(station, "Available", evse_id=1)
    rows.status(station, "Faulted", evse_id=2)
    rows.status(station, "Available", evse_id=0, connectorid=0)

    def found(**query: object) -> list[int]:
        return [row["evse_id"] for row in viewer.get("/api/statusnotification/CP001/", query).json()["results"]]

    assert found(status="Available") == [0, 1]
    assert found(connector_id=2) == [2]
    assert found(evse_id=0) == [0]


def test_a_station_that_told_nothing_has_an_empty_history(viewer: APIClient) -> None:
    rows.station()
    assert viewer.get("/api/statusnotification/CP001/").json()["results"] == []


def test_variables_are_those_of_a_station(viewer: APIClient) -> None:
    station = rows.station()
    rows.variable(station, "HeartbeatInterval", "300")
    rows.variable(station, "AuthorizationKey", None, mutability="WriteOnly")
    rows.variable(rows.station("CP2"), component="OCPPCommCtrlr")

    def found(**query: str) -> list[tuple[str, str | None]]:
        results = viewer.get("/api/variable/", query).json()["results"]
        return [(row["variable"], row["value"]) for row in results]

    assert found(chargepoint_id="CP001") == [("AuthorizationKey", None), ("HeartbeatInterval", "300")]
    assert found(component="OCPPCommCtrlr") == [("HeartbeatInterval", "300")]
    assert found(variable="AuthorizationKey") == [("AuthorizationKey", None)]
