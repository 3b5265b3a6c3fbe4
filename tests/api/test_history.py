"""What stations told: their statuses and their variables."""

from datetime import timedelta

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


def test_security_events_are_found_by_station_type_time_and_weight(viewer: APIClient) -> None:
    station, other = rows.station(), rows.station("CP2")
    tamper = rows.security_event(station).pk
    replay = rows.security_event(station, "AttemptedReplayAttacks", timestamp=rows.NOON + timedelta(hours=1)).pk
    boot = rows.security_event(other, "StartupOfTheDevice").pk

    def found(**query: object) -> list[int]:
        return [row["id"] for row in viewer.get("/api/securityevent/", query).json()["results"]]

    assert found() == [boot, replay, tamper]
    assert found(chargepoint_id="cp001") == [replay, tamper]
    assert found(type="StartupOfTheDevice") == [boot]
    assert found(critical="true") == [boot, tamper]
    assert found(critical="false") == [replay]
    assert found(after="2026-03-01T12:30:00Z") == [replay]
    assert found(before="2026-03-01T12:30:00Z") == [boot, tamper]
    assert viewer.get(f"/api/securityevent/{boot}/").json()["chargepoint_id"] == "CP2"
    assert viewer.get("/api/securityevent/x/").status_code == 404


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
