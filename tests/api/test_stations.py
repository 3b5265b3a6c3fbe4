from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from chargers.authority import EmbeddedAuthority
from chargers.choices import SecurityProfile
from chargers.models import ChargePoint, Connector, StatusNotification, Transaction
from chargers.services import stations
from ov2xmp.asgi import application
from tasks.roles import Role
from tests.api import rows
from tests.api.conftest import Listen
from tests.conftest import person

pytestmark = pytest.mark.django_db

STRANGE = [
    "depot/row 3/CP 7",
    "/",
    "a/",
    " leading and trailing ",
    "100%25 sure?&#;+",
    "Ταχυφορτιστής №1 🔌",
    "line\nbreak",
    "line end\n",
    "..",
    "x" * 255,
    "ß" * 255,
]


def path(identity: str) -> str:
    return f"/api/chargepoint/{quote(identity, safe='')}/"


def test_a_new_station_is_answered_its_key_this_once(operator: APIClient) -> None:
    location = rows.location()
    body = {
        "chargepoint_id": "CP1",
        "registration_status": "Pending",
        "location": str(location.pk),
        "security_profile": 1,
    }
    answer = operator.post("/api/chargepoint/", body)
    assert answer.status_code == 201
    created = answer.json()
    assert body.items() <= created.items()
    assert (created["connected"], created["deviations"]) == (False, [])

    key = created.pop("key")
    assert len(key) == 40
    row = ChargePoint.objects.get()
    assert stations.key_matches(key.encode(), row.key_hash)
    assert operator.get("/api/chargepoint/CP1/").json() == created


def test_a_new_station_needs_nothing_but_its_identity(operator: APIClient) -> None:
    created = operator.post("/api/chargepoint/", {"chargepoint_id": "CP1"}).json()
    assert (created["registration_status"], created["security_profile"]) == ("Accepted", 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "chargepoint_id"),
        ({"chargepoint_id": ""}, "chargepoint_id"),
        ({"chargepoint_id": "x" * 256}, "chargepoint_id"),
        ({"chargepoint_id": "nul\x00"}, "chargepoint_id"),
        ({"chargepoint_id": ["CP1"]}, "chargepoint_id"),
        ({"chargepoint_id": "taken"}, "chargepoint_id"),
        ({"chargepoint_id": "TAKEN"}, "chargepoint_id"),
        ({"chargepoint_id": "CP1", "registration_status": "Maybe"}, "registration_status"),
        ({"chargepoint_id": "CP1", "security_profile": 7}, "security_profile"),
        ({"chargepoint_id": "CP1", "location": "00000000-0000-0000-0000-000000000000"}, "location"),
        ({"chargepoint_id": "CP1", "location": "nowhere"}, "location"),
        ({"chargepoint_id": "CP1", "registration_satus": "Pending"}, "registration_satus"),
        ([], "body"),
    ],
)
def test_a_bad_station_is_refused_by_field(body: Any, field: str, operator: APIClient) -> None:
    rows.station("Taken")
    refused = operator.post("/api/chargepoint/", body)
    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid"
    assert refused.json()["details"].keys() == {field}
    assert field in refused.json()["message"]
    assert ChargePoint.objects.count() == 1


@pytest.mark.parametrize("identity", STRANGE)
def test_an_identity_may_hold_anything(identity: str, operator: APIClient) -> None:
    created = operator.post("/api/chargepoint/", {"chargepoint_id": identity})
    assert created.status_code == 201
    assert operator.get(path(identity)).json()["chargepoint_id"] == identity
    assert operator.patch(path(identity), {"registration_status": "Rejected"}).status_code == 200
    station = ChargePoint.objects.get(chargepoint_id=identity, registration_status="Rejected")

    rows.connector(station)
    rows.status(station)
    assert operator.get("/api/connector/", {"chargepoint_id": identity}).json()["count"] == 1
    assert operator.get(f"/api/statusnotification/{quote(identity, safe='')}/").json()["count"] == 1
    assert operator.delete(path(identity)).status_code == 204
    assert not ChargePoint.objects.exists()


@pytest.mark.django_db(transaction=True)
async def test_an_identity_may_hold_anything_over_asgi(transactional_db: None, short_connections: None) -> None:
    token = await sync_to_async(prepare)()
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=token) as http:
        for identity in STRANGE:
            if identity == "..":
                continue  # which this client takes out of a path
            answer = await http.get(path(identity))
            assert answer.json()["chargepoint_id"] == identity


