"""Certificate authorities for tests: roots that sign what they are given."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

Key = ec.EllipticCurvePrivateKey
DAY = timedelta(days=1)


def name_of(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def pem(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)


class Authority:
    """A root, or an authority that another one has signed. Its certificates begin yesterday."""

    def __init__(self, name: str, parent: "Authority | None" = None, *, ends: timedelta = 365 * DAY) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name_of(name)
        signer = parent or self
        self.certificate = signer.certify(self.name, self.key.public_key(), ends=ends, is_authority=True)

    @property
    def pem(self) -> str:
        return pem(self.certificate)

    def sign(self, csr: str, *, ends: timedelta = 30 * DAY) -> x509.Certificate:
        """Sign what a station asks for in PEM."""
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        return self.certify(request.subject, request.public_key(), ends=ends)

    def certify(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        ends: timedelta = 30 * DAY,
        is_authority: bool = False,
        address: str | None = None,
        responder: str | None = None,
    ) -> x509.Certificate:
        """Issue a certificate that `ends` so long from now, for a server if it has an address.

        `responder` is the URL at which OCSP tells whether it is revoked.
        """
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if address:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        if responder:
            location = x509.UniformResourceIdentifier(responder)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, folder: Path, *, clients: "Authority | None" = None) -> ssl.SSLContext:
        """Build a server's context for 127.0.0.1, which asks for certificates of `clients` if there are some."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certify(name_of("127.0.0.1"), key.public_key(), address="127.0.0.1")
        path = folder / "server.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + pem(certificate).encode())
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        if clients:
            context.load_verify_locations(cadata=clients.pem)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
