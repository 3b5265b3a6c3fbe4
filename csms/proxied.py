"""Client certificates of stations whose TLS ends at a proxy (security profile 3)."""

import base64
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.core.exceptions import ImproperlyConfigured
from OpenSSL import crypto

from chargers import pem
from chargers.errors import CertificateRefused
from chargers.values import ClientCertificate
from csms import tls
from tasks.proxies import CLIENT_CERT, CLIENT_CERT_CHAIN

logger = logging.getLogger(__name__)


class ProxiedCertificates:
    """The certificates of stations whose TLS ends at a trusted proxy, which has verified them (RFC 9440).

    The proxy alone knows that the station has the key. That the certificate is valid and comes from
    the authorities that count here is checked once more, so that a site that only asks for one lets
    nobody in. Where no authority is known the proxy's word is taken. Raises ImproperlyConfigured
    when OV2XMP_CSMS_TLS_CLIENT_CA cannot be used at the start; afterwards it follows that file.
    """

    def __init__(self) -> None:
        self._stamp = tls.stamp(tls.client_ca())
        self._authorities = _authorities()

    def read(self, certificate: Sequence[str], chain: Sequence[str]) -> ClientCertificate | None:
        """Read what came as Client-Cert and Client-Cert-Chain; None for no certificate.

        Raises CertificateRefused.
        """
        ders = _byte_sequences(CLIENT_CERT, certificate)
        if not ders:
            return None
        if len(ders) > 1:
            raise CertificateRefused("CERTIFICATE_UNREADABLE", f"{CLIENT_CERT} has {len(ders)} certificates")
        own = _load(CLIENT_CERT, ders[0])
        between = [_load(CLIENT_CERT_CHAIN, der) for der in _byte_sequences(CLIENT_CERT_CHAIN, chain)]
        self._follow()
        try:
            pem.check_key(own)
            _check_usage(own)
            self._verify(own, between)
            return pem.client_certificate(own)
        except (ValueError, UnsupportedAlgorithm) as error:
            # Keys, extensions and names are decoded late.
            raise CertificateRefused("CERTIFICATE_UNREADABLE", f"{CLIENT_CERT} cannot be read: {error}") from error

    def _verify(self, own: x509.Certificate, between: Sequence[x509.Certificate]) -> None:
        number = f"client certificate {own.serial_number:X}"
        if not own.not_valid_before_utc <= datetime.now(UTC) <= own.not_valid_after_utc:
            raise CertificateRefused("CERTIFICATE_INVALID", f"{number} has expired or is not valid yet")
        if self._authorities is None:
            return
        untrusted = [crypto.X509.from_cryptography(each) for each in between]
        try:
            context = crypto.X509StoreContext(self._authorities, crypto.X509.from_cryptography(own), untrusted)
            context.verify_certificate()
        except crypto.X509StoreContextError as error:
            raise CertificateRefused("CERTIFICATE_INVALID", f"{number} cannot be verified: {error}") from error

    def _follow(self) -> None:
        if self._stamp != (stamp := tls.stamp(tls.client_ca())):
            self._stamp = stamp
            try:
                # One that is gone does not leave the proxy's word alone.
                self._authorities = _authorities() or self._authorities
            except ImproperlyConfigured as error:
                logger.error(
                    "the authorities of stations cannot be read, and those known before still count: %s", error
                )
            else:
                logger.info("the authorities of stations have changed and count from now on")


def _authorities() -> crypto.X509Store | None:
    bundle = tls.client_ca()
    if not bundle:
        return None
    tls.check_readable(tls.CLIENT_CA, bundle)
    store = crypto.X509Store()
    # As for the port with TLS.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    try:
        store.load_locations(bundle)
    except crypto.Error as error:
        raise ImproperlyConfigured(f"{tls.CLIENT_CA}: there is no certificate in {bundle}") from error
    return store


def _byte_sequences(header: str, lines: Sequence[str]) -> list[bytes]:
    """Decode byte sequences of structured fields (RFC 8941 section 3.3.5); empty ones are none. Raises CertificateRefused."""
    items = [item for line in lines for each in line.split(",") if (item := each.strip()) not in ("", "::")]
    try:
        return [_byte_sequence(item) for item in items]
    except ValueError as error:
        raise CertificateRefused("CERTIFICATE_UNREADABLE", f"{header} is not as RFC 9440 has it: {error}") from error


def _byte_sequence(item: str) -> bytes:
    if len(item) < 2 or not item.startswith(":") or not item.endswith(":"):
        raise ValueError("there are no colons around it")
    return base64.b64decode(item[1:-1], validate=True)


def _load(header: str, der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise CertificateRefused("CERTIFICATE_UNREADABLE", f"{header} has no certificate in it: {error}") from error


def _check_usage(certificate: x509.Certificate) -> None:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise CertificateRefused(
            "CERTIFICATE_INVALID", f"client certificate {certificate.serial_number:X} is not meant for clients"
        )
