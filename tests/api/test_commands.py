"""Commands from the request to the answer, with a thread that plays the csms node of the station."""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from api import examples
from api.command_schema import prefix
from chargers.changes import Changes
from chargers.choices import RegistrationStatus
from ov2xmp.celery import app as celery_app
from tasks import broker, commands
from tasks.actions import ACTIONS, Action
from tasks.commands import Outcome, Sending
from tasks.models import Command, CommandStatus
from tasks.tasks import relay_command
from tests.api import rows

RESET = {"chargepoint_id": "CP001", "type": "Soft"}

# What the station does with a command; none is silence.
Act = Callable[[Command], Outcome | None]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relay commands at once, as an idle worker would."""
    monkeypatch.setattr(relay_command, "apply_async", lambda kwargs, retry: relay_command(**kwargs))


@pytest.fixture
def platform(transactional_db: None, redis_settings: str, worker: None) -> None:
    """A database that other threads see, a redis, a worker and a connected station."""
    rows.station(connected=True)


@contextmanager
def csms(act: Act) -> Iterator[None]:
    """Play the node that holds the station, for one command."""

    def run() -> None:
        try:
            _, command_id = broker.client().blpop([broker.node_list("node-1")], timeout=4)
            [command] = commands.take([UUID(command_id.decode())], Changes())
            [sent] = commands.mark_sent([Sending(command.pk, timezone.now(), 30)], Changes())
            if sent and (outcome := act(command)):
                commands.finish([outcome], Changes())
                broker.tell_ended(command.pk, outcome.status)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def answer(response: Any) -> Act:
    return lambda command: Outcome(command.pk, CommandStatus.ANSWERED, timezone.now(), response=response)


def test_the_stations_answer_is_the_answer(platform: None, operator: APIClient) -> None:
    with csms(answer({"configurationKey": [{"key": "A", "readonly": True}], "unknownKey": ["B"]})):
        response = operator.post("/api/ocpp16/getconfiguration/", {"chargepoint_id": "CP001", "key": ["A", "B"]})
    command = Command.objects.get()
    assert response.status_code == 200
    assert response.json() == {
        "message_code": "RESPONSE_RECEIVED",
        "message": {"configuration_key": [{"key": "A", "readonly": True}], "unknown_key": ["B"]},
        "task_id": str(command.pk),
    }
    assert (command.action, command.payload) == ("GetConfiguration", {"key": ["A", "B"]})
    assert (command.status, command.requested_by.username) == ("answered", "operating_user")


def test_without_waiting_the_task_tells_what_became_of_it(platform: None, operator: APIClient) -> None:
    response = operator.post("/api/ocpp16/reset/", {**RESET, "sync": False})
    assert response.status_code == 202
    assert response.json().keys() == {"message_code", "message", "task_id"}
    assert response.json()["message_code"] == "TASK_SUBMITTED"

    path = f"/api/task/{response.json()['task_id']}/"
    assert operator.get(path).json()["status"] == "queued"
    with csms(answer({"status": "Accepted"})):
        pass
    task = operator.get(path).json()
    assert (task["status"], task["response"]) == ("answered", {"status": "Accepted"})
    assert task["created_at"] < task["sent_at"] < task["finished_at"]


def test_the_error_of_a_station_is_told_in_the_details(platform: None, operator: APIClient) -> None:
    error = {"code": "NotSupported", "description": "no reset here", "details": {"a": 1}}
    with csms(lambda command: Outcome(command.pk, CommandStatus.ERROR, timezone.now(), error=error)):
        response = operator.post("/api/ocpp16/reset/", RESET)
    assert response.status_code == 502
    assert response.json() == {
        "code": "OCPP_CALL_ERROR",
        "message": "The station answered with an error.",
        "details": error,
        "task_id": str(Command.objects.get().pk),
    }


@pytest.mark.parametrize(
    ("status", "http_status", "code"),
    [
        (CommandStatus.OFFLINE, 409, "CHARGING_STATION_OFFLINE"),
        (CommandStatus.TIMEOUT, 504, "OCPP_TIMEOUT"),
        (CommandStatus.CANCELLED, 409, "COMMAND_CANCELLED"),
    ],
)
def test_an_end_without_an_answer_has_its_own_code(
    status: CommandStatus, http_status: int, code: str, platform: None, operator: APIClient
) -> None:
    with csms(lambda command: Outcome(command.pk, status, timezone.now())):
        response = operator.post("/api/ocpp16/reset/", RESET)
    assert response.status_code == http_status
    assert response.json().keys() == {"code", "message", "details", "task_id"}
    assert (response.json()["code"], response.json()["task_id"]) == (code, str(Command.objects.get().pk))


def test_a_silent_station_is_waited_for_no_longer_than_told(platform: None, operator: APIClient, settings: Any) -> None:
    settings.OCPP_TIMEOUT = 0.1
    begin = time.monotonic()
    with csms(lambda command: None):
        response = operator.post("/api/ocpp16/reset/", RESET)
    assert time.monotonic() - begin < 3
    assert (response.status_code, response.json()["code"]) == (504, "OCPP_TIMEOUT")
    # Its node ends it, when the time of the station itself is over.
    assert Command.objects.get().status == "sent"


def test_a_command_that_was_never_sent_is_never_sent_later(platform: None, operator: APIClient, settings: Any) -> None:
    settings.OCPP_TIMEOUT = 0.1
    response = operator.post("/api/ocpp16/reset/", RESET)
    assert (response.status_code, response.json()["code"]) == (504, "OCPP_TIMEOUT")
    command = Command.objects.get()
    assert command.status == "timeout"
    assert commands.take([command.pk], Changes()) == [None]


def test_a_station_that_goes_away_before_the_relay_is_offline(
    platform: None, operator: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def relay_late(kwargs: dict[str, str], retry: bool) -> None:
        rows.ChargePoint.objects.update(node=None)
        relay_command(**kwargs)

    monkeypatch.setattr(relay_command, "apply_async", relay_late)
    response = operator.post("/api/ocpp16/reset/", RESET)
    assert (response.status_code, response.json()["code"]) == (409, "CHARGING_STATION_OFFLINE")
    assert response.json()["task_id"] == str(Command.objects.get().pk)


@pytest.mark.parametrize("sync", [True, False])
def test_without_a_queue_the_command_ends_at_once(
    sync: bool, platform: None, operator: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    nowhere = celery_app.connection("redis://127.0.0.1:1", transport_options={"max_retries": 1, "interval_start": 0})
    down = functools.partial(relay_command.apply_async, connection=nowhere)
    monkeypatch.setattr(relay_command, "apply_async", down)
    response = operator.post("/api/ocpp16/reset/", {**RESET, "sync": sync})
    command = Command.objects.get()
    assert response.status_code == 503
    assert (response.json()["code"], response.json()["task_id"]) == ("QUEUE_UNAVAILABLE", str(command.pk))
    assert command.status == "error"
    assert operator.get(f"/api/task/{command.pk}/").json()["error"] == response.json()["details"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 409, "CHARGING_STATION_OFFLINE"),
        ({"node": True, "ocpp_version": "ocpp2.0.1"}, 409, "OCPP_VERSION_MISMATCH"),
        ({"node": True, "registration_status": RegistrationStatus.REJECTED}, 409, "CHARGING_STATION_NOT_ACCEPTED"),
    ],
)
def test_a_station_that_cannot_get_it_is_not_asked(
    fields: dict[str, Any], status: int, code: str, operator: APIClient
) -> None:
    if fields.pop("node", False):
        fields["connected"] = True
    rows.station("cp-001", **fields)
    response = operator.post("/api/ocpp16/reset/", {**RESET, "chargepoint_id": "CP-001"})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert "cp-001" in response.json()["message"]
    assert not Command.objects.exists()


def test_a_pending_station_may_not_be_started(operator: APIClient) -> None:
    rows.station(connected=True, registration_status=RegistrationStatus.PENDING)
    body = {"chargepoint_id": "CP001", "id_tag": "TAG1"}
    response = operator.post("/api/ocpp16/remotestarttransaction/", body)
    assert (response.status_code, response.json()["code"]) == (409, "CHARGING_STATION_NOT_ACCEPTED")


@pytest.mark.parametrize("row", ACTIONS, ids=lambda row: f"{row.version} {row.name}")
def test_every_action_has_an_endpoint_that_takes_its_example(row: Action, operator: APIClient) -> None:
    body = {**examples.body(row), "chargepoint_id": "CP9"}
    for path in (row.path, *row.path_aliases):
        response = operator.post(f"/api/{prefix(row.version)}/{path}/", body)
        assert response.status_code == 404
        assert response.json() == {
            "code": "CHARGING_STATION_DOES_NOT_EXIST",
            "message": "no charging station 'CP9'",
            "details": {},
        }


CHANGE = {"chargepoint_id": "CP001", "connector_id": 1, "type": "Operative"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("reset", {"chargepoint_id": "CP001"}, {"type"}),
        ("reset", {"type": "Soft"}, {"chargepoint_id"}),
        ("reset", {}, {"chargepoint_id", "type"}),
        ("reset", {**RESET, "chargepoint_id": ""}, {"chargepoint_id"}),
        ("reset", {**RESET, "chargepoint_id": "x" * 256}, {"chargepoint_id"}),
        ("reset", {**RESET, "sync": "maybe"}, {"sync"}),
        ("reset", {**RESET, "sync": None}, {"sync"}),
        ("reset", {**RESET, "type": "Gentle"}, {"type"}),
        ("reset", {"chargepoint_id": "CP001", "reset_type": "Gentle"}, {"reset_type"}),
        ("reset", {**RESET, "reset_type": "Soft"}, {"reset_type"}),
        ("reset", {**RESET, "typ": "Soft", "now": True}, {"typ", "now"}),
        ("changeavailability", {**CHANGE, "connector_id": "one"}, {"connector_id"}),
        ("changeavailability", {**CHANGE, "connector_id": 10**30}, {"connector_id"}),
        ("changeavailability", {**CHANGE, "connectorId": 1}, {"connectorId"}),
        ("changeconfiguration", {"chargepoint_id": "CP001", "key": "x" * 51, "value": 1}, {"key", "value"}),
        ("datatransfer", {"chargepoint_id": "CP001", "vendor_id": "v", "data": "\x00"}, {"data"}),
        ("datatransfer", {"chargepoint_id": "CP001", "vendor_id": "v", "data": "\ud800"}, {"data"}),
        (
            "extendedtriggermessage",
            {"chargepoint_id": "CP001", "requested_message": "Heartbeat", "connector_id": 1e30},
            {"connector_id"},
        ),
        ("getconfiguration", {"chargepoint_id": "CP001", "keys": ["a", 2]}, {"key.1"}),
        (
            "remotestarttransaction",
            {"chargepoint_id": "CP001", "id_tag": "T", "charging_profile": {"charging_schedule": {"limit": 1}}},
            {"charging_profile.charging_schedule.limit"},
        ),
        ("setchargingprofile", {"chargepoint_id": "CP001", "connector_id": 0}, {"cs_charging_profiles"}),
        (
            "setchargingprofile",
            {"chargepoint_id": "CP001", "connector_id": 0, "charging_profile_id": "one", "transaction_id": "two"},
            {"charging_profile_id", "transaction_id"},
        ),
        (
            "setchargingprofile",
            {"chargepoint_id": "CP001", "connector_id": 0, "cs_charging_profiles": {"stack_level": 0}},
            {
                "cs_charging_profiles.charging_profile_purpose",
                "cs_charging_profiles.charging_profile_kind",
                "cs_charging_profiles.charging_schedule",
            },
        ),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_field(
    path: str, body: dict[str, Any], fields: set[str], operator: APIClient
) -> None:
    rows.station(connected=True)
    response = operator.post(f"/api/ocpp16/{path}/", json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert response.json()["code"] == "invalid"
    assert response.json()["details"].keys() == fields
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("path", "body", "begin", "end"),
    [
        ("reset", {"type": "x" * 100_000}, '"xxx', 'is not one of "Hard" or "Soft"'),
        ("cancelreservation", {"reservation_id": ["x"] * 10_000}, '["x","x"', 'is not of type "integer"'),
        ("clearcache", {"x" * 100_000: 1}, "is no field of this request", "is no field of this request"),
        ("getconfiguration", {"key": [1] * 10_000}, "1 is not", 'is not of type "string"'),
        (
            "setchargingprofile",
            {"connector_id": 0, "charging_profile_id": "x" * 100_000},
            '"xxx',
            'is not of type "integer"',
        ),
    ],
    ids=["text", "list", "name", "many", "a field of REST only"],
)
def test_an_error_repeats_no_more_than_the_ends_of_a_value(
    path: str, body: dict[str, Any], begin: str, end: str, operator: APIClient
) -> None:
    rows.station(connected=True)
    refused = operator.post(f"/api/ocpp16/{path}/", {"chargepoint_id": "CP001", **body}, format="json")
    assert refused.status_code == 400
    [told, *_] = refused.json()["details"].values()
    assert told[0].startswith(begin)
    assert told[0].endswith(end)
    assert len(refused.content) < 10_000


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("cancelreservation", {"reservation_id": 2**31}, "reservation_id"),
        ("changeavailability", {"connector_id": -1, "type": "Operative"}, "connector_id"),
        ("clearchargingprofile", {"connector_id": -1}, "connector_id"),
        ("clearchargingprofile", {"id": -(2**31) - 1}, "id"),
        ("clearchargingprofile", {"stack_level": -1}, "stack_level"),
        ("extendedtriggermessage", {"requested_message": "Heartbeat", "connector_id": -1}, "connector_id"),
        ("getcompositeschedule", {"connector_id": 2**31, "duration": 60}, "connector_id"),
        ("getcompositeschedule", {"connector_id": 0, "duration": -1}, "duration"),
        ("getdiagnostics", {"retries": -1}, "retries"),
        ("remotestarttransaction", {"id_tag": "T", "connector_id": 0}, "connector_id"),
        ("remotestarttransaction", {"id_tag": "T", "connector_id": 2**31}, "connector_id"),
        ("triggermessage", {"requested_message": "Heartbeat", "connector_id": 2**31}, "connector_id"),
        ("unlockconnector", {"connector_id": 0}, "connector_id"),
        ("unlockconnector", {"connector_id": 1e10}, "connector_id"),
    ],
)
def test_a_number_that_no_station_can_hold_is_refused(
    path: str, body: dict[str, Any], field: str, operator: APIClient
) -> None:
    rows.station(connected=True)
    refused = operator.post(f"/api/ocpp16/{path}/", {"chargepoint_id": "CP001", **body}, format="json")
    assert (refused.status_code, refused.json()["details"].keys()) == (400, {field})
    assert not Command.objects.exists()


MESSAGE = {"priority": "NormalCycle", "message": {"format": "UTF8", "content": "Welcome"}}


def display(evse: dict[str, int]) -> dict[str, Any]:
    return {"message": {**MESSAGE, "display": {"name": "Display", "evse": evse}}}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("changeavailability", {"operational_status": "Operative", "evse": {"id": -1}}, "evse.id"),
        ("setdisplaymessage", display({"id": -1}), "message.display.evse.id"),
        ("setdisplaymessage", display({"id": 2**31}), "message.display.evse.id"),
        ("setdisplaymessage", display({"id": 1, "connector_id": -1}), "message.display.evse.connector_id"),
        ("setdisplaymessage", {"message": {**MESSAGE, "id": -1}}, "message.id"),
        ("setdisplaymessage", {"message": {**MESSAGE, "id": 2**31}}, "message.id"),
    ],
)
def test_a_number_that_no_station_of_2_can_hold_is_refused(
    path: str, body: dict[str, Any], field: str, operator: APIClient
) -> None:
    rows.station(connected=True, ocpp_version="ocpp2.0.1")
    refused = operator.post(f"/api/ocpp201/{path}/", {"chargepoint_id": "CP001", **body}, format="json")
    assert (refused.status_code, refused.json()["details"].keys()) == (400, {field})
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("path", "body", "action", "payload"),
    [
        ("reset", {"reset_type": "Hard"}, "Reset", '{"type": "Hard"}'),
        (
            "changeavailaility",
            {"availability_type": "Inoperative", "connector_id": 0},
            "ChangeAvailability",
            '{"connectorId": 0, "type": "Inoperative"}',
        ),
        ("getconfiguration", {"keys": ["A"]}, "GetConfiguration", '{"key": ["A"]}'),
        ("clearcache", {}, "ClearCache", "{}"),
        (
            "getcompositeschedule",
            {"charging_rate_unit_type": "W", "duration": 60, "connector_id": 1},
            "GetCompositeSchedule",
            '{"connectorId": 1, "duration": 60, "chargingRateUnit": "W"}',
        ),
        (
            "clearchargingprofile",
            {"stack_level": 0, "charging_profile_purpose": "TxProfile", "connector_id": 1, "id": 7},
            "ClearChargingProfile",
            '{"id": 7, "connectorId": 1, "chargingProfilePurpose": "TxProfile", "stackLevel": 0}',
        ),
        (
            "setchargingprofile",
            {
                "cs_charging_profiles": {
                    "charging_schedule": {
                        "min_charging_rate": 6,
                        "charging_schedule_period": [{"number_phases": 1, "limit": 16, "start_period": 0}],
                        "charging_rate_unit": "A",
                        "duration": 60,
                    },
                    "valid_to": "2030-01-01T02:00:00+02:00",
                    "charging_profile_kind": "Relative",
                    "charging_profile_purpose": "TxProfile",
                    "stack_level": 0,
                    "charging_profile_id": 1,
                },
                "transaction_id": 7,
                "connector_id": 1,
            },
            "SetChargingProfile",
            '{"connectorId": 1, "csChargingProfiles": {"chargingProfileId": 1, "transactionId": 7, "stackLevel": 0, '
            '"chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative", '
            '"validTo": "2030-01-01T00:00:00Z", "chargingSchedule": {"duration": 60, "chargingRateUnit": "A", '
            '"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16, "numberPhases": 1}], "minChargingRate": 6}}}',
        ),
        (
            "datatransfer",
            {"data": "ü", "message_id": "m", "vendor_id": "v"},
            "DataTransfer",
            '{"vendorId": "v", "messageId": "m", "data": "\\u00fc"}',
        ),
        (
            "remotestarttransaction",
            {
                "charging_profile": {
                    "charging_schedule": {
                        "charging_schedule_period": [{"limit": 16.1, "start_period": 0}],
                        "charging_rate_unit": "A",
                    },
                    "charging_profile_id": 1,
                    "stack_level": 0,
                    "charging_profile_purpose": "TxProfile",
                    "charging_profile_kind": "Relative",
                },
                "id_tag": "TAG1",
            },
            "RemoteStartTransaction",
            '{"idTag": "TAG1", "chargingProfile": {"chargingProfileId": 1, "stackLevel": 0, '
            '"chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative", "chargingSchedule": '
            '{"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}]}}}',
        ),
    ],
)
def test_the_request_is_spelt_and_ordered_as_its_schema(
    path: str, body: dict[str, Any], action: str, payload: str, operator: APIClient, worker: None, redis_settings: str
) -> None:
    rows.station(connected=True)
    response = operator.post(f"/api/ocpp16/{path}/", {"chargepoint_id": "CP001", "sync": False, **body})
    assert response.status_code == 202
    command = Command.objects.get()
    assert command.action == action
    # PostgreSQL keeps an object's members in an order of its own; the node gets the schema's.
    [taken] = commands.take([command.pk], Changes())
    assert json.dumps(taken.payload) == payload


def test_listeners_hear_of_a_command_from_begin_to_end(
    platform: None, operator: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = []

    async def send(batch: Any) -> None:
        news.extend(json.loads(frame) for _, frames in batch for _, frame in frames)

    monkeypatch.setattr("tasks.updates.send", send)
    settings.OCPP_TIMEOUT = 0.1
    task_id = operator.post("/api/ocpp16/reset/", RESET).json()["task_id"]
    assert [(each["topic"], each["event"], each["data"]["status"]) for each in news] == [
        ("tasks", "created", "queued"),
        ("tasks", "updated", "timeout"),
    ]
    assert news[-1]["data"] == operator.get(f"/api/task/{task_id}/").json()
