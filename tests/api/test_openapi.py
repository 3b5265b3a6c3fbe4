import io

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from api.command_schema import example
from tasks.actions import ACTIONS, Action
from tasks.schemas import openapi, schema, to_wire

DOCUMENTED_BY_ITSELF = {"/api/token/", "/api/token/refresh/", "/api/token/verify/", "/api/health/"}


def test_the_document_is_valid_and_made_without_a_warning() -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file="/dev/null", stdout=io.StringIO())


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/", "/api/redoc/"])
def test_the_pages_show_the_document(path: str, anonymous: APIClient) -> None:
    page = anonymous.get(path)
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    assert "/api/schema" in page.content.decode()


@pytest.mark.django_db
def test_the_document_is_json_unless_yaml_is_asked_for(anonymous: APIClient) -> None:
    document = anonymous.get("/api/schema/").json()
    assert document["openapi"].startswith("3.0")
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
                assert {"401", "403"} <= operation["responses"].keys(), (method, path)


@pytest.mark.parametrize("row", ACTIONS, ids=lambda row: f"{row.version} {row.name}")
def test_the_example_of_a_command_can_be_sent_as_it_is(row: Action) -> None:
    body = example(openapi(schema(row.version, row.name, "Request")))
    to_wire(row.version, row.name, body)
