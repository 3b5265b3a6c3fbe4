"""Who signs the certificates of stations: a certificate authority of the operator's, or the embedded one."""

import errno
import logging
import os
import secrets
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from chargers import pem
from chargers.choices import CertificateUse
from chargers.errors import NoCertificateAuthority

logger = logging.getLogger(__name__)

ROOT_LIFETIME = timedelta(days=20 * 365)
# A station whose clock is slow must not take its new certificate for one of the future.
BACKDATED = timedelta(minutes=10)


class Signer(Protocol):
    """What OV2XMP_CERTIFICATE_SIGNER and OV2XMP_V2G_CERTIFICATE_SIGNER name. It may be slow, and may raise anything: it is asked again later."""

    def sign(self, csr_pem: str, station: str) -> str:
        """Sign a checked request of `station` and return the chain in PEM, the station's certificate first."""
        ...


def signs(use: CertificateUse) -> bool:
    """Tell whether certificates for a use are signed at all."""
    return bool(_path(use))


def signer(use: CertificateUse = CertificateUse.STATION) -> Signer | None:
    """Return the platform's signer of certificates for a use; None where nothing is signed."""
    path = _path(use)
    return import_string(path)() if path else None


def _path(use: CertificateUse) -> str:
    path: str = settings.V2G_CERTIFICATE_SIGNER if use == CertificateUse.V2G else settings.CERTIFICATE_SIGNER
    return path


def embedded() -> "EmbeddedAuthority":
    """Return the embedded authority. Raises NoCertificateAuthority where it is not the signer."""
    found = signer()
    if not isinstance(found, EmbeddedAuthority):
        raise NoCertificateAuthority("the embedded certificate authority is not the signer of this platform")
    return found


def root_file() -> Path:
    """Return where the embedded authority's root is once it has been made."""
    return Path(settings.DATA_DIR) / "ca" / "root.pem"


class EmbeddedAuthority:
    """A certificate authority in the data directory, for operators who have none.

    Its root signs the stations' certificates itself, so a chain is the station's certificate
    alone: a root gets to the stations with InstallCertificate.
    """

    # What the certificates are good for, and nothing else.
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH

    def __init__(self) -> None:
        self.directory = root_file().parent

    def sign(self, csr_pem: str, station: str) -> str:
        request = pem.read_request(csr_pem)
        root, root_key = self._read()
        key = request.public_key()
        now = timezone.now()
        end = min(now + timedelta(days=settings.CERTIFICATE_DAYS), root.not_valid_after_utc)
        certificate = (
            _builder(request.subject, key, root.subject, root_key.public_key(), now - BACKDATED, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            # An RSA key signs the handshake only; an EC key may agree on secrets as well.
            .add_extension(_usage(key_agreement=isinstance(key, ec.EllipticCurvePublicKey)), critical=True)
            .add_extension(x509.ExtendedKeyUsage([self.purpose]), critical=False)
            .sign(root_key, hashes.SHA256())
        )
        extra = {"chargepoint_id": station}
        logger.info("signed certificate %X for station %s", certificate.serial_number, station, extra=extra)
        return pem.write(certificate)

    def root(self) -> x509.Certificate:
        """Return the root's certificate, made on first use."""
        return self._read()[0]

    def _read(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        certificate_file, key_file = self.directory / "root.pem", self.directory / "root.key"
        if not certificate_file.exists():
            self._create()
        certificate = pem.read_certificate(certificate_file.read_text(encoding="ascii"))
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return certificate, key

    def _create(self) -> None:
        """Make the root, whole or not at all: whoever names the finished directory first wins."""
        key = ec.generate_private_key(ec.SECP256R1())
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="ca-", dir=self.directory.parent))
        try:
            _write(draft / "root.pem", pem.write(_root(key)).encode(), mode=0o644)
            _write(draft / "root.key", _private_pem(key), mode=0o600)
            # The root is for all to read: a proxy verifies by it, perhaps as another user.
            draft.chmod(0o755)
            draft.rename(self.directory)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)


class EmbeddedV2GAuthority(EmbeddedAuthority):
    """Signs by the same root what stations show to vehicles (ISO 15118), whose TLS servers they are.

    Nobody can connect to the platform with it: its names are the station's own choice. Vehicles
    trust other roots, so it is for tests and for laboratories.
    """

    purpose = ExtendedKeyUsageOID.SERVER_AUTH


def _root(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    # The number keeps the roots of two platforms apart wherever roots are told by name.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, settings.CPO_NAME or "O-V2X-MP"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"O-V2X-MP Root CA {secrets.token_hex(4)}"),
        ]
    )
    now = timezone.now()
    return (
        _builder(name, key.public_key(), name, key.public_key(), now - timedelta(days=1), now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(digital_signature=False, signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    key: CertificatePublicKeyTypes,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(subject)
        .public_key(key)
        .issuer_name(issuer)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(
    *, digital_signature: bool = True, key_agreement: bool = False, signs_certificates: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_agreement=key_agreement,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file to the disk, so that no power cut leaves an empty one behind."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        # Whatever the umask takes away.
        os.fchmod(handle, mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
