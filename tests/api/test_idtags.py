from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from chargers.models import IdTag, Transaction
from tests.api import rows

pytestmark = pytest.mark.django_db


def path(id_token: str) -> str:
    return f"/api/idtag/{quote(id_token, safe='')}/"


def test_a_tag_is_added_with_all_that_belongs_to_it(operator: APIClient) -> None:
    User.objects.create(username="driver")
    rows.tag("FLEET")
    body = {
        "idToken": "04A1",
        "friendly_name": "card of a driver",
        "parent": "FLEET",
        "expiry_date": "2030-01-01T00:00:00Z",
        "revoked": False,
        "refusal": "NoCredit",
        "token_type": "ISO14443",
        "user": "driver",
        "max_active_transactions": 2,
    }
    created = operator.post("/api/idtag/", body)
    assert created.status_code == 201
    assert created.json() == body
    assert operator.get(path("04A1")).json() == body


def test_a_tag_needs_nothing_but_its_token(operator: APIClient) -> None:
    created = operator.post("/api/idtag/", {"idToken": "04A1"}).json()
    assert created == {
        "idToken": "04A1",
        "friendly_name": "",
        "parent": None,
        "expiry_date": None,
        "revoked": False,
        "refusal": "",
        "token_type": "",
        "user": None,
        "max_active_transactions": 1,
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "idToken"),
        ({"id_token": "X"}, "id_token"),
        ({"idToken": "04-a1"}, "idToken"),
        ({"idToken": "X", "parent": "nobody"}, "parent"),
        ({"idToken": "X", "parent": {"idToken": "04A1"}}, "parent"),
        ({"idToken": "X", "user": "nobody"}, "user"),
        ({"idToken": "X", "expiry_date": "tomorrow"}, "expiry_date"),
        ({"idToken": "X", "expiry_date": "0001-01-01T00:00:00+14:00"}, "expiry_date"),
        ({"idToken": "X", "max_active_transactions": -1}, "max_active_transactions"),
        ({"idToken": "X", "max_active_transactions": 10**30}, "max_active_transactions"),
    ],
)
def test_a_bad_tag_is_refused_by_field(body: dict[str, Any], field: str, operator: APIClient) -> None:
    rows.tag("04A1")
    refused = operator.post("/api/idtag/", body)
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {field}


@pytest.mark.parametrize("id_token", ["a/b", " 04 A1 ", "04:A1-B2", "δ", "x" * 255])
def test_a_token_may_hold_anything(id_token: str, operator: APIClient) -> None:
    assert operator.post("/api/idtag/", {"idToken": id_token}).status_code == 201
    assert operator.get(path(id_token)).json()["idToken"] == id_token
    assert operator.patch(path(id_token), {"revoked": True}).json()["revoked"] is True
    assert operator.delete(path(id_token)).status_code == 204
    assert operator.get(path(id_token)).status_code == 404


def test_case_and_separators_do_not_matter(operator: APIClient) -> None:
    tag = rows.tag("04:A1:B2")
    rows.transaction(rows.station(), id_tag=tag)
    assert operator.get(path("04a1b2")).json()["idToken"] == "04:A1:B2"
    assert operator.get("/api/transaction/", {"id_token": "04-a1-b2"}).json()["count"] == 1
    assert operator.post("/api/idtag/", {"idToken": "CHILD", "parent": "04a1b2"}).json()["parent"] == "04:A1:B2"


def test_a_tag_is_changed(operator: APIClient) -> None:
    rows.tag("04A1", max_active_transactions=1)
    changed = operator.patch(path("04A1"), {"revoked": True, "max_active_transactions": None}).json()
    assert (changed["revoked"], changed["max_active_transactions"]) == (True, None)
    assert operator.patch(path("04A1"), {"idToken": "04A2"}).json()["details"].keys() == {"idToken"}
    assert operator.patch(path("04A1"), {"parent": "04a1"}).json()["details"].keys() == {"parent"}


def test_deleting_a_tag_keeps_its_transactions(operator: APIClient) -> None:
    transaction = rows.transaction(rows.station(), id_tag=rows.tag("04A1")).pk
    assert operator.delete(path("04A1")).status_code == 204
    assert not IdTag.objects.exists()
    assert Transaction.objects.get().id_tag_id == "04A1"
    assert operator.get(f"/api/transaction/{transaction}/").json()["id_tag"] == "04A1"
    assert operator.get("/api/transaction/", {"id_token": "04A1"}).json()["count"] == 1


def test_tags_are_filtered(viewer: APIClient) -> None:
    rows.tag("A", user=User.objects.create(username="driver"))
    rows.tag("B", friendly_name="pool car")

    def found(**query: str) -> str:
        return "".join(row["idToken"] for row in viewer.get("/api/idtag/", query).json()["results"])

    assert found(username="driver") == "A"
    assert found(friendly_name="pool car") == "B"
    assert found(username="nobody") == ""
