"""Errors as clients see them, and the one table behind them."""

import json
from typing import Any

import pytest
from django.db import OperationalError
from rest_framework import exceptions
from rest_framework.test import APIClient

from api import errors, resources
from chargers.errors import ChargersError, UnknownStation, WrongCredentials
from tasks.errors import CommandError, NotAccepted, NotCancellable, StationOffline, VersionMismatch
from tasks.schemas import InvalidBody
from tests.api import rows


@pytest.mark.parametrize(
    ("error", "status", "code", "details"),
    [
        (UnknownStation("CP1"), 404, "CHARGING_STATION_DOES_NOT_EXIST", {}),
        (WrongCredentials("CP1", "the key is wrong"), 409, "WRONG_CREDENTIALS", {}),
        (InvalidBody({"type": ["is missing"]}), 400, "invalid", {"type": ["is missing"]}),
        (StationOffline("gone"), 409, "CHARGING_STATION_OFFLINE", {}),
        (VersionMismatch("other"), 409, "OCPP_VERSION_MISMATCH", {}),
        (NotAccepted("pending"), 409, "CHARGING_STATION_NOT_ACCEPTED", {}),
        (NotCancellable("sent"), 409, "COMMAND_NOT_QUEUED", {}),
        (exceptions.Throttled(7), 429, "throttled", {"wait": 7}),
        (exceptions.ValidationError(["one", "two"]), 400, "invalid", {"body": ["one", "two"]}),
        (
            exceptions.ValidationError({"a": {"b": ["c"], "d": [{}, {"e": ["f"]}]}}),
            400,
            "invalid",
            {"a.b": ["c"], "a.d.1.e": ["f"]},
        ),
        (OperationalError("secret host"), 503, "DATABASE_UNAVAILABLE", {}),
        (KeyError("secret"), 500, "error", {}),
    ],
)
def test_error_is_told_with_its_status_and_code(
    error: Exception, status: int, code: str, details: dict[str, Any]
) -> None:
    problem = errors.problem_of(error)
    assert (problem.status, problem.code, problem.details) == (status, code, details)
    assert problem.message
    assert "secret" not in problem.message


@pytest.mark.parametrize("base", [ChargersError, CommandError])
def test_an_error_that_is_new_is_covered_by_its_base(base: type[Exception]) -> None:
    new = type("New", (base,), {"code": "NEW"})
    assert errors.problem_of(new("text")) == errors.Problem(409, "NEW", "text")


def told(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert body.keys() == {"code", "message", "details"}
    return body


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/nothing/", "/api/ocpp16/fly/", "/api/token/x", "/api/user/create/x/"])
def test_a_path_that_leads_nowhere_is_told_so(path: str, administrator: APIClient) -> None:
    assert told(administrator.get(path), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/api/", "/api/redoc/", "/api/file/a.log/", "/api/chargepoint/", "/api/ocpp16/reset/"]
)
def test_what_can_be_done_is_not_told_by_options(path: str, administrator: APIClient) -> None:
    assert administrator.options(path).status_code == 405


@pytest.mark.parametrize("host", ["example.com", "localhost,localhost", "[::1", "a b", ""])
def test_a_foreign_host_is_refused_like_everything_else_that_is_no_good(host: str) -> None:
    refused = APIClient().get("/api/chargepoint/", headers={"host": host})
    assert told(refused, 400)["code"] == "invalid"


def test_a_foreign_host_is_refused_in_the_admin_with_a_page() -> None:
    refused = APIClient().get("/admin/", headers={"host": "example.com"})
    assert (refused.status_code, refused["Content-Type"]) == (400, "text/html; charset=utf-8")


@pytest.mark.parametrize("accepted", ["*/*", "application/vnd.oai.openapi", "application/json"])
def test_what_is_wrong_with_a_request_for_the_document_is_told_in_json(accepted: str) -> None:
    refused = APIClient().post("/api/schema/", headers={"accept": accepted})
    assert told(refused, 405)["code"] == "method_not_allowed"


def test_without_a_token_the_answer_says_how_to_come_back(anonymous: APIClient) -> None:
    refused = anonymous.get("/api/chargepoint/")
    assert told(refused, 401)["code"] == "not_authenticated"
    assert refused["WWW-Authenticate"].startswith("Bearer")


def test_without_the_role_the_answer_says_so(viewer: APIClient) -> None:
    assert told(viewer.post("/api/location/", {"name": "x"}), 403) == {
        "code": "permission_denied",
        "message": "Your role does not allow this.",
        "details": {},
    }


def test_a_method_that_is_not_there_is_told_so(administrator: APIClient) -> None:
    assert told(administrator.put("/api/chargepoint/CP001/", {}), 405)["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/api/chargepoint/", "/api/ocpp16/reset/"])
