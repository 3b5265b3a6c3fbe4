"""Certificates: signing the station's own, and what it holds (A02, A03, M03 to M05)."""

from collections.abc import Mapping, Sequence

from chargers.choices import CertificateUse
from chargers.services import certificates
from chargers.values import CertificatesTold, SigningRequest
from csms.errors import ErrorCode, RpcError
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.certificates import certificate_hash, chain_answered, keep_deleted, root_answered, taken
from csms.versions.members import text

# CertificateSigningUseEnumType; without one, the certificate is for both.
SIGNED_USES: Mapping[str, CertificateUse] = {
    "ChargingStationCertificate": CertificateUse.STATION,
    "V2GCertificate": CertificateUse.V2G,
}
# GetCertificateIdUseEnumType, which has InstallCertificateUseEnumType in it.
USES: Mapping[str, CertificateUse] = {
    "CSMSRootCertificate": CertificateUse.CSMS_ROOT,
    "MORootCertificate": CertificateUse.MO_ROOT,
    "ManufacturerRootCertificate": CertificateUse.MANUFACTURER_ROOT,
    "V2GCertificateChain": CertificateUse.V2G,
    "V2GRootCertificate": CertificateUse.V2G_ROOT,
}


def sign_certificate(payload: Payload, context: Context) -> SigningRequest:
    return SigningRequest(context.station, text(payload, "csr"), context.received_at, signed_use(payload))


def signed_use(payload: Payload) -> CertificateUse:
    word = payload.get("certificateType")
    if word is None:
        return CertificateUse.COMBINED
    if word not in SIGNED_USES:
        raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"certificateType: {word[:50]} is not known")
    return SIGNED_USES[word]


def keep_signed(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return chain_answered(request, answer, signed_use(request), context)


def keep_installed(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return root_answered(request, answer, USES[request["certificateType"]], context)


def keep_told(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Believe what the station tells of all the types that it was asked for, or of all there are (M03)."""
    chains = answer.get("certificateHashDataChain", [])
    if not chains and answer.get("status") != "NotFound":
        return []
    return [
        (certificates.tell, _told(use, [each for each in chains if each["certificateType"] == word], context))
        for word, use in USES.items()
        if word in request.get("certificateType", USES)
    ]


def _told(use: CertificateUse, chains: Sequence[Payload], context: Context) -> CertificatesTold:
    named = {
        certificate_hash(each["certificateHashData"]): [
            certificate_hash(child) for child in each.get("childCertificateHashData", ())
        ]
        for each in chains
    }
    return CertificatesTold(context.station, use, list(named), context.received_at, named)


HANDLERS: Mapping[str, Handler] = {
    "SignCertificate": Handler(sign_certificate, certificates.request, taken, records=True),
}
EFFECTS: Mapping[str, Effect] = {
    "CertificateSigned": keep_signed,
    "DeleteCertificate": keep_deleted,
    "GetInstalledCertificateIds": keep_told,
    "InstallCertificate": keep_installed,
}
