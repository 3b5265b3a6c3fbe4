from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.api import rows

pytestmark = pytest.mark.django_db


def test_a_transaction_tells_its_energy_in_wh(viewer: APIClient) -> None:
    station = rows.station()
    row = rows.transaction(
        station,
        uuid="abc",
        id_tag=rows.tag(),
        wh_meter_start=Decimal("1000"),
        wh_meter_last=Decimal("1234.5"),
        wh_meter_last_timestamp=rows.NOON + timedelta(seconds=1),
        flags=["offline"],
    )
    assert viewer.get(f"/api/transaction/{row.pk}/").json() == {
        "transaction_id": row.pk,
        "uuid": "abc",
        "connector": None,
        "chargepoint_id": "CP001",
        "id_tag": "TAG1",
        "authorization_status": "",
        "start_transaction_timestamp": "2026-03-01T12:00:00Z",
        "stop_transaction_timestamp": None,
        "wh_meter_start": 1000,
        "wh_meter_last": 1234.5,
        "wh_meter_last_timestamp": "2026-03-01T12:00:01Z",
        "wh_meter_stop": None,
        "energy_wh": 234.5,
        "reason_stopped": "",
        "charging_state": "",
        "time_spent_charging": None,
        "remote_start_id": None,
        "total_cost": None,
        "transaction_status": "Started",
        "flags": ["offline"],
    }


def test_transactions_are_filtered(viewer: APIClient) -> None:
    old, new = rows.station("OLD"), rows.station("NEW")
    tag = rows.tag("04A1", user=User.objects.create(username="driver"))
    rows.transaction(old, uuid="a", evse_id=2, connectorid=1, id_tag=tag)
    rows.transaction(
        old, uuid="b", evse_id=1, connectorid=1, start_transaction_timestamp=rows.NOON + timedelta(hours=1)
    )
    rows.transaction(
        new,
        uuid="c",
        evse_id=1,
        connectorid=2,
        ocpp_version="ocpp2.0.1",
        transaction_status="Finished",
        remote_start_id=7,
    )
    rows.transaction(new, uuid="d", start_transaction_timestamp=None, ocpp_version="ocpp2.0.1")

    def found(**query: object) -> str:
        results = viewer.get("/api/transaction/", query).json()["results"]
        return "".join(sorted(row["uuid"] for row in results))

    assert found() == "abcd"
    assert found(chargepoint_id="OLD") == "ab"
    assert found(connector_id=2) == "ac"
    assert found(connector_id=1) == "b"
    assert found(evse_id=1) == "bc"
    assert found(id_token="04a1") == "a"
    assert found(username="driver") == "a"
    assert found(transaction_status="Finished") == "c"
    assert found(uuid="b") == "b"
    assert found(remote_start_id=7) == "c"
    assert found(start_after="2026-03-01T12:00:01Z") == "b"
    assert found(start_after="2026-03-01T14:00:00+02:00") == "abc"
    assert found(start_after="2026-03-01T12:00:00") == "abc"
    assert found(start_before="2026-03-01T13:00:00Z") == "ac"
    assert found(start_after="2026-03-01T12:30:00Z", start_before="2026-03-01T13:30:00Z") == "b"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start_after", "yesterday"),
        ("start_before", "0001-01-01T00:00:00+14:00"),
        ("transaction_status", "Running"),
        ("connector_id", "-1"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_name(name: str, value: str, viewer: APIClient) -> None:
    refused = viewer.get("/api/transaction/", {name: value})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {name}


@pytest.mark.parametrize("key", ["1", "none", "-1", "9" * 30, "9" * 5000, "%00"])
@pytest.mark.parametrize("resource", ["transaction", "sampledvalue"])
def test_an_unknown_transaction_is_not_found(resource: str, key: str, viewer: APIClient) -> None:
    refused = viewer.get(f"/api/{resource}/{key}/")
    assert refused.status_code == 404
    assert refused.json()["code"] == "not_found"


def test_transactions_are_read_only(administrator: APIClient) -> None:
    path = f"/api/transaction/{rows.transaction(rows.station()).pk}/"
    for method in (administrator.put, administrator.patch, administrator.delete):
        assert method(path, {}).status_code == 405
    assert administrator.post("/api/transaction/", {}).status_code == 405
