"""Contracts of vehicles (ISO 15118): who issues and vouches for them, and how the platform asks.

Requirement ids are those of OCPP 2.0.1: M01 and M02 (a vehicle's contract certificate), M06 (the
status of a certificate by OCSP) and C07 (authorisation by contract certificate).
"""

import http.client
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from django.conf import settings
from django.utils.module_loading import import_string

from chargers import pem
from chargers.choices import ContractStatus
from chargers.errors import CertificateRefused, NoContractProvider
from chargers.values import Contract, ContractRequest, StatusRequest

# What ocspResult holds, before it is base64 (GetCertificateStatusResponse).
MAX_RESPONSE = 4125


class Provider(Protocol):
    """What OV2XMP_ISO15118_PROVIDER names: a class without arguments.

    Its methods run in threads, several at a time. They may be slow, up to
    OV2XMP_ISO15118_TIMEOUT, and may raise anything: then the station is told that it failed.
    """

    def issue(self, request: ContractRequest) -> str:
        """Return the EXI answer, in base64, to a vehicle that wants a contract certificate, or an update of it."""
        ...

    def status(self, request: StatusRequest) -> bytes:
        """Return the OCSP response for a certificate, in DER (RFC 6960)."""
        ...

    def verify(self, contract: Contract) -> ContractStatus:
        """Say whether a contract certificate is valid, by its chain, by the names of its certificates, or both."""
        ...


def provider() -> Provider:
    """Return the operator's provider. Raises NoContractProvider where there is none."""
    path = settings.ISO15118_PROVIDER
    if not path:
        raise NoContractProvider("OV2XMP_ISO15118_PROVIDER names no provider")
    found: Provider = import_string(path)()
    return found


def issue(request: ContractRequest) -> str:
    return provider().issue(request)


def status(request: StatusRequest) -> bytes:
    return provider().status(request)


def verify(contract: Contract) -> ContractStatus:
    return provider().verify(contract)


class LocalProvider:
    """Answers from what an operator has himself: authorities in a file, and responders that he names.

    It asks OCSP responders whose hosts stand in OV2XMP_OCSP_RESPONDERS, and verifies contracts by
    the authorities in OV2XMP_ISO15118_CA. It issues no contracts.
    """

    def issue(self, request: ContractRequest) -> str:
        raise NoContractProvider("the local provider issues no contract certificates")

    def status(self, request: StatusRequest) -> bytes:
        response = _fetch(request)
        if ocsp.load_der_ocsp_response(response).response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise CertificateRefused("OCSP_UNSUCCESSFUL", "the OCSP responder has no answer")
        return response

    def verify(self, contract: Contract) -> ContractStatus:
        """Verify the chain where it is told, and ask a responder for each certificate.

        Which responder, the station says, or else the certificates themselves do (C07.FR.05).
        """
        authorities = _authorities()
        requests = list(contract.hashes)
        try:
            if contract.chain:
                found, path = _chain_status(pem.read_chain(contract.chain), contract.emaid, authorities)
                if found != ContractStatus.VALID:
                    return found
                # What the station names itself needs no second look.
                requests = requests or list(_responders(contract.station, path))
            elif not requests:
                return ContractStatus.UNVERIFIED
            return _worst([_revocation(each, authorities) for each in requests])
        except (CertificateRefused, OSError, http.client.HTTPException, ValueError):
            return ContractStatus.UNVERIFIED


def _worst(found: Sequence[ContractStatus]) -> ContractStatus:
    for bad in (ContractStatus.REVOKED, ContractStatus.UNVERIFIED):
        if bad in found:
            return bad
    return ContractStatus.VALID


def _authorities() -> list[x509.Certificate]:
    path = settings.ISO15118_CA
    return pem.read_chain(Path(path).read_text(encoding="ascii")) if path else []


def _chain_status(
    chain: Sequence[x509.Certificate], emaid: str, authorities: Sequence[x509.Certificate]
) -> tuple[ContractStatus, list[x509.Certificate]]:
    """Verify a chain, the contract's certificate first, up to one of the authorities; return it up to that one."""
    leaf = chain[0]
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if [_folded(str(each.value)) for each in names] != [_folded(emaid)]:
        return ContractStatus.UNVERIFIED, []
    path = [leaf]
    while not (anchors := [each for each in authorities if _issued(path[-1], each)]):
        following = next((each for each in chain if each not in path and _issued(path[-1], each)), None)
        if following is None or not _signs_certificates(following):
            return ContractStatus.UNVERIFIED, []
        path.append(following)
    now = datetime.now(UTC)
    dates = [each for each in (*path, anchors[0]) if each.not_valid_after_utc < now]
    early = [each for each in path if each.not_valid_before_utc > now]
    if early:
        return ContractStatus.UNVERIFIED, []
    return ContractStatus.EXPIRED if dates else ContractStatus.VALID, [*path, anchors[0]]


