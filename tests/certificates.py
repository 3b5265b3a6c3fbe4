"""A certificate authority of the tests, and the certificates it gives to servers and stations."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import pki

LOCALHOST = "127.0.0.1"


class Papers(NamedTuple):
    """A certificate and its key, as PEM files."""

    certificate: str
    key: str


class Authority:
    """A certificate authority that keeps everything in a directory; `root` is its own certificate.

    It is a root, or one whose certificate comes from `issuer`.
    """

    def __init__(self, directory: Path, name: str = "Root of the tests", *, issuer: "Authority | None" = None) -> None:
        self._directory = directory
        self._name = pki.name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._count = 0
        usage = x509.BasicConstraints(ca=True, path_length=0 if issuer else 1)
        own = (issuer or self)._signed(self._name, self._key, timedelta(days=1), usage)
        self.root = self._write("root", own, self._key)

    def server(self, *, key: CertificateIssuerPrivateKeyTypes | None = None, lifetime: float = 1) -> Papers:
        """Return papers for a server on this machine."""
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOCALHOST))])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return self._give(pki.name(LOCALHOST, organization="Operator"), key, lifetime, names, usage)

    def station(
        self,
        common_name: str,
        *,
        organization: str = "",
        key: CertificateIssuerPrivateKeyTypes | None = None,
        lifetime: float = 1,
    ) -> Papers:
        """Return papers for a station, valid for `lifetime` days from now."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._give(pki.name(common_name, organization=organization), key, lifetime, usage)

    def trusting(self, shown: Papers | None = None) -> ssl.SSLContext:
        """Return the TLS of a station that trusts this authority and shows `shown`."""
        context = ssl.create_default_context(cafile=self.root.certificate)
        if shown:
            context.load_cert_chain(*shown)
        return context

    def _give(
        self,
        subject: x509.Name,
        key: CertificateIssuerPrivateKeyTypes | None,
        lifetime: float,
        *extensions: x509.ExtensionType,
    ) -> Papers:
        own = key or ec.generate_private_key(ec.SECP256R1())
        self._count += 1
        return self._write(str(self._count), self._signed(subject, own, timedelta(days=lifetime), *extensions), own)

    def _signed(
        self,
        subject: x509.Name,
        key: CertificateIssuerPrivateKeyTypes,
        lifetime: timedelta,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .serial_number(x509.random_serial_number())
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + lifetime)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate, key: CertificateIssuerPrivateKeyTypes) -> Papers:
        papers = Papers(*(str(self._directory / f"{name}.{kind}") for kind in ("pem", "key")))
        Path(papers.certificate).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        Path(papers.key).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return papers
