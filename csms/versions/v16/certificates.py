"""Certificates: signing the station's own, and the roots it holds (security whitepaper, edition 3)."""

from collections.abc import Mapping

from chargers.choices import CertificateUse
from chargers.services import certificates
from chargers.values import CertificatesTold, SigningRequest
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.certificates import certificate_hash, chain_answered, keep_deleted, root_answered, taken
from csms.versions.members import text

# CertificateUseEnumType (section 6.4).
USES: Mapping[str, CertificateUse] = {
    "CentralSystemRootCertificate": CertificateUse.CSMS_ROOT,
    "ManufacturerRootCertificate": CertificateUse.MANUFACTURER_ROOT,
}


def sign_certificate(payload: Payload, context: Context) -> SigningRequest:
    return SigningRequest(context.station, text(payload, "csr"), context.received_at)


def keep_signed(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return chain_answered(request, answer, CertificateUse.STATION, context)


def keep_installed(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return root_answered(request, answer, USES[request["certificateType"]], context)


def keep_told(request: Payload, answer: Payload, context: Context) -> list[Work]:
    told = answer.get("certificateHashData", [])
    if not told and answer.get("status") != "NotFound":
        return []
    use = USES[request["certificateType"]]
    hashes = [certificate_hash(each) for each in told]
    return [(certificates.tell, CertificatesTold(context.station, use, hashes, context.received_at))]


HANDLERS: Mapping[str, Handler] = {
    "SignCertificate": Handler(sign_certificate, certificates.request, taken, records=True),
}
EFFECTS: Mapping[str, Effect] = {
    "CertificateSigned": keep_signed,
    "DeleteCertificate": keep_deleted,
    "GetInstalledCertificateIds": keep_told,
    "InstallCertificate": keep_installed,
}
