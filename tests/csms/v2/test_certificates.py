"""OCPP 2.x: certificates over real sockets: a station's own are signed and brought to it, what it holds is known."""

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from pytest_django.fixtures import Settings

from chargers import pem
from chargers.authority import EmbeddedAuthority
from chargers.choices import RegistrationStatus
from chargers.models import Certificate, ChargePoint, Variable
from tasks.schemas import InvalidBody
from tests import pki
from tests.csms import operator
from tests.csms.conftest import Query, query_in_thread
from tests.csms.papers import becomes, hash_data, rows, work
from tests.simulator.station import CallError, Payload
from tests.simulator.v2 import Station201

ROOT = pki.root("Example Root", serial_number=4095)
STATION, V2G = "ChargingStationCertificate", "V2GCertificate"
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


@pytest.fixture(autouse=True)
def own_data_dir(data_dir: Path) -> None:
    """Keep the certificate authority of the tests apart from one in use."""


@pytest.fixture
def ready(ready: Station201) -> Station201:
    ready.answers["CertificateSigned"] = {"status": "Accepted"}
    return ready


def kind_of(word: str | None) -> Payload:
    return {} if word is None else {"certificateType": word}


async def ask(station: Station201, csr: str, word: str | None = STATION) -> str:
    return str((await station.call("SignCertificate", {"csr": csr, **kind_of(word)}))["status"])


# The station's own


@pytest.mark.parametrize(
    ("word", "name", "use", "purpose"),
    [
        (STATION, "SN-1", STATION, CLIENT),
        (V2G, "DE*ABC*S1", V2G, SERVER),
        (None, "CP1", "CombinedCertificate", CLIENT),
    ],
    ids=["station", "V2G", "combined"],
)
async def test_what_a_station_wants_signed_is_signed_and_brought_to_it_for_the_same_use(
    ready: Station201, word: str | None, name: str, use: str, purpose: Any, query: Query
) -> None:
    assert await ask(ready, pki.request_pem(name), word) == "Accepted"
    await work()
    call = await ready.expect_call("CertificateSigned")
    assert call.payload == {"certificateChain": call.payload["certificateChain"], **kind_of(word)}
    (leaf,) = pem.read_chain(call.payload["certificateChain"])
    leaf.verify_directly_issued_by(EmbeddedAuthority().root())
    assert leaf.subject == pki.name(name)
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
    await becomes("Accepted")
    assert (await query(Certificate.objects.get)).use == use


async def test_requests_for_two_uses_are_two(ready: Station201, query: Query) -> None:
    for word in (STATION, V2G):
        assert await ask(ready, pki.request_pem("SN-1"), word) == "Accepted"
    await work()
    sent = [(await ready.expect_call("CertificateSigned")).payload["certificateType"] for _ in range(2)]
    assert sorted(sent) == [STATION, V2G]
    await becomes("Accepted", "Accepted")


@pytest.mark.parametrize(("word", "name"), [(STATION, "DE*ABC*S1"), (None, "DE*ABC*S1"), (V2G, "CP2")])
async def test_a_name_that_may_be_another_stations_is_not_signed(
    ready: Station201, word: str | None, name: str, query: Query
) -> None:
    await query(lambda: ChargePoint.objects.create(chargepoint_id="CP2"))
    assert await ask(ready, pki.request_pem(name), word) == "Rejected"
    ((status, reason),) = await query(rows)
    assert status == "Rejected"
    assert reason.startswith("CSR_COMMON_NAME: ")


@pytest.mark.parametrize(("word", "left"), [(STATION, V2G), (V2G, STATION)])
async def test_a_platform_signs_only_what_it_has_a_signer_for(
    ready: Station201, settings: Settings, word: str, left: str
) -> None:
    setattr(settings, "CERTIFICATE_SIGNER" if word == STATION else "V2G_CERTIFICATE_SIGNER", "")
    assert await ask(ready, pki.request_pem("SN-1"), word) == "Rejected"
    assert await ask(ready, pki.request_pem("SN-1"), left) == "Accepted"


async def test_a_station_may_refuse_its_chain(ready: Station201, query: Query) -> None:
    ready.answers["CertificateSigned"] = {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidCSR"}}
    await ask(ready, pki.request_pem("SN-1"), V2G)
    await work()
    await becomes("Rejected")


@pytest.mark.parametrize("kind", ["ChargingStation", "V2G", "Combined"])
async def test_a_pending_station_may_ask_once_it_was_told_to(url: str, transactional_db: None, kind: str) -> None:
    await query_in_thread(
        lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=RegistrationStatus.PENDING)
    )
    async with Station201(url, "CP1") as station:
        station.answers["TriggerMessage"] = {"status": "Accepted"}
        await station.boot()
        with pytest.raises(CallError, match="SecurityError"):
            await ask(station, pki.request_pem("CP1"))
        await operator.perform("TriggerMessage", {"requestedMessage": f"Sign{kind}Certificate"})
        assert await ask(station, pki.request_pem("CP1")) == "Accepted"


