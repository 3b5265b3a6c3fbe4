"""What requests for firmware updates and log uploads have in common, in every version of OCPP.

The functions ``against_…`` return the reason against a field of a request, or nothing.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from chargers import pem
from chargers.changes import Changes
from chargers.errors import CertificateRefused
from chargers.models.job import Job
from chargers.services import jobs, limitations
from chargers.values import Facts, JobRequest
from tasks.action import Draft, Payload
from tasks.models import Command
from tasks.schemas import NO_MOMENT, InvalidBody, moment

# Those of 1.6 section 8, and the one that whitepaper L01.FR.08 names besides.
PROTOCOLS = ("ftp", "ftps", "http", "https", "sftp")
# OCPP's integers have 32 bits.
MAX_INTEGER = 2**31 - 1

NO_URL = f"Must be a URL that begins with one of {', '.join(PROTOCOLS)} and names a host, such as ftp://host/folder/."
NO_FILE = f"{NO_URL[:-1]}, or the path of a file on the platform's file server, such as acme/2.0.bin."


def refuse(reasons: Mapping[str, str]) -> None:
    """Raise InvalidBody with the reasons that there are, by the field each is against."""
    if found := {field: [reason] for field, reason in reasons.items() if reason}:
        raise InvalidBody(found)


def request(draft: Draft, location: str | None, *, numbered: bool) -> JobRequest:
    """Put together what all jobs are asked for with; a location left out is chosen by the platform."""
    return JobRequest(
        station=draft.station.pk,
        command_id=draft.command_id,
        asked_by=draft.requested_by.pk if draft.requested_by else None,
        at=draft.now,
        location=location or "",
        numbered=numbered,
        request_id=draft.payload.get("requestId"),
        retries=draft.payload.get("retries"),
        retry_interval=draft.payload.get("retryInterval"),
    )


def facts(draft: Draft) -> Facts:
    (known,) = limitations.facts([draft.station.pk], draft.changes)
    return known


def fail(model: type[Job], commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    """End the jobs of commands that ended without an answer."""
    jobs.fail(model, [command.pk for command in commands], now=now, changes=changes)


def against_counts(payload: Payload) -> dict[str, str]:
    return {
        "retries": _against_count(payload.get("retries")),
        "retry_interval": _against_count(payload.get("retryInterval")),
    }


def _against_count(value: float | None) -> str:
    return "" if value is None or 0 <= value <= MAX_INTEGER else f"Must lie between 0 and {MAX_INTEGER}."


def against_request_id(model: type[Job], draft: Draft) -> str:
    request_id = draft.payload.get("requestId")
    if request_id is None or (reason := _against_count(request_id)):
        return reason if request_id is not None else ""
    taken = jobs.is_taken(model, draft.station.pk, request_id)
    return "The station is still at another request by this id." if taken else ""


def against_url(location: str | None) -> str:
    return "" if location is None or _is_url(location) else NO_URL


def against_file(location: str | None) -> str:
    """Check where a file is to be found: a URL, or a path on the platform's own file server."""
    if location is None or _is_url(location):
        return ""
    segments = location.removeprefix("/").split("/")
    sound = ":" not in segments[0] and location.isprintable() and not {"", ".", ".."}.intersection(segments)
    return "" if sound else NO_FILE


def _is_url(location: str) -> bool:
    try:
        parts = urlsplit(location)
        # A port that is none raises only when it is asked for.
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and parts.scheme in PROTOCOLS and location.isprintable() and " " not in location


def against_moment(text: str | None, *, not_before: str | None = None, called: str = "") -> str:
    """Check a time, and that it does not lie before another, which is `called` so."""
    if text is None:
        return ""
    at, earlier = moment(text), moment(not_before)
    if at is None:
        return NO_MOMENT
    return f"Must not lie before {called}." if earlier and at < earlier else ""


def against_certificate(certificate: str) -> str:
    try:
        pem.read_certificate(certificate)
    except CertificateRefused as error:
        return str(error)
    return ""


def against_signature(signature: str) -> str:
    try:
        decoded = base64.b64decode(signature, validate=True)
    except ValueError:
        decoded = b""
    return "" if decoded else "Must be base64."