class TestBodies:
    def test_another_content_type_is_refused(self, path: str, operator: APIClient) -> None:
        refused = operator.post(path, "a=1", content_type="application/x-www-form-urlencoded")
        assert told(refused, 415)["code"] == "unsupported_media_type"

    @pytest.mark.parametrize("text", ["{", "", "nonsense", '{"a": NaN}', "[" * 100_000, b"\xff\xfe"])
    def test_what_is_no_json_is_refused(self, text: Any, path: str, operator: APIClient) -> None:
        refused = operator.post(path, text, content_type="application/json")
        assert told(refused, 400)["code"] in ("parse_error", "invalid")

    @pytest.mark.parametrize(
        "text", [r'{"a\ud83d": 1}', r'{"\udc00": {"\ud800": "\ud800"}}', r'{"chargepoint_id": "\ud800"}']
    )
    def test_halves_of_surrogate_pairs_are_refused(self, text: str, path: str, operator: APIClient) -> None:
        refused = operator.post(path, text, content_type="application/json")
        assert told(refused, 400)["code"] == "invalid"
        refused.content.decode()

    @pytest.mark.parametrize("body", [[], "text", 1, None])
    def test_what_is_no_object_is_refused(self, body: Any, path: str, operator: APIClient) -> None:
        refused = operator.post(path, json.dumps(body), content_type="application/json")
        assert told(refused, 400)["code"] == "invalid"


def test_a_bug_is_logged_and_not_told(
    viewer: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(resources.LocationResource, "get_queryset", fail)
    assert told(viewer.get("/api/location/"), 500) == {
        "code": "error",
        "message": "The platform failed; its log says why.",
        "details": {},
    }
    assert "RuntimeError: secret" in caplog.text


def test_what_a_client_is_refused_is_told_and_not_logged(viewer: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    told(viewer.get("/api/location/17/"), 404)
    assert not caplog.records


def test_two_who_add_the_same_at_once_do_not_both_succeed(operator: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.station("CP1")
    monkeypatch.setattr("chargers.models.station.ChargePointQuerySet.exists", lambda rows: False)
    assert told(operator.post("/api/chargepoint/", {"chargepoint_id": "CP1"}), 409)["code"] == "CONFLICT"


@pytest.mark.django_db
def test_a_body_that_is_too_large_is_refused_before_it_is_read(operator: APIClient, settings: Any) -> None:
    settings.WEB_MAX_BODY = 1024
    fits = json.dumps({"name": "n" * 900})
    large = json.dumps({"name": "n" * 1100})
    assert operator.post("/api/location/", fits, content_type="application/json").status_code != 413
    body = told(operator.post("/api/location/", large, content_type="application/json"), 413)
    assert body["code"] == "BODY_TOO_LARGE"
    assert "OV2XMP_WEB_MAX_BODY" in body["message"]


@pytest.mark.django_db
def test_a_login_that_is_too_large_is_refused(anonymous: APIClient, settings: Any) -> None:
    settings.WEB_MAX_BODY = 1024
    large = json.dumps({"username": "u" * 2000, "password": "p"})
    assert told(anonymous.post("/api/token/", large, content_type="application/json"), 413)["code"] == "BODY_TOO_LARGE"


@pytest.mark.django_db
def test_who_asks_for_more_than_their_role_allows_is_told_in_the_log(
    viewer: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    told(viewer.post("/api/location/", {}), 403)
    assert "viewing_user may not POST /api/location/" in caplog.text
