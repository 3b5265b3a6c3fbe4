"""What stations work on by themselves, firmware and log uploads, as far as they are alike.

What a station reports is believed, however late it comes and in whatever order.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db.transaction import atomic

from chargers.changes import Changes
from chargers.models import FirmwarePublication, FirmwareUpdate, LogUpload
from chargers.models.job import ACCEPTED, ACCEPTED_CANCELED, FAILED, REQUESTED, TIMED_OUT, Job
from chargers.secrets import masked_url
from chargers.services import files
from chargers.values import JobAnswer, JobReport, JobRequest

J = TypeVar("J", bound=Job)

# Said by a station that is at no job.
IDLE = "Idle"
# How many jobs back a report may mean that names no request.
MOST_RECENT = 20
REPORTED = ("status", "status_at", "reports", "waits_from")


def start(job: Job, request: JobRequest, locate: Callable[[int], tuple[str, str]], changes: Changes) -> str:
    """Store a job that is about to be asked for; return its location, password and all.

    `locate` tells, once the job has its number, the path and the URL on the platform's own file server.
    """
    job.chargepoint_id, job.command_id = request.station, request.command_id
    job.asked_at, job.asked_by_id = request.at, request.asked_by
    job.retries, job.retry_interval = request.retries, request.retry_interval
    job.status_at = request.at
    job.save()
    if request.numbered:
        job.request_id = _free_id(job) if request.request_id is None else request.request_id
    job.path, location = ("", request.location) if files.is_url(request.location) else locate(job.pk)
    job.location = masked_url(location)
    job.save(update_fields=["request_id", "path", "location"])
    changes.note(job.topic, job.pk, "created")
    return location


def _free_id(job: Job) -> int:
    """Return the job's own number, or the next that no operator has given to another."""
    others = type(job)._default_manager.filter(chargepoint=job.chargepoint_id)
    number = job.pk
    while others.filter(request_id=number).exists():
        number += 1
    return int(number)


def is_taken(model: type[Job], station: str, request_id: int) -> bool:
    """Tell whether a station is at a job by this id."""
    jobs = model._default_manager.filter(chargepoint=station, request_id=request_id)
    return jobs.filter(status__in=model.live).exists()


def report(model: type[J], value: JobReport, unasked: Callable[[JobReport], J], changes: Changes) -> J | None:
    """Take what a station reports, and return the job that it is about; Idle is about none.

    Where it means none that is known, the station is at one that nobody asked for, which `unasked` makes.
    """
    if value.status == IDLE:
        return None
    job = _meant(model, value)
    event = "updated" if job else "created"
    if job is None:
        job = unasked(value)
        job.chargepoint_id, job.request_id = value.station, value.request_id
        job.status_at = job.waits_from = value.received_at
    news = job.take_report(value.status, value.received_at)
    job.save(update_fields=REPORTED if job.pk else None)
    if news:
        files.judge(job, job.status, value.received_at, changes)
        changes.note(job.topic, job.pk, event)
    return job


def _meant(model: type[J], value: JobReport) -> J | None:
    """Find the job that a report is about.

    Without an id that is the newest, those first that were asked for in the same kind of message.
    One that is over may still repeat itself or be tried again; else another that runs is meant,
    and a station that is long done with all of them is at something else.
    """
    jobs = model._default_manager.select_for_update().filter(chargepoint=value.station)
    if value.request_id is not None:
        return jobs.filter(request_id=value.request_id).first()
    recent = sorted(jobs[:MOST_RECENT], key=lambda job: (job.request_id is not None) != value.numbered)
    if not recent:
        return None
    newest = recent[0]
    if newest.status not in newest.over or newest.last_word == value.status:
        return newest
    running = next((job for job in recent if job.is_live), None)
    long_over = value.received_at - newest.waits_from > timedelta(seconds=settings.OCPP_JOB_TIMEOUT)
    return running or (None if long_over else newest)


def answer(model: type[Job], value: JobAnswer, changes: Changes, **told: str) -> None:
    """Take the answer to the command that asked for a job, and what else it `told`."""
    job = model._default_manager.select_for_update().filter(command_id=value.command_id).first()
    if job is None:
        return
    job.take_answer(value.status, value.at)
    for name, text in told.items():
        setattr(job, name, text)
    job.save(update_fields=["status", "status_at", "waits_from", *told])
    changes.note(job.topic, job.pk)
    if value.cancels:
        before = model._default_manager.filter(chargepoint=value.station, pk__lt=job.pk, request_id__isnull=False)
        for key in before.filter(status__in=model.live).values_list("pk", flat=True):
            _end(model, key, model.live, ACCEPTED_CANCELED, value.at, changes)


def fail(model: type[Job], command_ids: Sequence[UUID], *, now: datetime, changes: Changes) -> None:
    """End jobs whose command got no answer; one that the station has reported on goes on."""
    for key in model._default_manager.filter(command_id__in=command_ids).values_list("pk", flat=True):
        _end(model, key, (REQUESTED,), FAILED, now, changes)


def _end(model: type[Job], key: int, still: Sequence[str], status: str, at: datetime, changes: Changes) -> None:
    if model._default_manager.filter(pk=key, status__in=still).update(status=status, status_at=at):
        changes.note(model.topic, key)


def time_out(*, now: datetime, changes: Changes) -> int:
    """End jobs of which nothing is heard any more; return how many (FW-03). A later report brings them back."""
    return sum(_time_out(model, now, changes) for model in (FirmwarePublication, FirmwareUpdate, LogUpload))


def _time_out(model: type[Job], now: datetime, changes: Changes) -> int:
    silent = model._default_manager.filter(
        status__in=model.live, waits_from__lt=now - timedelta(seconds=settings.OCPP_JOB_TIMEOUT)
    )
    ended = 0
    for key in list(silent.values_list("pk", flat=True)[:1000]):
        with atomic():
            job = silent.select_for_update().filter(pk=key).first()
            if job is None:
                continue
            if job.status == ACCEPTED:
                files.judge(job, TIMED_OUT, now, changes)
            _end(model, key, model.live, TIMED_OUT, now, changes)
            ended += 1
    return ended