async def test_a_chain_is_no_longer_than_the_station_takes(ready: Station201, query: Query) -> None:
    chain = pem.write(pki.certificate("SN-1"))
    limit = {"component": "SecurityCtrlr", "variable": "MaxCertificateChainSize", "value": "100"}
    boot = await query(ChargePoint.objects.get)
    await query(lambda: Variable.objects.create(chargepoint=boot, read_at="2026-01-01T00:00:00Z", **limit))
    with pytest.raises(InvalidBody, match="the station takes 100"):
        await operator.perform("CertificateSigned", {"certificateChain": chain, "certificateType": V2G})


async def test_a_chain_that_an_operator_sends_is_known_for_its_use(ready: Station201, query: Query) -> None:
    chain = pem.write(pki.certificate("SN-1"))
    await operator.perform("CertificateSigned", {"certificateChain": chain, "certificateType": V2G})
    row = await query(Certificate.objects.get)
    assert (row.use, row.status) == (V2G, "Accepted")


# What it holds


@pytest.mark.parametrize(
    "use", ["CSMSRootCertificate", "MORootCertificate", "ManufacturerRootCertificate", "V2GRootCertificate"]
)
async def test_a_root_is_installed_and_deleted(ready: Station201, use: str, query: Query) -> None:
    ready.answers |= {"InstallCertificate": {"status": "Accepted"}, "DeleteCertificate": {"status": "Accepted"}}
    await operator.perform("InstallCertificate", {"certificateType": use, "certificate": pem.write(ROOT)})
    row = await query(Certificate.objects.get)
    assert (row.use, row.status, row.subject, row.pem) == (use, "Installed", "CN=Example Root", pem.write(ROOT))
    await operator.perform("DeleteCertificate", {"certificateHashData": hash_data(ROOT)})
    assert await query(rows) == [("Deleted", "")]


@pytest.mark.parametrize("status", ["Rejected", "Failed"])
async def test_a_root_that_was_not_installed_is_not_believed(ready: Station201, status: str, query: Query) -> None:
    ready.answers["InstallCertificate"] = {"status": status}
    asked = {"certificateType": "MORootCertificate", "certificate": pem.write(ROOT)}
    await operator.perform("InstallCertificate", asked)
    assert await query(rows) == []


def named(number: str) -> Payload:
    return {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": number}


async def tells(station: Station201, asked: list[str] | None, *chains: Payload) -> None:
    answer = {"status": "Accepted", "certificateHashDataChain": list(chains)} if chains else {"status": "NotFound"}
    station.answers["GetInstalledCertificateIds"] = answer
    await operator.perform("GetInstalledCertificateIds", {"certificateType": asked} if asked else {})


async def held(query: Query) -> list[tuple[str, str, list[str]]]:
    found = await query(lambda: list(Certificate.objects.filter(status="Installed").order_by("id")))
    return [(row.use, row.serial_number, [child["serial_number"] for child in row.children]) for row in found]


async def test_chains_are_believed_with_the_certificates_in_them(ready: Station201, query: Query) -> None:
    chain = {"certificateType": "V2GCertificateChain", "certificateHashData": named("1")}
    await tells(ready, None, {**chain, "childCertificateHashData": [named("2"), named("3")]})
    assert await held(query) == [(V2G, "1", ["2", "3"])]
    await tells(ready, ["V2GCertificateChain"], {**chain, "childCertificateHashData": [named("4")]})
    assert await held(query) == [(V2G, "1", ["4"])]


async def test_what_was_asked_for_and_is_not_told_is_held_no_more(ready: Station201, query: Query) -> None:
    words = ("CSMSRootCertificate", "MORootCertificate")
    roots = [{"certificateType": word, "certificateHashData": named(str(n))} for n, word in enumerate(words)]
    await tells(ready, None, *roots)
    assert await held(query) == [(words[0], "0", []), (words[1], "1", [])]
    await tells(ready, [words[0]])
    assert await held(query) == [(words[1], "1", [])]
    await tells(ready, None)
    assert await held(query) == []


async def test_a_signed_chain_that_the_station_tells_of_is_not_kept_twice(ready: Station201, query: Query) -> None:
    chain = pem.write(ROOT)
    await operator.perform("CertificateSigned", {"certificateChain": chain, "certificateType": V2G})
    await tells(ready, None, {"certificateType": "V2GCertificateChain", "certificateHashData": hash_data(ROOT)})
    assert await held(query) == [(V2G, "FFF", [])]
    assert await query(Certificate.objects.count) == 1
    await tells(ready, None)
    assert await query(rows) == [("Deleted", "")]


# A station with a life of its own


async def test_a_station_keeps_what_it_is_brought_and_tells_of_it(url: str, query: Query) -> None:
    async with Station201(url, "CP1", autonomous=True) as station:
        await station.boot()
        for kind in (STATION, V2G):
            assert await station.sign_certificate(kind) == {"status": "Accepted"}
        await work()
        await becomes("Accepted", "Accepted")
        assert station.certificates.own
        assert station.vehicle_certificates.own
        roots = ("CSMSRootCertificate", "MORootCertificate")
        for use in roots:
            await operator.perform("InstallCertificate", {"certificateType": use, "certificate": pem.write(ROOT)})
        await operator.perform("GetInstalledCertificateIds", {"certificateType": list(roots)})
        assert [use for use, _, _ in await held(query)] == list(roots)
        for left in (1, 0):
            await operator.perform("DeleteCertificate", {"certificateHashData": hash_data(ROOT)})
            assert len(station.certificates.roots) == left
