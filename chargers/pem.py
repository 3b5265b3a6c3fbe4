"""Certificates and signing requests in PEM: read, checked, and hashed as OCPP does.

Requirement ids are those of the OCPP 1.6 security whitepaper, edition 3.
"""

import base64
import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from chargers.errors import CertificateRefused
from chargers.values import CertificateFacts, CertificateHash, ClientCertificate

# A00.FR.502 and A00.FR.503, in bits.
MIN_RSA_BITS = 2048
MIN_EC_BITS = 224

HASHES: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}

# Line breaks, also those of stations that escape them twice.
_GAPS = re.compile(r"\s|\\[nr]")


def _ders(text: str, label: str) -> list[bytes]:
    """Decode each armoured block, with line breaks or without; text without armour is one block. Raises ValueError."""
    blocks = re.findall(rf"-----BEGIN (?:NEW |X509 )?{label}-----(.*?)-----END", text, re.DOTALL) or [text]
    return [base64.b64decode(_GAPS.sub("", block), validate=True) for block in blocks]


def read_request(text: str) -> x509.CertificateSigningRequest:
    """Read a signing request, whose signature proves that the sender has the key. Raises CertificateRefused."""
    try:
        (der,) = _ders(text, "CERTIFICATE REQUEST")
        request = x509.load_der_x509_csr(der)
        signed = request.is_signature_valid
        # Names are decoded late; one that cannot be read must fail here.
        _ = request.subject
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateRefused("CSR_UNREADABLE", f"this is no certificate signing request: {error}") from error
    if not signed:
        raise CertificateRefused("CSR_SIGNATURE_WRONG", "the signing request is not signed with its own key")
    return request


def check_request(
    text: str, *, names: Collection[str] | None, organization: str = ""
) -> x509.CertificateSigningRequest:
    """Read a signing request that a station may make; `names` are its serial numbers and its identity, None any name.

    `organization` is the operator's name, checked unless it is empty. Raises CertificateRefused.
    """
    request = read_request(text)
    check_key(request)
    if names is not None:
        _check_common_name(_values(request.subject, NameOID.COMMON_NAME), names)
    organizations = _values(request.subject, NameOID.ORGANIZATION_NAME)
    if organization and organization.casefold() not in (each.casefold() for each in organizations):
        told = ", ".join(map(repr, organizations)) or "missing"
        raise CertificateRefused("CSR_ORGANIZATION", f"the organization (O) must be {organization!r}, and is {told}")
    return request


def check_key(paper: x509.CertificateSigningRequest | x509.Certificate) -> None:
    """Hold the kind and the length of a key against A00.FR.501 to A00.FR.503. Raises CertificateRefused."""
    key = paper.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        kind, minimum = "RSA", MIN_RSA_BITS
    elif isinstance(key, ec.EllipticCurvePublicKey):
        kind, minimum = "EC", MIN_EC_BITS
    else:
        raise CertificateRefused("CSR_KEY_KIND", "the key must be an RSA or an EC key")
    if key.key_size < minimum:
        message = f"the {kind} key has {key.key_size} bits, and must have at least {minimum}"
        raise CertificateRefused("CSR_KEY_WEAK", message)


def _check_common_name(found: Sequence[str], names: Collection[str]) -> None:
    """Hold the common name against the station's own names (A00.FR.511)."""
    if len(found) != 1:
        raise CertificateRefused("CSR_COMMON_NAME", f"the subject must have one common name (CN), and has {len(found)}")
    name = found[0]
    if name.casefold() not in {each.strip().casefold() for each in names if each.strip()}:
        message = f"the common name (CN) {name!r} is neither a serial number nor the identity of the station"
        raise CertificateRefused("CSR_COMMON_NAME", message)
    if _is_address(name):
        message = f"the common name (CN) {name!r} is an address, as only a server's may be"
        raise CertificateRefused("CSR_COMMON_NAME", message)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return "://" in name
    return True


def _values(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value).strip() for attribute in name.get_attributes_for_oid(oid)]


def read_chain(text: str) -> list[x509.Certificate]:
    """Read certificates in the order they stand. Raises CertificateRefused."""
    try:
        chain = [x509.load_der_x509_certificate(der) for der in _ders(text, "CERTIFICATE")]
        # As for a request, names are decoded late.
        _ = [(each.subject, each.issuer) for each in chain]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateRefused("CERTIFICATE_UNREADABLE", f"this is no certificate: {error}") from error
    return chain


def read_certificate(text: str) -> x509.Certificate:
    """Read a single certificate. Raises CertificateRefused."""
    chain = read_chain(text)
    if len(chain) != 1:
        raise CertificateRefused("CERTIFICATE_UNREADABLE", f"there must be one certificate, not {len(chain)}")
    return chain[0]


def write(*papers: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in papers)


def facts(certificate: x509.Certificate) -> CertificateFacts:
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial_number=_hexadecimal(certificate.serial_number),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def client_certificate(certificate: x509.Certificate) -> ClientCertificate:
    return ClientCertificate(
        common_names=tuple(_values(certificate.subject, NameOID.COMMON_NAME)),
        organizations=tuple(_values(certificate.subject, NameOID.ORGANIZATION_NAME)),
        serial_number=_hexadecimal(certificate.serial_number),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def hash_data(
    certificate: x509.Certificate, issuer: x509.Certificate | None = None, algorithm: str = "SHA256"
) -> CertificateHash:
    """Name a certificate as OCPP does (section 6.1), which is as OCSP does (RFC 6960 section 4.1.1).

    A root is its own issuer. Raises CertificateRefused for another certificate without its issuer.
    """
    issuer = issuer or certificate
    if certificate.issuer != issuer.subject:
        raise CertificateRefused("CERTIFICATE_ISSUER", "the issuer of the certificate is another one")
    return CertificateHash(algorithm, *issuer_hashes(issuer, algorithm), _hexadecimal(certificate.serial_number))


def issuer_hashes(issuer: x509.Certificate, algorithm: str) -> tuple[str, str]:
    """Return the hashes of an issuer's name and key, in hexadecimal, by which OCSP names what it has issued."""
    request = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, HASHES[algorithm]).build()
    return request.issuer_name_hash.hex(), request.issuer_key_hash.hex()


def _hexadecimal(number: int) -> str:
    """Write a serial number as the whitepaper's example: no leading zeros, capitals."""
    return f"{number:X}"
