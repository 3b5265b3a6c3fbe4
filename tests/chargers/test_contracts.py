"""Contracts of vehicles: what the local provider verifies, and whom it asks (C07, M06)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from pytest_django.fixtures import Settings

from chargers import pem
from chargers.choices import ContractStatus
from chargers.contracts import LocalProvider, provider
from chargers.errors import CertificateRefused, NoContractProvider
from chargers.values import Contract, ContractRequest, StatusRequest
from tests.contracts import Responder, responding
from tests.simulator.authority import Authority, name_of

EMAID = "DE-ABC-C12345678-9"
VALID, EXPIRED, REVOKED, UNVERIFIED = (
    ContractStatus.VALID,
    ContractStatus.EXPIRED,
    ContractStatus.REVOKED,
    ContractStatus.UNVERIFIED,
)
ROOT = Authority("MO Root")
BETWEEN = Authority("MO Sub CA", ROOT)
STRANGER = Authority("MO Root")


def contract_of(emaid: str = EMAID, issuer: Authority = BETWEEN, days: float = 30) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return issuer.certify(name_of(emaid), key, ends=timedelta(days=days))


LEAF = contract_of()


@pytest.fixture(autouse=True)
def authorities(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "mo.pem"
    file.write_text(ROOT.pem + BETWEEN.pem)
    settings.ISO15118_CA = str(file)


@pytest.fixture
def responder(settings: Settings) -> Iterator[Responder]:
    with responding(BETWEEN) as running:
        settings.OCSP_RESPONDERS = frozenset({running.host})
        yield running


def verdict(*chain: x509.Certificate, emaid: str = EMAID) -> ContractStatus:
    return LocalProvider().verify(Contract("CP1", emaid, chain=pem.write(*chain)))


@pytest.mark.parametrize("emaid", [EMAID, "DEABCC123456789", "de-abc-c12345678-9"])
def test_a_chain_up_to_an_authority_is_valid_however_the_emaid_is_spelt(emaid: str) -> None:
    assert verdict(LEAF, BETWEEN.certificate, emaid=emaid) == VALID


def test_the_authorities_in_the_file_need_not_be_told() -> None:
    assert verdict(LEAF) == VALID


@pytest.mark.parametrize("days", [-0.5])
def test_an_expired_contract_is_told_from_an_invalid_one(days: float) -> None:
    assert verdict(contract_of(days=days)) == EXPIRED


def test_a_certificate_of_another_contract_is_not_verified() -> None:
    assert verdict(LEAF, emaid="DE-ABC-C99999999-9") == UNVERIFIED


def test_an_authority_that_only_has_the_same_name_is_not_trusted() -> None:
    assert verdict(contract_of(issuer=STRANGER), STRANGER.certificate) == UNVERIFIED


def test_a_contract_signs_no_other_contract() -> None:
    thief = Authority.__new__(Authority)
    thief.key, thief.name = ec.generate_private_key(ec.SECP256R1()), name_of("A driver")
    thief.certificate = BETWEEN.certify(thief.name, thief.key.public_key())
    assert verdict(contract_of(issuer=thief), thief.certificate) == UNVERIFIED


@pytest.mark.parametrize("chain", ["", "no certificate"])
def test_what_is_no_chain_is_not_verified(chain: str) -> None:
    assert LocalProvider().verify(Contract("CP1", EMAID, chain=chain)) == UNVERIFIED


def test_a_missing_file_of_authorities_is_told(settings: Settings) -> None:
    settings.ISO15118_CA = "/nowhere/mo.pem"
    with pytest.raises(FileNotFoundError):
        verdict(LEAF)


# By OCSP


def asked(responder: Responder, certificate: x509.Certificate = LEAF, url: str = "") -> StatusRequest:
    return StatusRequest("CP1", pem.hash_data(certificate, BETWEEN.certificate), url or responder.url)


def status_of(responder: Responder) -> ContractStatus:
    return LocalProvider().verify(Contract("CP1", EMAID, hashes=[asked(responder)]))


def test_a_certificate_that_a_responder_calls_good_is_valid(responder: Responder) -> None:
    assert status_of(responder) == VALID


def test_a_revoked_certificate_is_told(responder: Responder) -> None:
    responder.revoked.add(LEAF.serial_number)
    assert status_of(responder) == REVOKED


def test_a_chain_that_is_good_does_not_outweigh_a_revocation(responder: Responder) -> None:
    responder.revoked.add(LEAF.serial_number)
    shown = Contract("CP1", EMAID, chain=pem.write(LEAF), hashes=[asked(responder)])
    assert LocalProvider().verify(shown) == REVOKED


@pytest.mark.parametrize(("is_revoked", "expected"), [(False, VALID), (True, REVOKED)])
def test_a_chain_names_its_responders_itself(responder: Responder, is_revoked: bool, expected: ContractStatus) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    certificate = BETWEEN.certify(name_of(EMAID), key, responder=responder.url)
    if is_revoked:
        responder.revoked.add(certificate.serial_number)
    assert verdict(certificate, BETWEEN.certificate) == expected
    assert responder.asked == {certificate.serial_number}


def test_an_answer_that_a_stranger_has_signed_is_not_believed(responder: Responder) -> None:
    responder.signer = STRANGER
    assert status_of(responder) == UNVERIFIED


def test_an_old_answer_is_not_believed(responder: Responder) -> None:
    responder.until = datetime.now(UTC) - timedelta(days=1)
    assert status_of(responder) == UNVERIFIED


def test_a_responder_that_is_away_leaves_the_contract_unverified(responder: Responder) -> None:
    responder.status = 503
    assert status_of(responder) == UNVERIFIED
    responder.server_close()
    assert status_of(responder) == UNVERIFIED


def test_a_responder_is_asked_for_the_status_of_a_certificate(responder: Responder) -> None:
    response = ocsp.load_der_ocsp_response(LocalProvider().status(asked(responder)))
    assert response.serial_number == LEAF.serial_number
    assert response.certificate_status == ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("url", ["http://169.254.169.254/ocsp", "file:///etc/passwd", "no URL", "http://[/"])
def test_only_responders_that_the_operator_has_named_are_asked(responder: Responder, url: str) -> None:
    with pytest.raises((CertificateRefused, ValueError)):
        LocalProvider().status(asked(responder, url=url))


def test_a_name_that_is_none_is_not_asked_for(responder: Responder) -> None:
    named = pem.hash_data(LEAF, BETWEEN.certificate)
    broken = StatusRequest("CP1", type(named)("SHA256", "zz", named.issuer_key_hash, "1"), responder.url)
    with pytest.raises(CertificateRefused, match="not named as OCSP does"):
        LocalProvider().status(broken)


# Whom to ask


def test_without_a_provider_it_is_said_which_setting_is_missing(settings: Settings) -> None:
    settings.ISO15118_PROVIDER = ""
    with pytest.raises(NoContractProvider, match="OV2XMP_ISO15118_PROVIDER"):
        provider()


def test_the_local_provider_issues_no_contracts() -> None:
    with pytest.raises(NoContractProvider):
        LocalProvider().issue(ContractRequest("CP1", "urn:iso:15118:2:2013:MsgDef", "AAAA", update=False))
