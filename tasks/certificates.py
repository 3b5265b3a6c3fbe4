"""Certificates on their way to stations."""

from collections.abc import Callable
from typing import TypeVar

from cryptography.x509 import Certificate

from chargers import pem
from chargers.errors import CertificateRefused
from chargers.services import certificates
from tasks.action import Draft, Payload
from tasks.schemas import InvalidBody

T = TypeVar("T")


def prepare_root(draft: Draft) -> Payload:
    """Check a root, and write it as stations expect it."""
    root: Certificate = _read(pem.read_certificate, draft.payload, "certificate", "certificate")
    return {**draft.payload, "certificate": pem.write(root)}


def prepare_chain(draft: Draft) -> Payload:
    """Check a signed chain, which some stations take only up to a length of their own.

    They tell it as in whitepaper section 7.3, or by MaxCertificateChainSize (A02.FR.16).
    """
    chain = pem.write(*_read(pem.read_chain, draft.payload, "certificateChain", "certificate_chain"))
    most = certificates.longest_chain(draft.station.pk)
    if most is not None and len(chain) > most:
        reason = f"The chain has {len(chain)} characters, and the station takes {most}."
        raise InvalidBody({"certificate_chain": [reason]})
    return {**draft.payload, "certificateChain": chain}


def _read(read: Callable[[str], T], payload: Payload, member: str, field: str) -> T:
    try:
        return read(payload[member])
    except CertificateRefused as error:
        raise InvalidBody({field: [str(error)]}) from error
