"""Local lists over REST: what stations hold beside what they should, and sending what they lack."""

import functools
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from chargers.models import LocalList
from ov2xmp.celery import app as celery_app
from tasks.models import Command, CommandStatus
from tasks.tasks import relay_command
from tests.api import rows

pytestmark = pytest.mark.django_db

OK = {"status": "Accepted"}
SYNCHRONIZE = "/api/locallist/CP001/synchronize/"


def test_a_list_is_shown_beside_what_it_should_hold(viewer: APIClient) -> None:
    family = rows.tag("FAMILY", revoked=True)
    rows.tag("NEW", parent=family, expiry_date="2099-01-01T00:00:00.5Z")
    rows.tag("SAME")
    held = {"SAME": OK, "FAMILY": OK, "GONE": {"status": "Blocked", "parent": "X"}}
    rows.local_list(rows.station(), held, version=7, reported_version=7, reported_at=rows.NOON, last_outcome="Accepted")
    shown = viewer.get("/api/locallist/cp001/").json()
    assert shown == {
        "chargepoint_id": "CP001",
        "automatic": False,
        "in_sync": False,
        "entries_wanted": 3,
        "entries_held": 3,
        "version": 7,
        "updated_at": "2026-03-01T12:00:00Z",
        "reported_version": 7,
        "reported_at": "2026-03-01T12:00:00Z",
        "last_attempt": None,
        "last_outcome": "Accepted",
        "withheld": [],
        "entries": [
            {
                "id_tag": "FAMILY",
                "wanted": {"status": "Blocked", "expiry_date": None, "parent": None},
                "held": {"status": "Accepted", "expiry_date": None, "parent": None},
            },
            {
                "id_tag": "GONE",
                "wanted": None,
                "held": {"status": "Blocked", "expiry_date": None, "parent": "X"},
            },
            {
                "id_tag": "NEW",
                "wanted": {"status": "Blocked", "expiry_date": "2099-01-01T00:00:00Z", "parent": "FAMILY"},
                "held": None,
            },
            {
                "id_tag": "SAME",
                "wanted": {"status": "Accepted", "expiry_date": None, "parent": None},
                "held": {"status": "Accepted", "expiry_date": None, "parent": None},
            },
        ],
    }
    listed = viewer.get("/api/locallist/").json()["results"]
    assert listed == [{name: value for name, value in shown.items() if name != "entries"}]


def test_a_station_of_which_nothing_is_known_has_a_list_all_the_same(viewer: APIClient) -> None:
    rows.station()
    rows.tag()
    shown = viewer.get("/api/locallist/CP001/").json()
    assert (shown["entries_wanted"], shown["entries_held"], shown["version"]) == (1, None, None)
    assert (shown["in_sync"], shown["automatic"]) == (False, False)
    assert viewer.get("/api/locallist/").json()["results"] == []
    assert not LocalList.objects.exists()


@pytest.mark.parametrize(("held", "in_sync"), [({"TAG1": OK}, True), ({"tag1": OK}, True), ({}, False), (None, False)])
def test_a_list_is_in_sync_when_it_is_known_to_hold_what_it_should(
    held: dict[str, Any] | None, in_sync: bool, viewer: APIClient
) -> None:
    rows.tag()
    rows.local_list(rows.station(), held)
    assert viewer.get("/api/locallist/").json()["results"][0]["in_sync"] is in_sync
    assert viewer.get("/api/locallist/CP001/").json()["in_sync"] is in_sync


def test_lists_are_found_by_station_and_whether_they_are_automatic(viewer: APIClient) -> None:
    rows.local_list(rows.station(), automatic=True)
    rows.local_list(rows.station("CP2"))

    def found(**query: str) -> list[str]:
        return [row["chargepoint_id"] for row in viewer.get("/api/locallist/", query).json()["results"]]

    assert found() == ["CP001", "CP2"]
    assert found(automatic="true") == ["CP001"]
    assert found(chargepoint_id="cp2") == ["CP2"]


def test_a_list_is_made_automatic(operator: APIClient) -> None:
    rows.station()
    for automatic in (True, False):
        changed = operator.patch("/api/locallist/cp001/", {"automatic": automatic})
        assert (changed.status_code, changed.json()["automatic"]) == (200, automatic)
        assert changed.json()["entries"] == []
        assert LocalList.objects.get().automatic is automatic
    refused = operator.patch("/api/locallist/CP001/", {"version": 5})
    assert (refused.status_code, refused.json()["details"].keys()) == (400, {"version"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ""), ("patch", ""), ("post", "synchronize/")],
)
@pytest.mark.parametrize("station", ["NOBODY", "%00"])
def test_a_station_that_is_none_has_no_list(method: str, path: str, station: str, operator: APIClient) -> None:
    missing = getattr(operator, method)(f"/api/locallist/{station}/{path}", {})
    assert (missing.status_code, missing.json()["code"]) == (404, "CHARGING_STATION_DOES_NOT_EXIST")


