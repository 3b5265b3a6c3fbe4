"""TLS for security profiles 2 and 3: what the server shows stations, and what they show it.

Requirement ids are those of the OCPP 1.6 security whitepaper, edition 3, sections 2.4 and 2.5.
"""

import hashlib
import logging
import os
import ssl
from asyncio import BaseTransport
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from chargers import authority
from chargers.values import ClientCertificate
from csms import metrics

logger = logging.getLogger(__name__)

CERTIFICATE, KEY, CLIENT_CA = "OV2XMP_CSMS_TLS_CERTIFICATE", "OV2XMP_CSMS_TLS_KEY", "OV2XMP_CSMS_TLS_CLIENT_CA"

# Those of A00.FR.317 and, preferred for RSA, their like with forward secrecy; TLS 1.3 has its own,
# all of them good. Level 2 wants keys of at least 112 bits of security (A00.FR.501), clients' too.
CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "@SECLEVEL=2",
    )
)


class ServerContext(ssl.SSLContext):
    """The TLS that the settings ask for; it follows the files they name while the server runs.

    Certificates are renewed (A00.FR.701), and the embedded authority's root is made with the first
    certificate it signs. Raises ImproperlyConfigured when they cannot be used at the start.
    """

    def __new__(cls) -> "ServerContext":
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self) -> None:
        self._stamps = _stamps()
        self._current = _context()

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Begin the TLS of a connection, with the files as they are now."""
        if self._stamps != (stamps := _stamps()):
            self._stamps = stamps
            try:
                self._current = _context()
            except ImproperlyConfigured as error:
                logger.error("the changed TLS files cannot be used, and what they held before still is: %s", error)
            else:
                logger.info("the TLS files have changed and are used from now on")
        return self._current.wrap_bio(*args, **options)


class Handshake(ssl.SSLObject):
    """A connection's TLS that tells of a failed handshake: nothing else hears of it."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            metrics.HANDSHAKES.labels("no TLS").inc()
            logger.info("a TLS handshake failed: %s", error)
            raise


def client_certificate(transport: BaseTransport) -> ClientCertificate | None:
    """Return the certificate that a station has shown; the handshake has verified it."""
    told = transport.get_extra_info("peercert")
    if not told:
        return None
    subject = [attribute for relative_name in told["subject"] for attribute in relative_name]
    return ClientCertificate(
        common_names=tuple(value for name, value in subject if name == "commonName"),
        organizations=tuple(value for name, value in subject if name == "organizationName"),
        serial_number=told["serialNumber"],
        fingerprint=hashlib.sha256(transport.get_extra_info("ssl_object").getpeercert(binary_form=True)).hexdigest(),
    )


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Handshake
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    for certificate, key in zip(settings.CSMS_TLS_CERTIFICATES, settings.CSMS_TLS_KEYS, strict=True):
        _load_certificate(context, certificate, key)
    if bundle := client_ca():
        check_readable(CLIENT_CA, bundle)
        # Profile 2 has no client certificate and shares the port with profile 3 (A00.FR.006).
        context.verify_mode = ssl.CERT_OPTIONAL
        # The operator may trust an intermediate authority and not all that its root signs.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(bundle)
        except OSError as error:
            raise ImproperlyConfigured(f"{CLIENT_CA}: there is no certificate in {bundle}: {error}") from error
    return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Add a certificate; one for each kind of key may be there (note to A00.FR.317)."""
    check_readable(CERTIFICATE, certificate)
    check_readable(KEY, key)
    try:
        # An encrypted key fails with this password, where it would ask for one without.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise ImproperlyConfigured(
            f"{CERTIFICATE}, {KEY}: {certificate} and {key} cannot be used together: {error}"
        ) from error


def check_readable(variable: str, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ImproperlyConfigured(f"{variable}: cannot read {path}: {error.strerror}") from error


def client_ca() -> str:
    """Return what client certificates are verified against; nothing while there is nothing."""
    if not settings.CSMS_TLS_CLIENT_CA and authority.root_file().exists():
        return str(authority.root_file())
    return str(settings.CSMS_TLS_CLIENT_CA)


def _stamps() -> list[tuple[int, int, int] | None]:
    """Return what changes with the files."""
    paths = (*settings.CSMS_TLS_CERTIFICATES, *settings.CSMS_TLS_KEYS, client_ca())
    return [stamp(path) for path in paths]


def stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
