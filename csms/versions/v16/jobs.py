"""Firmware updates and log uploads (sections 4.4, 4.5, 5.9 and 5.19, whitepaper L01 and N01)."""

from collections.abc import Mapping

from chargers.choices import FirmwareUpdateStatus, LogUploadStatus
from chargers.services import firmware, logs
from chargers.values import JobAnswer, JobReport
from csms.intake import Work
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.v16.members import nothing, text

# The domain's words are those of 2.0.1; the whitepaper itself uses both (N01.FR.10).
WORDS = {"UploadFailed": LogUploadStatus.UPLOAD_FAILURE.value}
MAX_WORD = 50
MAX_REQUEST_ID = 2**63 - 1


def plain_report(payload: Payload, context: Context) -> JobReport:
    """Read how far a job is, in a message that cannot say which."""
    return JobReport(context.station, word(payload), context.received_at, numbered=False)


def numbered_report(payload: Payload, context: Context) -> JobReport:
    """Read how far a job is, in a message that says which unless the station is at none (L01.FR.21, N01.FR.12)."""
    status, number = word(payload), payload.get("requestId")
    request_id = number if isinstance(number, int) and abs(number) <= MAX_REQUEST_ID else None
    if request_id is None and status != "Idle" and not context.triggered:
        context.note("request-id-missing", f"{status}: {number}")
    return JobReport(context.station, status, context.received_at, numbered=True, request_id=request_id)


def word(payload: Payload) -> str:
    said = text(payload, "status")[:MAX_WORD]
    return WORDS.get(said, said)


def keep_diagnostics_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Without a file name there is nothing to upload (section 5.9)."""
    name = text(answer, "fileName")
    return [_log(context, LogUploadStatus.ACCEPTED if name else LogUploadStatus.NOTHING_TO_UPLOAD, name)]


def keep_log_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return [_log(context, answer["status"], text(answer, "filename"))]


def _log(context: Context, status: str, file_name: str) -> Work:
    return logs.answer, _answer(context, status, file_name)


def keep_update_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return [(firmware.answer, _answer(context, FirmwareUpdateStatus.ACCEPTED))]


def keep_signed_update_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return [(firmware.answer, _answer(context, answer["status"]))]


def _answer(context: Context, status: str, file_name: str = "") -> JobAnswer:
    assert context.command_id is not None
    cancels = status == "AcceptedCanceled"
    return JobAnswer(
        context.station,
        context.command_id,
        "Accepted" if cancels else status,
        context.received_at,
        cancels=cancels,
        file_name=file_name,
    )


HANDLERS: Mapping[str, Handler] = {
    "DiagnosticsStatusNotification": Handler(plain_report, logs.record, nothing, records=True),
    "FirmwareStatusNotification": Handler(plain_report, firmware.record, nothing, records=True),
    "LogStatusNotification": Handler(numbered_report, logs.record, nothing, records=True),
    "SignedFirmwareStatusNotification": Handler(numbered_report, firmware.record, nothing, records=True),
}
EFFECTS: Mapping[str, Effect] = {
    "GetDiagnostics": keep_diagnostics_answer,
    "GetLog": keep_log_answer,
    "SignedUpdateFirmware": keep_signed_update_answer,
    "UpdateFirmware": keep_update_answer,
}