# Sending what it lacks


@pytest.mark.parametrize(
    ("held", "fields", "payload"),
    [
        (
            {"A": OK, "GONE": OK},
            {"version": 4},
            {
                "listVersion": 5,
                "localAuthorizationList": [
                    {"idTag": "GONE"},
                    {"idTag": "B", "idTagInfo": {"parentIdTag": "A", "status": "Accepted"}},
                ],
                "updateType": "Differential",
            },
        ),
        (
            None,
            {},
            {
                "listVersion": 1,
                "localAuthorizationList": [
                    {"idTag": "A", "idTagInfo": OK},
                    {"idTag": "B", "idTagInfo": {"parentIdTag": "A", "status": "Accepted"}},
                ],
                "updateType": "Full",
            },
        ),
        (
            {"A": OK, "B": {"status": "Accepted", "parent": "A"}},
            {"version": 4, "reported_version": 9, "reported_at": timezone.now()},
            {
                "listVersion": 10,
                "localAuthorizationList": [
                    {"idTag": "A", "idTagInfo": OK},
                    {"idTag": "B", "idTagInfo": {"parentIdTag": "A", "status": "Accepted"}},
                ],
                "updateType": "Full",
            },
        ),
    ],
    ids=["differs", "unknown", "contradicted"],
)
def test_a_station_is_sent_what_it_lacks_and_all_where_nobody_knows(
    held: dict[str, Any] | None,
    fields: dict[str, Any],
    payload: dict[str, Any],
    operator: APIClient,
    handed_over: list[str],
) -> None:
    rows.tag("B", parent=rows.tag("A"))
    rows.local_list(rows.station(connected=True), held, **fields)
    sent = operator.post(SYNCHRONIZE)
    command = Command.objects.get()
    assert sent.status_code == 202
    assert sent.json() == {
        "message_code": "TASK_SUBMITTED",
        "message": "SendLocalList to CP001 is on its way; its task tells what comes of it.",
        "task_id": str(command.pk),
    }
    assert (command.action, command.payload) == ("SendLocalList", payload)
    assert command.requested_by.username == "operating_user"
    assert handed_over == [str(command.pk)]
    assert LocalList.objects.get().last_attempt == command.created_at


def test_a_station_that_holds_what_it_should_is_sent_nothing(operator: APIClient, handed_over: list[str]) -> None:
    rows.tag()
    rows.local_list(rows.station(), {"TAG1": OK})
    answer = operator.post(SYNCHRONIZE)
    assert (answer.status_code, answer.json()["message_code"]) == (200, "LOCAL_LIST_IN_SYNC")
    assert not Command.objects.exists()
    assert not handed_over


def test_a_station_is_sent_one_change_of_its_list_at_a_time(operator: APIClient, handed_over: list[str]) -> None:
    rows.tag()
    station = rows.station(connected=True)
    assert operator.post(SYNCHRONIZE).status_code == 202
    for status in (CommandStatus.QUEUED, CommandStatus.SENT):
        Command.objects.update(status=status)
        refused = operator.post(SYNCHRONIZE)
        assert (refused.status_code, refused.json()["code"]) == (409, "LOCAL_LIST_UPDATE_RUNNING")
    Command.objects.update(status=CommandStatus.TIMEOUT)
    rows.command(station, "Reset")
    assert operator.post(SYNCHRONIZE).status_code == 202
    assert len(handed_over) == 2


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "CHARGING_STATION_OFFLINE"),
        ({"connected": True, "ocpp_version": "ocpp2.1"}, "OCPP_VERSION_MISMATCH"),
        ({"connected": True, "registration_status": "Rejected"}, "CHARGING_STATION_NOT_ACCEPTED"),
        ({"connected": True}, "CHARGING_STATION_UNABLE"),
    ],
)
def test_a_station_that_cannot_be_sent_its_list_is_not(fields: dict[str, Any], code: str, operator: APIClient) -> None:
    rows.limitation(rows.station(**fields), "local_list", "", certain=True)
    refused = operator.post(SYNCHRONIZE)
    assert (refused.status_code, refused.json()["code"]) == (409, code)
    assert not Command.objects.exists()
    assert not LocalList.objects.filter(last_attempt__isnull=False).exists()


