"""Contracts of vehicles by ISO 15118: their certificates, and the status of certificates (M01, M02, M06, C07)."""

import base64
from collections.abc import Mapping
from typing import Any

from chargers import contracts
from chargers.choices import AuthorizationStatus, ContractStatus
from chargers.values import Authorization, AuthorizationRequest, Contract, ContractRequest, StatusRequest
from csms.versions.base import Consultation, Context, Handler, Payload
from csms.versions.certificates import certificate_hash
from csms.versions.members import text
from csms.versions.v2.members import token

# What the answers hold (Get15118EVCertificateResponse, GetCertificateStatusResponse).
MAX_EXI = 7500
MAX_OCSP_RESULT = 5500
# With these, a valid certificate is of a contract that is over (C07.FR.13).
NO_CONTRACT = frozenset({AuthorizationStatus.BLOCKED, AuthorizationStatus.EXPIRED, AuthorizationStatus.INVALID})
# What a certificate that is not valid does to the authorisation (C07.FR.15 to C07.FR.17).
REFUSALS: Mapping[ContractStatus, tuple[str, str]] = {
    ContractStatus.EXPIRED: ("CertificateExpired", "Expired"),
    ContractStatus.REVOKED: ("CertificateRevoked", "Invalid"),
    ContractStatus.UNVERIFIED: ("CertChainError", "Invalid"),
}


def always(payload: Any) -> bool:
    return True


def contract_request(payload: Payload, context: Context) -> ContractRequest:
    schema, exi = text(payload, "iso15118SchemaVersion"), text(payload, "exiRequest")
    return ContractRequest(context.station, schema, exi, update=payload["action"] == "Update")


def contract_issued(result: None, context: Context) -> Payload:
    exi = context.told
    if not isinstance(exi, str) or not 0 < len(exi) <= MAX_EXI:
        return {**failed(), "exiResponse": ""}
    return {"status": "Accepted", "exiResponse": exi}


def status_request(payload: Payload, context: Context) -> StatusRequest:
    return _status_request(payload["ocspRequestData"], context)


def _status_request(named: Payload, context: Context) -> StatusRequest:
    return StatusRequest(context.station, certificate_hash(named), text(named, "responderURL"))


def status_told(result: None, context: Context) -> Payload:
    """Answer with the OCSP response in DER, and that in base64 (M06.FR.08, M06.FR.09)."""
    encoded = base64.b64encode(context.told).decode() if isinstance(context.told, bytes) else ""
    if not 0 < len(encoded) <= MAX_OCSP_RESULT:
        return failed()
    return {"status": "Accepted", "ocspResult": encoded}


def failed() -> Payload:
    return {"status": "Failed", "statusInfo": {"reasonCode": "InternalError"}}


# For Authorize


def shows_contract(payload: Any) -> bool:
    return isinstance(payload, dict) and bool(payload.get("certificate") or payload.get("iso15118CertificateHashData"))


def contract(payload: Payload, context: Context) -> Contract:
    hashes = payload.get("iso15118CertificateHashData", ())
    return Contract(
        context.station,
        emaid=token(payload["idToken"]),
        chain=text(payload, "certificate"),
        hashes=tuple(_status_request(each, context) for each in hashes),
    )


def with_contract(info: Payload, authorization: Authorization, told: Any) -> Payload:
    """Complete an answer to Authorize by what became of the contract's certificate, `told` by the provider.

    Nobody to ask, or no answer, means that it cannot be verified.
    """
    verdict = told if isinstance(told, ContractStatus) else ContractStatus.UNVERIFIED
    if verdict == ContractStatus.VALID:
        word = "ContractCancelled" if authorization.status in NO_CONTRACT else "Accepted"
        return {"idTokenInfo": info, "certificateStatus": word}
    word, status = REFUSALS[verdict]
    return {"idTokenInfo": {"status": status}, "certificateStatus": word}


def verified(request: AuthorizationRequest) -> ContractStatus:
    assert request.contract is not None
    return contracts.verify(request.contract)


VERIFICATION = Consultation(shows_contract, verified)
HANDLERS: Mapping[str, Handler] = {
    "Get15118EVCertificate": Handler(
        contract_request, None, contract_issued, consults=Consultation(always, contracts.issue)
    ),
    "GetCertificateStatus": Handler(status_request, None, status_told, consults=Consultation(always, contracts.status)),
}