def prepare() -> dict[str, str]:
    for identity in STRANGE:
        rows.station(identity)
    token = AccessToken.for_user(person("viewing_user", Role.VIEWER))
    connection.close()
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("spelt", ["cp-straße", "CP-STRASSE", "Cp-Straße"])
def test_case_does_not_matter_in_an_identity(spelt: str, operator: APIClient) -> None:
    station = rows.station("CP-Straße")
    rows.connector(station)
    rows.status(station)
    rows.transaction(station)
    rows.variable(station)
    rows.command(station)
    assert operator.get(path(spelt)).json()["chargepoint_id"] == "CP-Straße"
    assert operator.get(f"/api/statusnotification/{quote(spelt)}/").json()["count"] == 1
    for resource in ("connector", "transaction", "variable", "task"):
        assert operator.get(f"/api/{resource}/", {"chargepoint_id": spelt}).json()["count"] == 1
        assert operator.get(f"/api/{resource}/", {"chargepoint_id": "another"}).json()["count"] == 0


@pytest.mark.parametrize("resource", ["chargepoint", "statusnotification"])
@pytest.mark.parametrize("identity", ["CP9", "%00", "%EF%BF%BD", "x" * 3000])
def test_an_unknown_station_is_named(resource: str, identity: str, viewer: APIClient) -> None:
    refused = viewer.get(f"/api/{resource}/{identity}/")
    assert refused.status_code == 404
    assert refused.json()["code"] == "CHARGING_STATION_DOES_NOT_EXIST"


@pytest.mark.parametrize("url", ["/api/chargepoint", "/api/chargepoint/CP001", "/api/statusnotification/CP001"])
def test_the_slash_at_the_end_may_be_left_out(url: str, operator: APIClient) -> None:
    rows.station()
    assert operator.get(url).json() == operator.get(f"{url}/").json()
    assert operator.post("/api/chargepoint", {"chargepoint_id": "CP2"}).status_code == 201


def test_an_operator_changes_what_is_the_operators(operator: APIClient) -> None:
    rows.station()
    location = str(rows.location().pk)
    changed = operator.patch("/api/chargepoint/cp001/", {"registration_status": "Pending", "location": location})
    assert changed.status_code == 200
    assert changed.json() == operator.get("/api/chargepoint/CP001/").json()
    assert (changed.json()["registration_status"], changed.json()["location"]) == ("Pending", location)
    assert operator.patch("/api/chargepoint/CP001/", {"location": None}).json()["location"] is None
    assert operator.patch("/api/chargepoint/CP001/", {}).status_code == 200


@pytest.mark.parametrize(
    "body", [{"firmware_version": "9"}, {"connected": True}, {"chargepoint_id": "CP2"}, {"key": "x"}, {"nonsense": 1}]
)
def test_what_a_station_reports_cannot_be_changed(body: dict[str, Any], operator: APIClient) -> None:
    rows.station(firmware_version="1")
    refused = operator.patch("/api/chargepoint/CP001/", {**body, "registration_status": "Rejected"})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == body.keys()
    assert ChargePoint.objects.get().registration_status == "Accepted"


