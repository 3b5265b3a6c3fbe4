"""Log uploads whose request has no number (1.6 section 5.9)."""

from chargers.choices import LogType
from chargers.services import logs
from tasks import jobs
from tasks.action import Draft, Payload
from tasks.schemas import moment


def prepare_diagnostics(draft: Draft) -> Payload:
    asked = draft.payload
    location, oldest, latest = asked.get("location"), asked.get("startTime"), asked.get("stopTime")
    jobs.refuse(
        {
            "location": jobs.against_url(location),
            "start_time": jobs.against_moment(oldest),
            "stop_time": jobs.against_moment(latest, not_before=oldest, called="start_time"),
            **jobs.against_counts(asked),
        }
    )
    _, url = logs.ask(
        jobs.request(draft, location, numbered=False),
        facts=jobs.facts(draft),
        log_type=LogType.DIAGNOSTICS,
        oldest=moment(oldest),
        latest=moment(latest),
        changes=draft.changes,
    )
    return {**asked, "location": url}
