"""Firmware updates and log uploads (sections 4.4, 4.5, 5.9 and 5.19, whitepaper L01 and N01)."""

from collections.abc import Mapping
from dataclasses import replace

from chargers.choices import FirmwareUpdateStatus, LogUploadStatus
from chargers.services import firmware, logs
from chargers.values import JobReport
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.jobs import job_answer, keep_log_answer, keep_update_status, numbered_report, word
from csms.versions.members import text
from csms.versions.v16.members import nothing


def plain_report(payload: Payload, context: Context) -> JobReport:
    """Read how far a job is, in a message that cannot say which."""
    return JobReport(context.station, word(payload), context.received_at, numbered=False)


def signed_report(payload: Payload, context: Context) -> JobReport:
    return replace(numbered_report(payload, context), signed=True)


def keep_diagnostics_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Without a file name there is nothing to upload (section 5.9)."""
    name = text(answer, "fileName")
    status = LogUploadStatus.ACCEPTED if name else LogUploadStatus.NOTHING_TO_UPLOAD
    return [(logs.answer, job_answer(context, status, name))]


def keep_update_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return [(firmware.answer, job_answer(context, FirmwareUpdateStatus.ACCEPTED))]


HANDLERS: Mapping[str, Handler] = {
    "DiagnosticsStatusNotification": Handler(plain_report, logs.record, nothing, records=True),
    "FirmwareStatusNotification": Handler(plain_report, firmware.record, nothing, records=True),
    "LogStatusNotification": Handler(numbered_report, logs.record, nothing, records=True),
    "SignedFirmwareStatusNotification": Handler(signed_report, firmware.record, nothing, records=True),
}
EFFECTS: Mapping[str, Effect] = {
    "GetDiagnostics": keep_diagnostics_answer,
    "GetLog": keep_log_answer,
    "SignedUpdateFirmware": keep_update_status,
    "UpdateFirmware": keep_update_answer,
}