def test_a_change_leaves_alone_what_the_station_writes_meanwhile(
    operator: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = rows.station()
    save = ChargePoint.save

    def save_later(row: ChargePoint, **options: Any) -> None:
        ChargePoint.objects.filter(pk=station.pk).update(firmware_version="2", node=rows.node())
        save(row, **options)

    monkeypatch.setattr(ChargePoint, "save", save_later)
    changed = operator.patch("/api/chargepoint/CP001/", {"registration_status": "Pending"}).json()
    assert (changed["firmware_version"], changed["connected"]) == ("2", True)


def test_a_key_is_not_demanded_from_a_station_that_has_none(operator: APIClient) -> None:
    station = rows.station()
    refused = operator.patch("/api/chargepoint/CP001/", {"security_profile": 1})
    assert refused.json()["details"].keys() == {"security_profile"}
    stations.new_key(station)
    assert operator.patch("/api/chargepoint/CP001/", {"security_profile": 1}).json()["security_profile"] == 1
    assert ChargePoint.objects.get().security_profile == SecurityProfile.BASIC


def test_tls_is_not_demanded_where_no_station_could_connect_with_it(
    operator: APIClient, settings: Settings, data_dir: Path
) -> None:
    stations.new_key(rows.station())

    def refusal(profile: int) -> str:
        added = operator.post("/api/chargepoint/", {"chargepoint_id": "CP2", "security_profile": profile})
        changed = operator.patch("/api/chargepoint/CP001/", {"security_profile": profile})
        assert (added.status_code, changed.status_code) == (400, 400)
        assert added.json()["details"] == changed.json()["details"]
        return str(changed.json()["details"]["security_profile"])

    assert "no TLS port" in refusal(2)
    assert "no TLS port" in refusal(3)
    settings.CSMS_TLS_CERTIFICATES = ["server.pem"]
    assert operator.patch("/api/chargepoint/CP001/", {"security_profile": 2}).status_code == 200
    assert "no certificate authority" in refusal(3)
    EmbeddedAuthority().root()
    assert operator.patch("/api/chargepoint/CP001/", {"security_profile": 3}).status_code == 200
    assert ChargePoint.objects.get().security_profile == SecurityProfile.TLS_CERTIFICATE
    # Lowering is the operator's business.
    assert operator.patch("/api/chargepoint/CP001/", {"security_profile": 0}).status_code == 200


def test_deleting_a_station_keeps_its_transactions_and_its_history(operator: APIClient) -> None:
    station = rows.station()
    transaction = rows.transaction(station, connector=rows.connector(station)).pk
    rows.status(station)
    rows.command(station)
    before = operator.get(f"/api/transaction/{transaction}/").json()
    assert operator.delete("/api/chargepoint/cp001/").status_code == 204

    assert not Connector.objects.exists()
    assert operator.get(f"/api/transaction/{transaction}/").json() == {**before, "connector": None}
    assert Transaction.objects.get().chargepoint_id == "CP001"
    assert StatusNotification.objects.exists()
    assert operator.get("/api/statusnotification/CP001/").json()["count"] == 1
    assert operator.get("/api/transaction/", {"chargepoint_id": "CP001"}).json()["count"] == 1
    assert operator.get("/api/task/", {"chargepoint_id": "CP001"}).json()["count"] == 1


def test_listeners_hear_of_a_station_what_rest_answers(operator: APIClient, listen: Listen) -> None:
    with listen() as news:
        created = operator.post("/api/chargepoint/", {"chargepoint_id": "CP1"}).json()
    del created["key"]
    assert news == [("chargepoint", "created", created)]

    with listen() as news:
        changed = operator.patch("/api/chargepoint/CP1/", {"registration_status": "Pending"}).json()
    assert news == [("chargepoint", "updated", changed)]

    connector = rows.connector(ChargePoint.objects.get())
    profile = rows.installed_profile(ChargePoint.objects.get())
    gone = operator.get(f"/api/connector/{connector.pk}/").json()
    lifted = operator.get(f"/api/installedprofile/{profile.pk}/").json()
    with listen() as news:
        operator.delete("/api/chargepoint/CP1/")
    assert news == [
        ("connector", "deleted", gone),
        ("chargingprofile", "deleted", lifted),
        ("chargepoint", "deleted", changed),
    ]


def test_stations_are_filtered(viewer: APIClient) -> None:
    location = rows.location()
    rows.station("A", connected=True, chargepoint_status="Available", location=location)
    rows.station("B", node=rows.node("dead", alive=False), ocpp_version="ocpp2.0.1", registration_status="Pending")
    rows.station("C", chargepoint_status="Faulted", ocpp_version="ocpp1.6")

    def found(**query: str) -> str:
        return "".join(row["chargepoint_id"] for row in viewer.get("/api/chargepoint/", query).json()["results"])

    assert found() == "ABC"
    assert found(connected="true") == "A"
    assert found(connected="false") == "BC"
    assert found(chargepoint_status="Faulted") == "C"
    assert found(ocpp_version="ocpp1.6") == "AC"
    assert found(ocpp_version="ocpp1.6", connected="false") == "C"
    assert found(registration_status="Pending") == "B"
    assert found(location=str(location.pk)) == "A"


@pytest.mark.parametrize(
    ("name", "value"),
    [("connected", "perhaps"), ("ocpp_version", "1.6"), ("location", "here"), ("chargepoint_status", "\x00")],
)
def test_a_filter_that_makes_no_sense_is_refused_by_name(name: str, value: str, viewer: APIClient) -> None:
    refused = viewer.get("/api/chargepoint/", {name: value})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {name}
