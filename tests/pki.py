"""Keys, signing requests and certificates, as stations and manufacturers have them."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

from chargers import pem


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve())


def name(*common_names: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common_names]
    if organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def request(
    *common_names: str, organization: str = "", key: CertificateIssuerPrivateKeyTypes | None = None
) -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(*common_names, organization=organization))
    return builder.sign(key or ec_key(), hashes.SHA256())


def request_pem(*common_names: str, organization: str = "", key: CertificateIssuerPrivateKeyTypes | None = None) -> str:
    return pem.write(request(*common_names, organization=organization, key=key))


def root(
    common_name: str = "Root",
    *,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    serial_number: int | None = None,
    days: int = 365,
) -> x509.Certificate:
    return certificate(common_name, key=key, issuer=common_name, serial_number=serial_number, days=days)


def certificate(
    common_name: str,
    *,
    issuer: str = "Root",
    key: CertificateIssuerPrivateKeyTypes | None = None,
    issuer_key: CertificateIssuerPrivateKeyTypes | None = None,
    serial_number: int | None = None,
    days: int = 365,
) -> x509.Certificate:
    now = datetime.now(UTC)
    own_key = key or ec_key()
    return (
        x509.CertificateBuilder()
        .serial_number(serial_number or x509.random_serial_number())
        .subject_name(name(common_name))
        .public_key(own_key.public_key())
        .issuer_name(name(issuer))
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .sign(issuer_key or own_key, hashes.SHA256())
    )
