"""Log uploads, as the security whitepaper for 1.6 and OCPP 2.x alike ask for them (N01)."""

from collections.abc import Sequence
from datetime import datetime

from chargers.changes import Changes
from chargers.models import LogUpload
from chargers.services import logs
from tasks import jobs
from tasks.action import Draft, Payload
from tasks.models import Command
from tasks.schemas import moment


def prepare_log(draft: Draft) -> Payload:
    asked, log = draft.payload, draft.payload.get("log", {})
    location, oldest, latest = log.get("remoteLocation"), log.get("oldestTimestamp"), log.get("latestTimestamp")
    jobs.refuse(
        {
            "request_id": jobs.against_request_id(LogUpload, draft),
            "log.remote_location": jobs.against_url(location),
            "log.oldest_timestamp": jobs.against_moment(oldest),
            "log.latest_timestamp": jobs.against_moment(latest, not_before=oldest, called="oldest_timestamp"),
            **jobs.against_counts(asked),
        }
    )
    job, url = logs.ask(
        jobs.request(draft, location, numbered=True),
        facts=jobs.facts(draft),
        log_type=asked["logType"],
        oldest=moment(oldest),
        latest=moment(latest),
        changes=draft.changes,
    )
    return {**asked, "requestId": job.request_id, "log": {**log, "remoteLocation": url}}


def unanswered(commands: Sequence[Command], now: datetime, changes: Changes) -> None:
    jobs.fail(LogUpload, commands, now, changes)
