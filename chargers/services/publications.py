"""Publications of firmware: what local controllers are asked to offer to their stations, and how far they are."""

from collections.abc import Sequence

from chargers.changes import Changes
from chargers.choices import FirmwarePublicationStatus as Status
from chargers.models import FirmwarePublication
from chargers.secrets import masked_url
from chargers.services import files, jobs
from chargers.values import Facts, JobAnswer, JobReport, JobRequest, Unpublished

TOPIC = FirmwarePublication.topic
# A controller may offer a file by a handful of protocols (L03.FR.04).
MAX_LOCATIONS = 50


def ask(request: JobRequest, *, facts: Facts, checksum: str, changes: Changes) -> tuple[FirmwarePublication, str]:
    """Store a publication that is about to be asked for; return it and the location, password and all."""

    def locate(number: int) -> tuple[str, str]:
        path = request.location.removeprefix("/")
        return path, files.download_url(path, facts)

    job = FirmwarePublication(checksum=checksum.lower(), waits_from=request.at)
    return job, jobs.start(job, request, locate, changes)


def answer(values: Sequence[JobAnswer], changes: Changes) -> list[None]:
    for value in values:
        jobs.answer(FirmwarePublication, value, changes)
    return [None] * len(values)


def record(values: Sequence[JobReport], changes: Changes) -> list[None]:
    """Keep how far controllers say their publications are; also of those that nobody asked for."""
    for value in values:
        job = jobs.report(FirmwarePublication, value, _unasked, changes)
        if job is not None and value.locations:
            job.locations = [masked_url(each) for each in value.locations[:MAX_LOCATIONS]]
            job.save(update_fields=["locations"])
            changes.note(TOPIC, job.pk)
    return [None] * len(values)


def _unasked(value: JobReport) -> FirmwarePublication:
    return FirmwarePublication()


def unpublish(values: Sequence[Unpublished], changes: Changes) -> list[None]:
    """Note that controllers offer a firmware no more (L04)."""
    for value in values:
        offered = FirmwarePublication.objects.filter(
            chargepoint=value.station, checksum=value.checksum.lower(), status=Status.PUBLISHED
        )
        for key in list(offered.values_list("pk", flat=True)):
            offered.filter(pk=key).update(status=Status.UNPUBLISHED, status_at=value.at)
            changes.note(TOPIC, key)
    return [None] * len(values)
