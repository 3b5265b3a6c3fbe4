"""Firmware updates whose request has no number (1.6 section 5.19)."""

from chargers.services import firmware
from tasks import jobs
from tasks.action import Draft, Payload
from tasks.schemas import moment


def prepare_update(draft: Draft) -> Payload:
    asked = draft.payload
    location, retrieve = asked.get("location"), asked["retrieveDate"]
    jobs.refuse(
        {
            "location": jobs.against_file(location),
            "retrieve_date": jobs.against_moment(retrieve),
            **jobs.against_counts(asked),
        }
    )
    retrieve_at = moment(retrieve)
    assert retrieve_at is not None
    _, url = firmware.ask(
        jobs.request(draft, location, numbered=False),
        facts=jobs.facts(draft),
        retrieve_at=retrieve_at,
        changes=draft.changes,
    )
    return {**asked, "location": url}