def _responders(station: str, path: Sequence[x509.Certificate]) -> Iterator[StatusRequest]:
    """Name the certificates of a chain, as OCSP does, to the responders that they have in them."""
    for certificate, issuer in pairwise(path):
        for url in _responders_of(certificate)[:1]:
            yield StatusRequest(station, pem.hash_data(certificate, issuer), url)


def _responders_of(certificate: x509.Certificate) -> list[str]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    return [
        str(each.access_location.value) for each in access if each.access_method == AuthorityInformationAccessOID.OCSP
    ]


def _folded(emaid: str) -> str:
    """Spell an eMAID without separators, which may be left out (ISO 15118-2 annex H)."""
    return emaid.replace("-", "").strip().casefold()


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _signs_certificates(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _revocation(request: StatusRequest, authorities: Sequence[x509.Certificate]) -> ContractStatus:
    """Ask a responder, and believe it where an authority of ours, or one that it has delegated, has signed."""
    response = ocsp.load_der_ocsp_response(_fetch(request))
    if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL or not _vouched(response, request, authorities):
        return ContractStatus.UNVERIFIED
    now = datetime.now(UTC)
    current = response.this_update_utc <= now and (response.next_update_utc is None or now <= response.next_update_utc)
    if response.serial_number != int(request.hash.serial_number, 16) or not current:
        return ContractStatus.UNVERIFIED
    if response.certificate_status == ocsp.OCSPCertStatus.REVOKED:
        return ContractStatus.REVOKED
    good = response.certificate_status == ocsp.OCSPCertStatus.GOOD
    return ContractStatus.VALID if good else ContractStatus.UNVERIFIED


def _vouched(response: ocsp.OCSPResponse, request: StatusRequest, authorities: Sequence[x509.Certificate]) -> bool:
    issuers = [each for each in authorities if _is_issuer(each, request)]
    delegated = [
        each
        for each in response.certificates
        if _may_respond(each) and any(_issued(each, issuer) for issuer in issuers)
    ]
    return any(_signed(response, each) for each in (*issuers, *delegated))


def _is_issuer(authority: x509.Certificate, request: StatusRequest) -> bool:
    named = request.hash
    told = named.issuer_name_hash.lower(), named.issuer_key_hash.lower()
    return pem.issuer_hashes(authority, named.algorithm) == told


def _may_respond(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage and certificate.not_valid_after_utc > datetime.now(UTC)


def _signed(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    if algorithm is None:
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _fetch(request: StatusRequest) -> bytes:
    """Ask an OCSP responder over HTTP (RFC 6960 appendix A). Raises OSError, HTTPException and CertificateRefused.

    Stations name the responder, so only hosts that the operator has named are asked, and redirections are not followed.
    """
    url = urlsplit(request.responder)
    if url.scheme not in ("http", "https") or url.netloc.casefold() not in settings.OCSP_RESPONDERS:
        raise CertificateRefused("OCSP_RESPONDER", f"{url.netloc[:100]} is not among OV2XMP_OCSP_RESPONDERS")
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=settings.ISO15118_TIMEOUT)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        headers = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
        connection.request("POST", path, body=_question(request), headers=headers)
        answer = connection.getresponse()
        content = answer.read(MAX_RESPONSE + 1)
    finally:
        connection.close()
    if answer.status != http.client.OK or len(content) > MAX_RESPONSE:
        raise CertificateRefused("OCSP_RESPONSE", f"the OCSP responder answered {answer.status}, {len(content)} bytes")
    return content


def _question(request: StatusRequest) -> bytes:
    named = request.hash
    try:
        return (
            ocsp.OCSPRequestBuilder()
            .add_certificate_by_hash(
                bytes.fromhex(named.issuer_name_hash),
                bytes.fromhex(named.issuer_key_hash),
                int(named.serial_number, 16),
                pem.HASHES[named.algorithm],
            )
            .build()
            .public_bytes(serialization.Encoding.DER)
        )
    except (ValueError, KeyError) as error:
        raise CertificateRefused("OCSP_REQUEST", f"the certificate is not named as OCSP does: {error}") from error
