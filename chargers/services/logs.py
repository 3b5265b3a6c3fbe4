"""Log uploads: what stations are asked for, and how far they are."""

from collections.abc import Sequence
from datetime import datetime

from chargers import paths
from chargers.changes import Changes
from chargers.choices import LogType
from chargers.models import LogUpload
from chargers.secrets import masked_url
from chargers.services import files, jobs
from chargers.values import Facts, JobAnswer, JobReport, JobRequest

TOPIC = LogUpload.topic


def ask(
    request: JobRequest,
    *,
    facts: Facts,
    log_type: str,
    oldest: datetime | None,
    latest: datetime | None,
    changes: Changes,
) -> tuple[LogUpload, str]:
    """Store an upload that is about to be asked for; return it and the location, password and all."""

    def locate(number: int) -> tuple[str, str]:
        path = paths.log_folder(request.station, number)
        return path, files.upload_url(path, facts)

    job = LogUpload(log_type=log_type, oldest=oldest, latest=latest, waits_from=request.at)
    return job, jobs.start(job, request, locate, changes)


def answer(values: Sequence[JobAnswer], changes: Changes) -> list[None]:
    for value in values:
        # Some tell the whole URL they were given.
        jobs.answer(LogUpload, value, changes, file_name=masked_url(value.file_name))
    return [None] * len(values)


def record(values: Sequence[JobReport], changes: Changes) -> list[None]:
    """Keep how far stations say their uploads are; also of those that nobody asked for."""
    for value in values:
        jobs.report(LogUpload, value, _unasked, changes)
    return [None] * len(values)


def _unasked(value: JobReport) -> LogUpload:
    # A message that names its request does not tell which of two logs it is about.
    return LogUpload(log_type="" if value.numbered else LogType.DIAGNOSTICS)
