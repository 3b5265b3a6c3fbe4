"""Certificates in the messages that 1.6 with its security whitepaper and 2.x have alike (A02, A03, M03 to M05)."""

from chargers.choices import CertificateUse
from chargers.services import certificates
from chargers.values import CertificateGone, CertificateHash, CertificateInstalled, ChainAnswer
from csms.intake import Work
from csms.versions.base import Context, Payload
from csms.versions.members import text


def taken(result: bool, context: Context) -> Payload:
    return {"status": "Accepted" if result else "Rejected"}


def chain_answered(request: Payload, answer: Payload, use: CertificateUse, context: Context) -> list[Work]:
    """Keep what a station answered to a signed chain that is for `use`."""
    assert context.command_id is not None
    accepted = answer.get("status") == "Accepted"
    chain = request["certificateChain"]
    told = ChainAnswer(context.station, context.command_id, chain, accepted, context.received_at, use)
    return [(certificates.settle, told)]


def root_answered(request: Payload, answer: Payload, use: CertificateUse, context: Context) -> list[Work]:
    """Keep a root that a station has taken for `use`."""
    if answer.get("status") != "Accepted":
        return []
    installed = CertificateInstalled(context.station, use, request["certificate"], context.received_at)
    return [(certificates.install, installed)]


def keep_deleted(request: Payload, answer: Payload, context: Context) -> list[Work]:
    if answer.get("status") not in ("Accepted", "NotFound"):
        return []
    named = certificate_hash(request["certificateHashData"])
    return [(certificates.forget, CertificateGone(context.station, named, context.received_at))]


def certificate_hash(told: Payload) -> CertificateHash:
    names = ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber")
    return CertificateHash(*(text(told, name) for name in names))
