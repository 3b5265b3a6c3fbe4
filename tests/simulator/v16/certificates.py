"""The certificates of a station, and the keys that belong to them (whitepaper sections 2.6, A02, M03 to M05)."""

import itertools
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from tests.simulator.station import Payload

CENTRAL, MANUFACTURER = "CentralSystemRootCertificate", "ManufacturerRootCertificate"
ALGORITHMS: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}


@dataclass(frozen=True)
class Root:
    """An installed certificate and the one that signed it, which is itself for a proper root."""

    use: str
    certificate: x509.Certificate
    issuer: x509.Certificate


@dataclass(frozen=True)
class Own:
    """A certificate of the station's own, with its chain and its key."""

    chain: Sequence[x509.Certificate]
    key: ec.EllipticCurvePrivateKey


class CertificateStore:
    """What it is given may be refused with a ValueError."""

    def __init__(self) -> None:
        self.roots: list[Root] = []
        self.own: list[Own] = []
        self.pending: ec.EllipticCurvePrivateKey | None = None

    def install(self, use: str, pem: str, now: datetime) -> None:
        """Keep a root, or a certificate that a kept root of the same use has signed."""
        certificate = x509.load_pem_x509_certificate(pem.encode())
        check_period(certificate, now)
        issuer = next((each for each in (certificate, *self.of(use)) if signed_by(certificate, each)), None)
        if issuer is None:
            raise ValueError("signed by nobody that is known")
        if certificate not in self.of(use):
            self.roots.append(Root(use, certificate, issuer))

    def of(self, use: str) -> list[x509.Certificate]:
        return [root.certificate for root in self.roots if root.use == use]

    def find(self, wanted: Payload) -> Root | None:
        """Find the certificate that hash data of any algorithm mean."""
        return next(
            (root for root in self.roots if normal(hash_data(root, wanted["hashAlgorithm"])) == normal(wanted)), None
        )

    def request(self, common_name: str, organization: str) -> str:
        """Make a new key and return its certificate signing request, in PEM."""
        self.pending = ec.generate_private_key(ec.SECP256R1())
        names = {NameOID.COMMON_NAME: common_name, NameOID.ORGANIZATION_NAME: organization}
        subject = x509.Name([x509.NameAttribute(oid, name) for oid, name in names.items() if name])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self.pending, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def accept(self, pem: str, now: datetime) -> None:
        """Take the signed certificate of the last request (A02.FR.06).

        Whether it belongs to the operator's hierarchy is checked as soon as a root of it is installed.
        """
        chain = x509.load_pem_x509_certificates(pem.encode())
        if self.pending is None or chain[0].public_key() != self.pending.public_key():
            raise ValueError("not the key of the last request")
        if chain[0].not_valid_after_utc <= now:
            raise ValueError("expired")
        for certificate, issuer in itertools.pairwise(chain):
            if not signed_by(certificate, issuer):
                raise ValueError("the chain is broken")
        roots = self.of(CENTRAL)
        if roots and chain[-1] not in roots and not any(signed_by(chain[-1], root) for root in roots):
            raise ValueError("of another hierarchy")
        self.own.append(Own(chain, self.pending))
        self.pending = None

    def current(self, now: datetime) -> Own | None:
        """Choose the newest of the station's own certificates that are valid (A02.FR.08, 09)."""
        valid = [own for own in self.own if own.chain[0].not_valid_before_utc <= now < own.chain[0].not_valid_after_utc]
        return max(valid, key=lambda own: own.chain[0].not_valid_before_utc, default=None)

    def check_firmware_signer(self, pem: str, now: datetime) -> None:
        """Refuse a certificate that no installed manufacturer root has signed (L01.FR.23)."""
        certificate = x509.load_pem_x509_certificate(pem.encode())
        check_period(certificate, now)
        if not any(signed_by(certificate, root) for root in self.of(MANUFACTURER)):
            raise ValueError("signed by no manufacturer that is known")

    def tls(self, own: Own | None) -> ssl.SSLContext:
        """Build what a connection needs: trust in the installed roots only, and the station's certificate."""
        roots = b"".join(pem_of(certificate) for certificate in self.of(CENTRAL))
        context = ssl.create_default_context(cadata=roots.decode())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if own is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "own.pem"
                path.write_bytes(key_of(own) + b"".join(pem_of(certificate) for certificate in own.chain))
                context.load_cert_chain(path)
        return context


def hash_data(root: Root, algorithm: str = "SHA256") -> Payload:
    """Name a certificate as CertificateHashDataType does: with the hashes of an OCSP request (RFC 6960)."""
    builder = ocsp.OCSPRequestBuilder()
    request = builder.add_certificate(root.certificate, root.issuer, ALGORITHMS[algorithm]).build()
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex(),
        "serialNumber": f"{request.serial_number:X}",
    }


def normal(data: Payload) -> Payload:
    """Spell hash data in one way: they have no case, and a serial number no leading zeros."""
    spelt = {name: value.casefold() for name, value in data.items()}
    return {**spelt, "serialNumber": spelt["serialNumber"].lstrip("0")}


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def check_period(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise ValueError("not valid now")


def pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_of(own: Own) -> bytes:
    return own.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
