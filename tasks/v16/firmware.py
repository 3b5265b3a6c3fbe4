"""Firmware updates (1.6 section 5.19, whitepaper L01)."""

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


def prepare_update(draft: Draft) -> Payload:
    asked = draft.payload
    location, retrieve = asked.get("location"), asked["retrieveDate"]
    jobs.refuse(
        {
            "location": jobs.against_file(location),
            "retrieve_date": jobs.against_moment(retrieve),
            **jobs.against_counts(asked),
        }
    )
    retrieve_at = moment(retrieve)
    assert retrieve_at is not None
    _, url = firmware.ask(
        jobs.request(draft, location, numbered=False),
        facts=jobs.facts(draft),
        retrieve_at=retrieve_at,
        changes=draft.changes,
    )
    return {**asked, "location": url}


def prepare_signed_update(draft: Draft) -> Payload:
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
            "firmware.signing_certificate": jobs.against_certificate(image["signingCertificate"]),
            "firmware.signature": jobs.against_signature(image["signature"]),
            **jobs.against_counts(asked),
        }
    )
    retrieve_at = moment(retrieve)
    assert retrieve_at is not None
    # As stations expect it.
    certificate = pem.write(pem.read_certificate(image["signingCertificate"]))
    job, url = firmware.ask(
        jobs.request(draft, location, numbered=True),
        facts=jobs.facts(draft),
        retrieve_at=retrieve_at,
        install_at=moment(install),
        signing_certificate=certificate,
        signature=image["signature"],
        changes=draft.changes,
    )
    image = {**image, "location": url, "signingCertificate": certificate}
    return {**asked, "requestId": job.request_id, "firmware": image}


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    jobs.fail(FirmwareUpdate, commands, now, changes)
