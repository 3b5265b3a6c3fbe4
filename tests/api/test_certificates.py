"""Certificates over REST: what stations hold, and the authority's root."""

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from chargers import pem
from chargers.authority import EmbeddedAuthority
from tasks.tasks import relay_command
from tests import pki, signers
from tests.api import rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connected station, and a worker that takes its time."""
    rows.station(connected=True)
    monkeypatch.setattr(relay_command, "apply_async", lambda **_: None)


def test_certificates_are_filtered(viewer: APIClient) -> None:
    station = rows.station()
    rows.certificate(station, serial_number="1")
    rows.certificate(station, "Deleted", serial_number="2", use="ManufacturerRootCertificate")
    rows.certificate(rows.station("CP2"), "Rejected", serial_number="3", use="ChargingStationCertificate")

    def found(**query: str) -> list[str]:
        return [row["serial_number"] for row in viewer.get("/api/certificate/", query).json()["results"]]

    assert found() == ["3", "2", "1"]
    assert found(chargepoint_id="cp001") == ["2", "1"]
    assert found(use="ManufacturerRootCertificate") == ["2"]
    assert found(status="Rejected") == ["3"]
    assert viewer.get("/api/certificate/", {"status": "Lost"}).json()["details"].keys() == {"status"}


def test_a_certificate_is_read_by_its_number(viewer: APIClient) -> None:
    row = rows.certificate(rows.station(), not_after=rows.NOON)

    shown = viewer.get(f"/api/certificate/{row.pk}/").json()
    assert (shown["certificate_id"], shown["not_after"]) == (row.pk, "2026-03-01T12:00:00Z")
    assert viewer.get(f"/api/certificate/{row.pk + 1}/").status_code == 404
    assert viewer.get("/api/certificate/one/").status_code == 404


def test_what_names_a_certificate_is_what_deletes_it(connected: None, operator: APIClient) -> None:
    row = rows.certificate(rows.ChargePoint.objects.get())
    named = operator.get(f"/api/certificate/{row.pk}/").json()["certificate_hash_data"]

    body = {"chargepoint_id": "CP001", "sync": False, "certificate_hash_data": named}
    assert operator.post("/api/ocpp16/deletecertificate/", body).status_code == 202
    assert rows.Command.objects.get().payload == {
        "certificateHashData": {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": "aa",
            "issuerKeyHash": "bb",
            "serialNumber": "FFF",
        }
    }


def test_a_certificate_whose_hashes_are_not_known_has_none(viewer: APIClient) -> None:
    row = rows.certificate(rows.station(), issuer_key_hash="")

    assert viewer.get(f"/api/certificate/{row.pk}/").json()["certificate_hash_data"] is None


@pytest.mark.parametrize(
    ("action", "field", "more"),
    [
        ("installcertificate", "certificate", {"certificate_type": "CentralSystemRootCertificate"}),
        ("certificatesigned", "certificate_chain", {}),
    ],
)
@pytest.mark.parametrize("text", ["", "no certificate", pki.request_pem("CP001")], ids=["empty", "words", "request"])
def test_what_is_no_certificate_is_refused_by_the_fields_name(
    action: str, field: str, more: dict[str, str], text: str, connected: None, operator: APIClient
) -> None:
    refused = operator.post(f"/api/ocpp16/{action}/", {"chargepoint_id": "CP001", field: text, **more})
    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid"
    assert refused.json()["details"].keys() == {field}
    assert not rows.Command.objects.exists()


def test_two_certificates_are_not_one_root(connected: None, operator: APIClient) -> None:
    body = {
        "chargepoint_id": "CP001",
        "certificate_type": "CentralSystemRootCertificate",
        "certificate": pem.write(pki.root(), pki.root()),
    }

    refused = operator.post("/api/ocpp16/installcertificate/", body)
    assert refused.json()["details"] == {"certificate": ["there must be one certificate, not 2"]}


def test_a_root_is_sent_in_plain_pem_however_it_was_given(connected: None, operator: APIClient) -> None:
    root = pem.write(pki.root())
    body = {
        "chargepoint_id": "CP001",
        "sync": False,
        "certificate_type": "ManufacturerRootCertificate",
        "certificate": root.replace("\n", "\r\n"),
    }
    assert operator.post("/api/ocpp16/installcertificate/", body).status_code == 202
    assert rows.Command.objects.get().payload["certificate"] == root


def test_the_root_of_the_authority_can_be_read(viewer: APIClient, data_dir: Path) -> None:
    shown = viewer.get("/api/certificateauthority/").json()

    root = EmbeddedAuthority().root()
    assert pem.read_certificate(shown["pem"]) == root
    assert shown["subject"] == root.subject.rfc4514_string()
    assert shown["not_after"] == f"{root.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert (data_dir / "ca" / "root.pem").read_text(encoding="ascii") == shown["pem"]


@pytest.mark.parametrize("signer", ["", signers.path(signers.Broken)])
def test_without_the_embedded_authority_there_is_no_root(viewer: APIClient, settings: Settings, signer: str) -> None:
    settings.CERTIFICATE_SIGNER = signer

    response = viewer.get("/api/certificateauthority/")
    assert response.status_code == 404
    assert response.json()["code"] == "CERTIFICATE_AUTHORITY_DOES_NOT_EXIST"
