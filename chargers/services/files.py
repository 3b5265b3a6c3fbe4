"""Where stations are sent with their files: the platform's own file server, by a protocol they take (FW-05)."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote, urlsplit

from django.conf import settings

from chargers.changes import Changes
from chargers.choices import LimitationKind
from chargers.models import Limitation
from chargers.models.job import Job
from chargers.services import limitations
from chargers.values import Facts, LimitationReport

PROTOCOLS_KEY = "SupportedFileTransferProtocols"


def is_url(location: str) -> bool:
    return "://" in location


def upload_url(path: str, facts: Facts) -> str:
    """Return where a station uploads to `path`; by FTP first, which can resume (1.6 section 8.2)."""
    return _below(_choose((settings.FTP_URL, settings.HTTP_UPLOAD_URL), facts), path)


def download_url(path: str, facts: Facts) -> str:
    """Return where a station finds the file at `path`."""
    return _below(_choose((settings.HTTP_FILES_URL, settings.FTP_URL), facts), path)


def _below(base: str, path: str) -> str:
    return f"{base.rstrip('/')}/{quote(path)}"


def _choose(offers: Sequence[str], facts: Facts) -> str:
    """Choose among the protocols that the station names, or all where it names none, one that has not failed."""
    named = {word.casefold() for word in facts.words(PROTOCOLS_KEY)}
    taken = [url for url in offers if _protocol(url) in named] or offers
    return next((url for url in taken if not facts.cannot(LimitationKind.FILE_PROTOCOL, _protocol(url))), taken[0])


def _protocol(url: str) -> str:
    return urlsplit(url).scheme


def judge(job: Job, word: str, at: datetime, changes: Changes) -> None:
    """Remember whether the protocol of a job worked; one that failed with two jobs in a row is not offered again.

    Where the operator named the location, or the failure of this very job is known, nothing is learnt.
    """
    failed_before = sum(each["status"] in job.transfer_failed for each in job.reports) > 1
    fails = word in job.transfer_failed and not failed_before
    if job.chargepoint_id is None or not job.path or not (fails or word in job.transferred):
        return
    kind, subject = LimitationKind.FILE_PROTOCOL, _protocol(job.location)
    doubted = Limitation.objects.filter(chargepoint=job.chargepoint_id, kind=kind, subject=subject).exists()
    if fails or doubted:
        reason = f"{job}: {word}" if fails else ""
        limitations.record([LimitationReport(job.chargepoint_id, kind, subject, reason, at, certain=doubted)], changes)
