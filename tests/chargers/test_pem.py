"""Certificates and signing requests: what stations send is read with patience and checked with care."""

import base64
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from chargers import pem
from chargers.errors import CertificateRefused
from tests import pki

OPENSSL = shutil.which("openssl")
KEYS = {"RSA": pki.rsa_key, "EC": pki.ec_key, "EC-224": lambda: pki.ec_key(ec.SECP224R1)}


def refusal(text: str, *names: str, organization: str = "") -> tuple[str, str]:
    with pytest.raises(CertificateRefused) as refused:
        pem.check_request(text, names=names, organization=organization)
    return refused.value.code, str(refused.value)


@pytest.mark.parametrize("kind", KEYS)
def test_a_request_with_the_serial_number_is_good(kind: str) -> None:
    request = pki.request("SN-1", key=KEYS[kind]())

    read = pem.check_request(pem.write(request), names=["SN-1", "", "CP1"])

    assert read.public_key() == request.public_key()


def armour_free(text: str) -> str:
    return "".join(text.split("\n")[1:-2])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", ""),
        lambda text: text.replace("\n", "\\n"),
        lambda text: text.replace("\n", "\\r\\n"),
        lambda text: textwrap.indent(text, "  "),
        lambda text: text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        lambda text: f"Certificate Request:\n    Data:\n{text}\n\n",
        armour_free,
        lambda text: textwrap.fill(armour_free(text), 76),
    ],
    ids=["CRLF", "one line", "escaped LF", "escaped CRLF", "indented", "NEW", "with text", "base64", "base64 lines"],
)
def test_a_request_is_read_in_whatever_shape_it_comes(spoil) -> None:
    request = pki.request("SN-1")

    read = pem.read_request(spoil(pem.write(request)))

    assert read == request


@pytest.mark.parametrize(
    "text",
    [
        "",
        "certificate, please",
        "MIIB",
        "é" * 40,
        "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----",
        pki.request_pem("SN-1") * 2,
        pem.write(pki.root()),
    ],
    ids=["empty", "words", "cut off", "not ASCII", "empty armour", "two", "certificate"],
)
def test_what_is_no_request_is_refused(text: str) -> None:
    assert refusal(text, "SN-1")[0] == "CSR_UNREADABLE"


def test_a_request_signed_with_another_key_is_refused() -> None:
    der = bytearray(pki.request("SN-1", key=pki.rsa_key()).public_bytes(Encoding.DER))
    der[-1] ^= 1

    assert refusal(base64.b64encode(der).decode(), "SN-1")[0] == "CSR_SIGNATURE_WRONG"


def test_a_name_that_is_no_text_is_refused() -> None:
    def broken(der: bytes) -> str:
        return base64.b64encode(der.replace(b"SN-1", b"\xff\xfe\xfd\xfc")).decode()

    assert refusal(broken(pki.request("SN-1").public_bytes(Encoding.DER)), "SN-1")[0] == "CSR_UNREADABLE"
    with pytest.raises(CertificateRefused, match="this is no certificate"):
        pem.read_chain(broken(pki.root("SN-1").public_bytes(Encoding.DER)))


def test_a_short_rsa_key_is_refused() -> None:
    text = pki.request_pem("SN-1", key=pki.rsa_key(1024))

    assert refusal(text, "SN-1") == ("CSR_KEY_WEAK", "the RSA key has 1024 bits, and must have at least 2048")


def test_a_short_ec_key_is_refused() -> None:
    text = pki.request_pem("SN-1", key=pki.ec_key(ec.SECP192R1))

    assert refusal(text, "SN-1") == ("CSR_KEY_WEAK", "the EC key has 192 bits, and must have at least 224")


def test_a_key_of_another_kind_is_refused() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(pki.name("SN-1"))
    request = builder.sign(ed25519.Ed25519PrivateKey.generate(), None)

    assert refusal(pem.write(request), "SN-1")[0] == "CSR_KEY_KIND"


@pytest.mark.parametrize("common_name", ["CP1", "sn-1", " BOX-1 "])
def test_the_common_name_is_any_name_of_the_station_in_any_case(common_name: str) -> None:
    pem.check_request(pki.request_pem(common_name), names=["SN-1", "BOX-1 ", "CP1"])


def test_another_stations_name_is_refused() -> None:
    assert refusal(pki.request_pem("SN-12"), "SN-1", "CP1") == (
        "CSR_COMMON_NAME",
        "the common name (CN) 'SN-12' is neither a serial number nor the identity of the station",
    )


