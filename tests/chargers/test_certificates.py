"""Certificates of stations: what they want signed is checked and signed, what they hold is known."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_django.fixtures import Settings

from chargers import pem
from chargers.authority import EmbeddedAuthority
from chargers.changes import Changes
from chargers.choices import CertificateUse
from chargers.models import Certificate, ChargePoint
from chargers.services import certificates
from chargers.values import (
    CertificateGone,
    CertificateHash,
    CertificateInstalled,
    CertificatesTold,
    ChainAnswer,
    SigningRequest,
)
from tests import pki, signers
from tests.chargers import told
from tests.chargers.told import at

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_dir")]

CSMS_ROOT, MANUFACTURER_ROOT = CertificateUse.CSMS_ROOT, CertificateUse.MANUFACTURER_ROOT


@pytest.fixture(autouse=True)
def stations(db: None) -> None:
    told.station("CP1")
    ChargePoint.objects.filter(pk="CP1").update(chargepoint_serial_number="SN-1", chargebox_serial_number="BOX-1")
    told.station("CP2")


def ask(csr: str, minute: float = 0, station: str = "CP1") -> bool:
    (accepted,) = certificates.request([SigningRequest(station, csr, at(minute))], Changes())
    return accepted


def only() -> Certificate:
    return Certificate.objects.get()


def statuses(**filters: Any) -> list[str]:
    return list(Certificate.objects.filter(**filters).order_by("id").values_list("status", flat=True))


# Asking


@pytest.mark.parametrize("name", ["SN-1", "BOX-1", "CP1", "cp1"])
def test_a_good_request_waits_to_be_signed(name: str) -> None:
    assert ask(pki.request_pem(name))

    row = only()
    assert (row.chargepoint_id, row.use, row.status) == ("CP1", "ChargingStationCertificate", "Requested")
    assert (row.reason, row.due_at, row.created_at) == ("", at(0), at(0))


def test_a_request_is_kept_in_plain_pem_however_it_came() -> None:
    csr = pki.request_pem("CP1")

    assert ask(csr.replace("\n", "\\r\\n"))
    assert only().csr == csr


def test_a_request_that_is_no_good_is_kept_with_the_reason() -> None:
    csr = pki.request_pem("CP2")
    assert not ask(csr)

    row = only()
    assert (row.status, row.due_at, row.csr) == ("Rejected", None, csr)
    assert row.reason == (
        "CSR_COMMON_NAME: the common name (CN) 'CP2' is neither a serial number nor the identity of the station"
    )


def test_the_operators_name_is_asked_for_when_it_is_set(settings: Settings) -> None:
    settings.CPO_NAME = "Example Power"

    assert not ask(pki.request_pem("CP1", organization="Somebody"))
    assert ask(pki.request_pem("CP1", organization="Example Power"))


def test_without_a_signer_every_request_is_rejected(settings: Settings) -> None:
    settings.CERTIFICATE_SIGNER = ""

    assert not ask(pki.request_pem("CP1"))
    assert only().reason == "NO_SIGNER: this platform signs no certificates"


@pytest.mark.parametrize("others", [{"chargepoint_serial_number": "sn-1"}, {"chargebox_serial_number": "SN-1"}])
def test_a_serial_number_that_another_station_tells_too_is_nobodys_name(others: dict[str, str]) -> None:
    ChargePoint.objects.filter(pk="CP2").update(**others)

    assert not ask(pki.request_pem("SN-1"))
    assert only().reason == "CSR_COMMON_NAME: the common name (CN) 'SN-1' is a name of station CP2 too"
    assert ask(pki.request_pem("CP1"))


def test_a_station_cannot_tell_another_ones_identity_as_its_serial_number() -> None:
    ChargePoint.objects.filter(pk="CP1").update(chargepoint_serial_number="CP2")

    assert not ask(pki.request_pem("CP2"))
    assert ask(pki.request_pem("CP2"), station="CP2")


def test_a_station_that_was_deleted_gets_nothing() -> None:
    ChargePoint.objects.all().delete()

    assert not ask(pki.request_pem("CP1"))


def test_the_same_bad_request_again_and_again_is_one_row() -> None:
    for minute in range(3):
        assert not ask(pki.request_pem("nobody"), minute)
    assert not ask("no request", 3)

    assert [(row.created_at, row.updated_at) for row in Certificate.objects.order_by("id")] == [
        (at(0), at(2)),
        (at(3), at(3)),
    ]


def test_bad_requests_of_one_kind_are_one_row_whatever_they_say() -> None:
    for number in range(3):
        assert not ask(pki.request_pem(f"nobody {number}"), number)
    assert only().reason.startswith("CSR_COMMON_NAME: the common name (CN) 'nobody 2'")


def test_the_same_request_again_is_one_request() -> None:
    csr = pki.request_pem("CP1")

    assert ask(csr, 0)
    assert ask(csr, 1)
    assert only().created_at == at(0)


def test_a_newer_request_takes_the_place_of_one_that_is_not_signed_yet() -> None:
    ask(pki.request_pem("CP1"), 0)
    newer = pki.request_pem("CP1", key=pki.rsa_key())
    ask(newer, 1)

    assert (only().csr, only().due_at) == (newer, at(1))


def test_a_newer_request_ends_one_that_is_signed_and_not_with_the_station_yet() -> None:
    ask(pki.request_pem("CP1"), 0)
    certificates.sign_next(now=at(1))
    ask(pki.request_pem("CP1", key=pki.rsa_key()), 2)

    assert statuses() == ["Failed", "Requested"]
    assert Certificate.objects.earliest("id").reason == "the station sent another request"


# Signing


def test_a_request_is_signed_once(settings: Settings) -> None:
    settings.CPO_NAME = "Example Power"
    ask(pki.request_pem("SN-1", organization="Example Power"))

    assert certificates.sign_next(now=at(1))
    assert not certificates.sign_next(now=at(1))

    row = only()
    assert (row.status, row.reason, row.attempts, row.due_at) == ("Signed", "", 0, at(1))
    (leaf,) = pem.read_chain(row.pem)
    leaf.verify_directly_issued_by(EmbeddedAuthority().root())
    assert row.subject == "O=Example Power,CN=SN-1"
    assert (row.serial_number, row.not_after) == (f"{leaf.serial_number:X}", leaf.not_valid_after_utc)


def test_the_chain_of_an_authority_is_kept_in_plain_pem(settings: Settings) -> None:
    settings.CERTIFICATE_SIGNER = signers.path(signers.Chained)
    ask(pki.request_pem("CP1"))
    certificates.sign_next(now=at(1))

    leaf, issuer = pem.read_chain(only().pem)
    assert issuer == EmbeddedAuthority().root()
    assert only().pem == pem.write(leaf, issuer)
    assert only().issuer_key_hash == pem.hash_data(issuer).issuer_key_hash


@pytest.mark.parametrize(
    ("signer", "reason"),
    [
        (signers.path(signers.Broken), "ConnectionError: the authority is away"),
        (signers.path(signers.Confused), "SIGNER_OTHER_KEY: "),
        (signers.path(signers.Talkative), "SIGNER_CHAIN_TOO_LONG: "),
        ("tests.signers.Nobody", "ImportError: "),
        ("", "NO_SIGNER: "),
    ],
)
def test_what_goes_wrong_is_kept_and_tried_again(settings: Settings, signer: str, reason: str) -> None:
    ask(pki.request_pem("CP1"))
    settings.CERTIFICATE_SIGNER, good = signer, settings.CERTIFICATE_SIGNER

    assert certificates.sign_next(now=at(1))
    row = only()
    assert (row.status, row.attempts, row.due_at) == ("Requested", 1, at(2))
    assert row.reason.startswith(reason)

    settings.CERTIFICATE_SIGNER = good
    assert not certificates.sign_next(now=at(1.9))
    assert certificates.sign_next(now=at(2))
    assert (only().status, only().reason) == ("Signed", "")


def test_an_authority_that_stays_away_is_given_up_after_a_while(settings: Settings) -> None:
    settings.CERTIFICATE_SIGNER = signers.path(signers.Broken)
    ask(pki.request_pem("CP1"))

    minutes = [minute for minute in range(120) if certificates.sign_next(now=at(minute))]

    assert minutes == [0, 1, 3, 7, 15, 31]
    assert (only().status, only().due_at) == ("Failed", None)
    assert only().reason == "ConnectionError: the authority is away"


def test_a_worker_that_is_killed_leaves_the_request_to_the_next(settings: Settings) -> None:
    settings.CERTIFICATE_TIMEOUT = 60
    ask(pki.request_pem("CP1"))
    assert certificates._claim(at(0)) is not None

    assert not certificates.sign_next(now=at(2.9))
    assert certificates.sign_next(now=at(3))
    assert only().status == "Signed"


def test_what_was_signed_for_a_request_that_is_no_longer_wanted_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    ask(pki.request_pem("CP1"))
    newer = pki.request_pem("CP1", key=pki.rsa_key())
    sign = EmbeddedAuthority.sign

    def slow(authority: EmbeddedAuthority, csr_pem: str, station: str) -> str:
        ask(newer, 1)
        return sign(authority, csr_pem, station)

    monkeypatch.setattr(EmbeddedAuthority, "sign", slow)
    certificates.sign_next(now=at(0))

    assert (only().status, only().csr, only().pem) == ("Requested", newer, "")


# The station's answer


def answer(command_id: Any, accepted: bool, chain: str = "") -> None:
    values = [ChainAnswer("CP1", command_id, chain, accepted, at(5))]
    assert certificates.settle(values, Changes()) == [None]


@pytest.mark.parametrize(
    ("accepted", "status", "reason"), [(True, "Accepted", ""), (False, "Rejected", "the station refused it")]
)
def test_the_stations_answer_settles_it(accepted: bool, status: str, reason: str) -> None:
    ask(pki.request_pem("CP1"))
    certificates.sign_next(now=at(1))
    command_id = uuid4()
    certificates.brought_by(only(), command_id)

    answer(command_id, accepted)
    assert (only().status, only().reason, only().due_at) == (status, reason, None)


def test_a_chain_sent_by_hand_is_known_once_the_station_has_taken_it() -> None:
    chain = pem.write(pki.certificate("CP1", serial_number=4095))

    answer(uuid4(), False, chain)
    assert not Certificate.objects.exists()
    answer(uuid4(), True, chain)
    row = only()
    assert (row.status, row.use, row.subject, row.serial_number) == (
        "Accepted",
        "ChargingStationCertificate",
        "CN=CP1",
        "FFF",
    )


# Roots


def install(root: x509.Certificate, minute: float = 0, use: CertificateUse = CSMS_ROOT) -> None:
    values = [CertificateInstalled("CP1", use, pem.write(root), at(minute))]
    assert certificates.install(values, Changes()) == [None]


def tell(*hashes: CertificateHash, use: CertificateUse = CSMS_ROOT, station: str = "CP1") -> None:
    assert certificates.tell([CertificatesTold(station, use, hashes, at(10))], Changes()) == [None]


def forget(named: CertificateHash) -> None:
    assert certificates.forget([CertificateGone("CP1", named, at(20))], Changes()) == [None]


def test_a_root_that_a_station_took_is_known_with_its_hashes() -> None:
    root = pki.root("Example Root", serial_number=4095)
    install(root)

    row = only()
    named = pem.hash_data(root)
    assert (row.use, row.status, row.subject) == ("CSMSRootCertificate", "Installed", "CN=Example Root")
    assert (row.hash_algorithm, row.serial_number, row.not_after) == ("SHA256", "FFF", root.not_valid_after_utc)
    assert (row.issuer_name_hash, row.issuer_key_hash) == (named.issuer_name_hash, named.issuer_key_hash)
    assert pem.read_certificate(row.pem) == root


def test_a_root_taken_twice_is_one() -> None:
    root = pki.root()
    install(root, 0)
    install(root, 1)
    install(root, 1, use=MANUFACTURER_ROOT)

    assert [(row.use, row.updated_at) for row in Certificate.objects.order_by("id")] == [
        ("CSMSRootCertificate", at(1)),
        ("ManufacturerRootCertificate", at(1)),
    ]


def test_a_root_that_is_deleted_is_held_no_more_and_may_come_back() -> None:
    root = pki.root()
    install(root)
    install(pki.root("Another"))

    forget(pem.hash_data(root))
    assert statuses() == ["Deleted", "Installed"]
    install(root, 30)
    assert statuses() == ["Installed", "Installed"]


@pytest.mark.parametrize("algorithm", pem.HASHES)
def test_a_root_is_the_same_under_each_algorithm(algorithm: str) -> None:
    root = pki.root(key=pki.rsa_key())
    install(root)
    named = pem.hash_data(root, algorithm=algorithm)

    tell(named)
    assert (only().status, only().hash_algorithm, only().issuer_key_hash) == (
        "Installed",
        algorithm,
        named.issuer_key_hash,
    )
    forget(named)
    assert only().status == "Deleted"


def test_case_and_leading_zeros_do_not_matter_and_are_kept_as_told() -> None:
    root = pki.root(serial_number=0xABC)
    named = pem.hash_data(root)
    install(root)
    told = CertificateHash("SHA256", named.issuer_name_hash.upper(), named.issuer_key_hash.upper(), "0abc")

    tell(told)
    assert (only().serial_number, only().issuer_key_hash) == ("0abc", named.issuer_key_hash.upper())
    forget(named)
    assert only().status == "Deleted"


def test_what_a_station_tells_is_what_is_believed_for_that_use() -> None:
    kept, gone, other = pki.root("Kept"), pki.root("Gone"), pki.root("Other", key=pki.rsa_key())
    install(kept)
    install(gone)
    install(other, use=MANUFACTURER_ROOT)
    unknown = CertificateHash("SHA384", "aa", "bb", "1")

    tell(pem.hash_data(kept), unknown, unknown)
    assert list(Certificate.objects.order_by("id").values_list("subject", "status", "serial_number")) == [
        ("CN=Kept", "Installed", f"{kept.serial_number:X}"),
        ("CN=Gone", "Deleted", f"{gone.serial_number:X}"),
        ("CN=Other", "Installed", f"{other.serial_number:X}"),
        ("", "Installed", "1"),
    ]
    tell()
    assert statuses(use=CSMS_ROOT) == ["Deleted"] * 3
    assert statuses(use=MANUFACTURER_ROOT) == ["Installed"]


def test_a_station_that_tells_of_roots_without_end_is_believed_up_to_a_bound() -> None:
    tell(*(CertificateHash("SHA256", "aa", "bb", f"{number:X}") for number in range(1, 5000)))
    assert Certificate.objects.count() == certificates.MAX_ROOTS


@pytest.mark.parametrize("algorithm", pem.HASHES)
def test_a_root_that_was_told_first_is_the_one_that_is_installed_later(algorithm: str) -> None:
    root = pki.root("Example Root")
    tell(pem.hash_data(root, algorithm=algorithm))
    assert only().subject == ""

    install(root, 11)
    assert (only().status, only().subject) == ("Installed", "CN=Example Root")


def test_two_roots_with_one_serial_number_are_two() -> None:
    first = pki.root("First", serial_number=1)
    second = pki.root("Second", key=pki.ec_key(ec.SECP384R1), serial_number=1)
    install(first)
    install(second)

    forget(pem.hash_data(second))
    assert list(Certificate.objects.order_by("id").values_list("subject", "status")) == [
        ("CN=First", "Installed"),
        ("CN=Second", "Deleted"),
    ]


def test_a_certificate_whose_issuer_is_not_known_is_recognised_by_its_serial_number() -> None:
    root = pki.root("Example Root", key=pki.rsa_key())
    intermediate = pki.certificate("Intermediate", issuer="Example Root", issuer_key=pki.rsa_key(), serial_number=7)
    install(intermediate)
    assert (only().serial_number, only().issuer_key_hash) == ("7", "")

    named = pem.hash_data(intermediate, root)
    tell(named)
    assert (only().subject, only().issuer_key_hash) == ("CN=Intermediate", named.issuer_key_hash)


def test_what_other_stations_hold_is_left_alone() -> None:
    root = pki.root()
    install(root)
    tell(station="CP2")

    assert statuses() == ["Installed"]


def test_a_due_certificate_is_never_due_before_its_pause() -> None:
    assert [certificates.pause_after(attempts) for attempts in range(4)] == [
        timedelta(minutes=1),
        timedelta(minutes=1),
        timedelta(minutes=2),
        timedelta(minutes=4),
    ]


# Expiry


def held(days: float, status: str = "Accepted", use: str = CertificateUse.STATION, station: str = "CP1") -> None:
    Certificate.objects.create(
        chargepoint_id=station,
        use=use,
        status=status,
        not_after=at(0) + timedelta(days=days),
        created_at=at(0),
        updated_at=at(0),
    )


def test_what_expires_soon_is_listed_unless_its_successor_is_there() -> None:
    held(20)
    held(40, station="CP2")
    held(10, "Installed", CSMS_ROOT, "CP2")
    held(-1, "Installed", MANUFACTURER_ROOT, "CP2")
    held(5, station="deleted")

    assert certificates.expiring(now=at(0)) == [
        ("CP2", MANUFACTURER_ROOT, at(0) - timedelta(days=1)),
        ("CP2", CSMS_ROOT, at(0) + timedelta(days=10)),
        ("CP1", CertificateUse.STATION, at(0) + timedelta(days=20)),
    ]
    held(400, "Rejected")
    assert len(certificates.expiring(now=at(0))) == 3
    held(400)
    assert [expiry.station for expiry in certificates.expiring(now=at(0))] == ["CP2", "CP2"]
