"""Firmware updates, as the security whitepaper for 1.6 and OCPP 2.x alike ask for them (L01, L02)."""

from collections.abc import Sequence
from datetime import datetime

from chargers import pem
from chargers.changes import Changes
from chargers.models import FirmwareUpdate
from chargers.services import firmware
from tasks import jobs
from tasks.action import Draft, Payload
from tasks.models import Command
from tasks.schemas import moment

UNSIGNED = "Goes together with the other: a signed firmware has a signature and a signing certificate."


def prepare_numbered_update(draft: Draft) -> Payload:
    """Check a request whose firmware may be signed, and choose its request id and location."""
    asked, image = draft.payload, draft.payload["firmware"]
    location, retrieve, install = image.get("location"), image["retrieveDateTime"], image.get("installDateTime")
    jobs.refuse(
        {
            "request_id": jobs.against_request_id(FirmwareUpdate, draft),
            "firmware.location": jobs.against_file(location),
            "firmware.retrieve_date_time": jobs.against_moment(retrieve),
            "firmware.install_date_time": jobs.against_moment(
                install, not_before=retrieve, called="retrieve_date_time"
            ),
            **_against_signing(image),
            **jobs.against_counts(asked),
        }
    )
    retrieve_at = moment(retrieve)
    assert retrieve_at is not None
    signing: Payload = {}
    if "signingCertificate" in image:
        # As stations expect it.
        signing = {"signingCertificate": pem.write(pem.read_certificate(image["signingCertificate"]))}
    job, url = firmware.ask(
        jobs.request(draft, location, numbered=True),
        facts=jobs.facts(draft),
        retrieve_at=retrieve_at,
        install_at=moment(install),
        signing_certificate=signing.get("signingCertificate", ""),
        signature=image.get("signature", ""),
        changes=draft.changes,
    )
    return {**asked, "requestId": job.request_id, "firmware": {**image, "location": url, **signing}}


def _against_signing(image: Payload) -> dict[str, str]:
    """Check the certificate and the signature, of which one alone is of no use (L01.FR.11)."""
    certificate, signature = image.get("signingCertificate"), image.get("signature")
    if certificate is None and signature is None:
        return {}
    return {
        "firmware.signing_certificate": UNSIGNED if certificate is None else jobs.against_certificate(certificate),
        "firmware.signature": UNSIGNED if signature is None else jobs.against_signature(signature),
    }


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    jobs.fail(FirmwareUpdate, commands, now, changes)
