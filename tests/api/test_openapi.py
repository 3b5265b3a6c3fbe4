import io
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from api import examples
from api.commands import read
from tasks.actions import ACTIONS, Action
from tests.api import rows

DOCUMENTED_BY_ITSELF = {"/api/token/", "/api/token/refresh/", "/api/token/verify/", "/api/health/"}


def test_the_document_is_valid_and_made_without_a_warning() -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file="/dev/null", stdout=io.StringIO())


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "source"), [("/api/", "/api/?script="), ("/api/redoc/", "/api/redoc/")])
def test_the_pages_show_the_document(path: str, source: str, anonymous: APIClient) -> None:
    page = anonymous.get(path)
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    # The page has no script in itself.
    assert path == source or f'<script src="{source}">' in page.content.decode()
    assert "/api/schema" in anonymous.get(source).content.decode()


@pytest.mark.django_db
def test_the_document_is_json_unless_yaml_is_asked_for(anonymous: APIClient) -> None:
    document = anonymous.get("/api/schema/").json()
    assert document["openapi"].startswith("3.0")
    assert anonymous.get("/api/schema/", headers={"accept": "application/json"}).json() == document
    assert b"openapi: 3.0" in anonymous.get("/api/schema/?format=yaml").content


@pytest.mark.django_db
def test_every_operation_says_what_it_is_for_and_how_it_fails(anonymous: APIClient) -> None:
    document = anonymous.get("/api/schema/").json()
    order = [tag["name"] for tag in document["tags"]]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["tags"][0] in order, (method, path)
            if path not in DOCUMENTED_BY_ITSELF:
                assert operation["security"] == [{"jwtAuth": []}], (method, path)
                assert {"401", "403", "429"} <= operation["responses"].keys(), (method, path)


@pytest.mark.parametrize("row", ACTIONS, ids=lambda row: f"{row.version} {row.name}")
def test_the_example_of_a_command_can_be_sent_as_it_is(row: Action) -> None:
    assert read(row, examples.body(row)).station == examples.STATION


@pytest.mark.django_db
def test_the_times_of_examples_are_of_tomorrow(anonymous: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in (3, 4):
        monkeypatch.setattr(timezone, "now", lambda day=day: datetime(2026, 12, day, 23, tzinfo=UTC))
        operation = anonymous.get("/api/schema/").json()["paths"]["/api/ocpp16/reservenow/"]["post"]
        example = operation["requestBody"]["content"]["application/json"]["examples"]["ReserveNow"]
        assert example["value"]["expiry_date"] == f"2026-12-0{day + 1}T12:00:00Z"


@pytest.mark.django_db
def test_the_examples_of_resources_can_be_sent_as_they_are(administrator: APIClient) -> None:
    keys = {"uuid": rows.connector(rows.station("CP002")).pk, "chargepoint_id": "CP001", "id_token": examples.TAG}
    keys |= {"username": "operator1"}
    paths = administrator.get("/api/schema/").json()["paths"]
    sent = []
    # What is changed has to be there first.
    for method in ("post", "patch"):
        for path, operations in paths.items():
            content = operations.get(method, {}).get("requestBody", {}).get("content", {}).get("application/json", {})
            if path in DOCUMENTED_BY_ITSELF or "/ocpp" in path or not content:
                continue
            ((_, example),) = content["examples"].items()
            address = path.format_map(keys)
            answer = getattr(administrator, method)(address, example["value"])
            assert answer.status_code == (201 if method == "post" else 200), (address, answer.json())
            sent.append(path)
            keys |= {name: answer.json()[name] for name in ("id", "chargingprofile_id") if name in answer.json()}
    assert len(sent) == len(examples.RESOURCES)