def test_without_a_queue_nothing_is_sent(
    operator: APIClient, redis_settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.station(connected=True)
    nowhere = celery_app.connection("redis://127.0.0.1:1", transport_options={"max_retries": 1, "interval_start": 0})
    down = functools.partial(relay_command.apply_async, connection=nowhere)
    monkeypatch.setattr(relay_command, "apply_async", down)
    answer = operator.post(SYNCHRONIZE)
    assert (answer.status_code, answer.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
    row = LocalList.objects.get()
    assert (row.last_outcome, row.failures) == ("error", 1)


# The commands


def send(**fields: Any) -> dict[str, Any]:
    return {"chargepoint_id": "CP001", "sync": False, "update_type": "Full", **fields}


@pytest.mark.usefixtures("handed_over")
def test_a_list_is_sent_under_the_next_version_unless_another_is_named(operator: APIClient) -> None:
    rows.local_list(rows.station(connected=True), {}, version=4)
    listed = [{"id_tag": "X", "id_tag_info": {"expiry_date": "2030-01-01T02:00:00.7+02:00", "status": "Blocked"}}]
    assert operator.post("/api/ocpp16/sendlocallist/", send(local_authorization_list=listed)).status_code == 202
    command = Command.objects.get()
    assert command.payload == {
        "listVersion": 5,
        "localAuthorizationList": [
            {"idTag": "X", "idTagInfo": {"expiryDate": "2030-01-01T00:00:00Z", "status": "Blocked"}}
        ],
        "updateType": "Full",
    }
    command.delete()
    assert operator.post("/api/ocpp16/sendlocallist/", send(list_version=40)).status_code == 202
    assert Command.objects.get().payload == {"listVersion": 40, "updateType": "Full"}


def test_no_list_is_sent_while_another_is_on_its_way(operator: APIClient, handed_over: list[str]) -> None:
    rows.station(connected=True)
    assert operator.post("/api/ocpp16/sendlocallist/", send()).status_code == 202
    for status in (CommandStatus.QUEUED, CommandStatus.SENT):
        Command.objects.update(status=status)
        refused = operator.post("/api/ocpp16/sendlocallist/", send(list_version=7, force=True))
        assert (refused.status_code, refused.json()["code"]) == (409, "LOCAL_LIST_UPDATE_RUNNING")
    Command.objects.update(status=CommandStatus.TIMEOUT)
    assert operator.post("/api/ocpp16/sendlocallist/", send()).status_code == 202
    assert len(handed_over) == 2


ONE = {"id_tag": "A", "id_tag_info": {"status": "Accepted"}}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"list_version": 0}, "list_version"),
        ({"list_version": -1}, "list_version"),
        ({"list_version": 2**31}, "list_version"),
        ({"local_authorization_list": [ONE, {**ONE, "id_tag": "a"}]}, "local_authorization_list.1.id_tag"),
        ({"local_authorization_list": [ONE, {"id_tag": "B"}]}, "local_authorization_list.1.id_tag_info"),
        ({"local_authorization_list": [{**ONE, "id_tag": "A" * 21}]}, "local_authorization_list.0.id_tag"),
        ({"update_type": "Partial"}, "update_type"),
    ],
)
def test_what_cannot_be_a_list_is_refused_by_field(fields: dict[str, Any], field: str, operator: APIClient) -> None:
    rows.station(connected=True)
    refused = operator.post("/api/ocpp16/sendlocallist/", send(**fields))
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {field}
    assert not Command.objects.exists()
    assert not LocalList.objects.exists()


@pytest.mark.usefixtures("handed_over")
def test_a_station_without_lists_is_asked_only_by_force(operator: APIClient) -> None:
    rows.limitation(rows.station(connected=True), "local_list", "", certain=True)
    refused = operator.post("/api/ocpp16/sendlocallist/", send())
    assert (refused.status_code, refused.json()["code"]) == (409, "CHARGING_STATION_UNABLE")
    assert operator.post("/api/ocpp16/sendlocallist/", send(force=True)).status_code == 202
    # Which is how it may turn out that it has one by now.
    asked = {"chargepoint_id": "CP001", "sync": False}
    assert operator.post("/api/ocpp16/getlocallistversion/", asked).status_code == 202