@pytest.mark.parametrize("common_names", [(), ("SN-1", "SN-2"), ("SN-1", "SN-1")])
def test_a_subject_that_leaves_a_choice_is_refused(common_names: tuple[str, ...]) -> None:
    code, message = refusal(pki.request_pem(*common_names, organization="CPO"), "SN-1")

    assert code == "CSR_COMMON_NAME"
    assert message == f"the subject must have one common name (CN), and has {len(common_names)}"


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "wss://csms.example.org"])
def test_an_address_is_no_name_of_a_station(address: str) -> None:
    code, message = refusal(pki.request_pem(address), address)

    assert code == "CSR_COMMON_NAME"
    assert message.endswith("is an address, as only a server's may be")


def test_the_organization_is_the_operators() -> None:
    pem.check_request(pki.request_pem("CP1", organization="Example Power"), names=["CP1"], organization="EXAMPLE power")
    pem.check_request(pki.request_pem("CP1", organization="Somebody"), names=["CP1"])


@pytest.mark.parametrize(("organization", "told"), [("Somebody", "'Somebody'"), ("", "missing")])
def test_another_organization_is_refused(organization: str, told: str) -> None:
    text = pki.request_pem("CP1", organization=organization)

    assert refusal(text, "CP1", organization="Example Power") == (
        "CSR_ORGANIZATION",
        f"the organization (O) must be 'Example Power', and is {told}",
    )


def test_a_chain_is_read_in_its_order() -> None:
    leaf, root = pki.certificate("CP1"), pki.root()

    assert pem.read_chain(pem.write(leaf, root)) == [leaf, root]
    assert pem.read_chain(pem.write(leaf, root).replace("\n", "")) == [leaf, root]


@pytest.mark.parametrize("text", ["", "no certificate", pki.request_pem("CP1")])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(CertificateRefused) as refused:
        pem.read_chain(text)

    assert refused.value.code == "CERTIFICATE_UNREADABLE"


def test_two_certificates_are_not_one() -> None:
    with pytest.raises(CertificateRefused, match="there must be one certificate, not 2"):
        pem.read_certificate(pem.write(pki.root(), pki.root()))


def test_an_operator_is_told_what_a_certificate_says() -> None:
    certificate = pki.certificate("CP1", issuer="Example Root", serial_number=4095)

    facts = pem.facts(certificate)

    assert (facts.subject, facts.issuer, facts.serial_number) == ("CN=CP1", "CN=Example Root", "FFF")
    assert (facts.not_before, facts.not_after) == (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    assert len(facts.fingerprint) == 64


def test_a_certificate_is_named_by_its_issuer_and_serial_number() -> None:
    """The whitepaper's example: 4095 is FFF (section 6.1)."""
    root = pki.root(key=pki.rsa_key())
    leaf = pki.certificate("CP1", issuer_key=pki.rsa_key(), serial_number=4095)

    named = pem.hash_data(leaf, root)

    assert named.serial_number == "FFF"
    own = pem.hash_data(root)
    assert (named.issuer_name_hash, named.issuer_key_hash) == (own.issuer_name_hash, own.issuer_key_hash)


def test_a_certificate_cannot_be_named_without_its_issuer() -> None:
    leaf = pki.certificate("CP1", issuer="Example Root")

    for issuer in (None, pki.root("Another Root")):
        with pytest.raises(CertificateRefused) as refused:
            pem.hash_data(leaf, issuer)
        assert refused.value.code == "CERTIFICATE_ISSUER"


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not on the PATH")
@pytest.mark.parametrize("algorithm", pem.HASHES)
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("own_issuer", [True, False], ids=["root", "leaf"])
def test_openssl_names_a_certificate_the_same(algorithm: str, kind: str, own_issuer: bool, tmp_path: Path) -> None:
    root = pki.root("Example Root", key=KEYS[kind]())
    certificate = root if own_issuer else pki.certificate("CP1", issuer="Example Root", issuer_key=KEYS[kind]())
    (tmp_path / "root.pem").write_text(pem.write(root), encoding="ascii")
    (tmp_path / "certificate.pem").write_text(pem.write(certificate), encoding="ascii")

    command = [OPENSSL, "ocsp", f"-{algorithm.lower()}", "-issuer", "root.pem", "-cert", "certificate.pem", "-req_text"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30).stdout

    named = pem.hash_data(certificate, root, algorithm)
    unbroken = re.sub(r"\\\n\s*", "", told)
    values = dict(re.findall(r"(Issuer Name Hash|Issuer Key Hash|Serial Number): (\w+)", unbroken))
    assert values["Issuer Name Hash"].casefold() == named.issuer_name_hash.casefold()
    assert values["Issuer Key Hash"].casefold() == named.issuer_key_hash.casefold()
    assert values["Serial Number"].lstrip("0").casefold() == named.serial_number.casefold()
    assert named.algorithm == algorithm
