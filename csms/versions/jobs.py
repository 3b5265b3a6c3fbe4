"""Firmware updates and log uploads, in the messages that 1.6 with its security whitepaper and 2.x have alike.

Sections and requirement ids: whitepaper and 2.0.1 L01 and N01.
"""

from chargers.choices import LogUploadStatus
from chargers.services import firmware, logs
from chargers.values import JobAnswer, JobReport
from csms.intake import Work
from csms.versions.base import Context, Payload
from csms.versions.members import text

# The domain's words are those of 2.0.1; the whitepaper itself uses both (N01.FR.10).
WORDS = {"UploadFailed": LogUploadStatus.UPLOAD_FAILURE.value}
MAX_WORD = 50
MAX_REQUEST_ID = 2**63 - 1


def numbered_report(payload: Payload, context: Context) -> JobReport:
    """Read how far a job is, in a message that says which unless the station is at none.

    The whitepaper has it in L01.FR.21 and N01.FR.12, 2.0.1 in L01.FR.20 and N01.FR.11.
    """
    status, number = word(payload), payload.get("requestId")
    request_id = number if isinstance(number, int) and abs(number) <= MAX_REQUEST_ID else None
    if request_id is None and status != "Idle" and not context.triggered:
        context.note("request-id-missing", f"{status}: {number}")
    return JobReport(context.station, status, context.received_at, numbered=True, request_id=request_id)


def word(payload: Payload) -> str:
    said = text(payload, "status")[:MAX_WORD]
    return WORDS.get(said, said)


def keep_log_answer(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return [(logs.answer, job_answer(context, answer["status"], text(answer, "filename")))]


def keep_update_status(request: Payload, answer: Payload, context: Context) -> list[Work]:
    return [(firmware.answer, job_answer(context, answer["status"]))]


def job_answer(context: Context, status: str, file_name: str = "") -> JobAnswer:
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
