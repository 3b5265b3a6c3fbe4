"""The security extensions (security whitepaper, edition 3)."""

from collections.abc import Mapping

from chargers.services import security
from chargers.values import SecurityEventReport
from csms.versions.base import Context, Handler, Payload
from csms.versions.members import text
from csms.versions.v16.members import nothing


def security_event(payload: Payload, context: Context) -> SecurityEventReport:
    moment = context.time(payload.get("timestamp"))
    return SecurityEventReport(
        station=context.station,
        type=text(payload, "type"),
        tech_info=text(payload, "techInfo"),
        at=moment.at,
        at_raw=moment.raw,
        received_at=context.received_at,
    )


HANDLERS: Mapping[str, Handler] = {
    "SecurityEventNotification": Handler(
        security_event, security.record, nothing, records=True, optional=("timestamp", "type")
    ),
}
