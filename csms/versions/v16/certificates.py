"""Certificates: signing the station's own, and the roots it holds (security whitepaper, edition 3)."""

from collections.abc import Mapping

from chargers.choices import CertificateUse
from chargers.services import certificates
from chargers.values import (
    CertificateGone,
    CertificateHash,
    CertificateInstalled,
    CertificatesTold,
    ChainAnswer,
    SigningRequest,
)
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.members import text

# CertificateUseEnumType (section 6.4).
USES: Mapping[str, CertificateUse] = {
    "CentralSystemRootCertificate": CertificateUse.CSMS_ROOT,
    "ManufacturerRootCertificate": CertificateUse.MANUFACTURER_ROOT,
}


def sign_certificate(payload: Payload, context: Context) -> SigningRequest:
    return SigningRequest(context.station, text(payload, "csr"), context.received_at)


def taken(result: bool, context: Context) -> Payload:
    return {"status": "Accepted" if result else "Rejected"}


def keep_signed(request: Payload, answer: Payload, context: Context) -> list[Work]:
    assert context.command_id is not None
    accepted = answer.get("status") == "Accepted"
    told = ChainAnswer(context.station, context.command_id, request["certificateChain"], accepted, context.received_at)
    return [(certificates.settle, told)]


def keep_installed(request: Payload, answer: Payload, context: Context) -> list[Work]:
    if answer.get("status") != "Accepted":
        return []
    use = USES[request["certificateType"]]
    return [
        (certificates.install, CertificateInstalled(context.station, use, request["certificate"], context.received_at))
    ]


def keep_deleted(request: Payload, answer: Payload, context: Context) -> list[Work]:
    if answer.get("status") not in ("Accepted", "NotFound"):
        return []
    named = certificate_hash(request["certificateHashData"])
    return [(certificates.forget, CertificateGone(context.station, named, context.received_at))]


def keep_told(request: Payload, answer: Payload, context: Context) -> list[Work]:
    told = answer.get("certificateHashData", [])
    if not told and answer.get("status") != "NotFound":
        return []
    use = USES[request["certificateType"]]
    hashes = [certificate_hash(each) for each in told]
    return [(certificates.tell, CertificatesTold(context.station, use, hashes, context.received_at))]


def certificate_hash(told: Payload) -> CertificateHash:
    names = ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber")
    return CertificateHash(*(text(told, name) for name in names))


HANDLERS: Mapping[str, Handler] = {
    "SignCertificate": Handler(sign_certificate, certificates.request, taken, records=True),
}
EFFECTS: Mapping[str, Effect] = {
    "CertificateSigned": keep_signed,
    "DeleteCertificate": keep_deleted,
    "GetInstalledCertificateIds": keep_told,
    "InstallCertificate": keep_installed,
}
