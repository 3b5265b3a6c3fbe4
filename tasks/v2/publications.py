"""Publications of firmware by local controllers (L03, L04)."""

import re
from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.models import FirmwarePublication
from chargers.services import publications
from tasks import jobs
from tasks.action import Draft, Payload
from tasks.models import Command

MD5 = re.compile(r"[0-9a-fA-F]{32}")


def prepare_publication(draft: Draft) -> Payload:
    asked = draft.payload
    jobs.refuse(
        {
            "request_id": jobs.against_request_id(FirmwarePublication, draft),
            "location": jobs.against_file(asked["location"]),
            "checksum": _against_checksum(asked["checksum"]),
            **jobs.against_counts(asked),
        }
    )
    job, url = publications.ask(
        jobs.request(draft, asked["location"], numbered=True),
        facts=jobs.facts(draft),
        checksum=asked["checksum"],
        changes=draft.changes,
    )
    return {**asked, "location": url, "requestId": job.request_id}


def check_checksum(draft: Draft) -> Payload:
    jobs.refuse({"checksum": _against_checksum(draft.payload["checksum"])})
    return draft.payload


def _against_checksum(checksum: str) -> str:
    return "" if MD5.fullmatch(checksum) else "Must be the MD5 checksum of the file: 32 hexadecimal digits."


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    jobs.fail(FirmwarePublication, commands, now, changes)
