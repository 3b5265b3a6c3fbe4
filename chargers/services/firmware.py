"""Firmware updates: what stations are asked to install, and how far they are."""

from collections.abc import Sequence
from datetime import datetime

from chargers import paths
from chargers.changes import Changes
from chargers.models import ChargePoint, FirmwareUpdate
from chargers.models.firmwareupdate import REFUSED
from chargers.services import files, jobs
from chargers.values import Facts, JobAnswer, JobReport, JobRequest

TOPIC = FirmwareUpdate.topic


def ask(
    request: JobRequest,
    *,
    facts: Facts,
    retrieve_at: datetime,
    install_at: datetime | None = None,
    signing_certificate: str = "",
    signature: str = "",
    changes: Changes,
) -> tuple[FirmwareUpdate, str]:
    """Store an update that is about to be asked for; return it and the location, password and all."""

    def locate(number: int) -> tuple[str, str]:
        path = request.location.removeprefix("/") or paths.firmware_file(number)
        return path, files.download_url(path, facts)

    job = FirmwareUpdate(
        signed=bool(signature),
        retrieve_at=retrieve_at,
        install_at=install_at,
        signing_certificate=signing_certificate,
        signature=signature,
        firmware_before=_version(request.station),
        waits_from=max(request.at, retrieve_at, install_at or request.at),
    )
    return job, jobs.start(job, request, locate, changes)


def _version(station: str) -> str:
    return ChargePoint.objects.filter(pk=station).values_list("firmware_version", flat=True).first() or ""


def answer(values: Sequence[JobAnswer], changes: Changes) -> list[None]:
    for value in values:
        jobs.answer(FirmwareUpdate, value, changes)
    return [None] * len(values)


def record(values: Sequence[JobReport], changes: Changes) -> list[None]:
    """Keep how far stations say their updates are; also of those that nobody asked for."""
    for value in values:
        jobs.report(FirmwareUpdate, value, _unasked, changes)
    return [None] * len(values)


def _unasked(value: JobReport) -> FirmwareUpdate:
    return FirmwareUpdate(signed=value.signed, firmware_before=_version(value.station))


def note_version(station: str, version: str, changes: Changes) -> None:
    """Keep with a station's newest update the other version that it now boots with."""
    taken_on = FirmwareUpdate.objects.filter(chargepoint=station).exclude(status__in=REFUSED)
    job = taken_on.first()
    if job and version and not job.firmware_after and version != job.firmware_before:
        job.firmware_after = version
        job.save(update_fields=["firmware_after"])
        changes.note(TOPIC, job.pk)
