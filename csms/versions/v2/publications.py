"""Publications of firmware by local controllers (L03, L04)."""

from collections.abc import Mapping
from dataclasses import replace

from chargers.services import publications
from chargers.values import JobReport, Unpublished
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.jobs import job_answer, numbered_report
from csms.versions.v2.members import nothing


def report(payload: Payload, context: Context) -> JobReport:
    return replace(numbered_report(payload, context), locations=tuple(payload.get("location", ())))


def keep_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return [(publications.answer, job_answer(context, answer["status"]))]


def keep_unpublished(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Believe that it is offered no more, unless a station is downloading it (L04)."""
    if answer["status"] not in ("Unpublished", "NoFirmware"):
        return []
    return [(publications.unpublish, Unpublished(context.station, request["checksum"], context.received_at))]


HANDLERS: Mapping[str, Handler] = {
    "PublishFirmwareStatusNotification": Handler(report, publications.record, nothing, records=True),
}
EFFECTS: Mapping[str, Effect] = {"PublishFirmware": keep_answer, "UnpublishFirmware": keep_unpublished}
