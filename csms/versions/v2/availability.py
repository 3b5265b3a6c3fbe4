"""Connectors, EVSEs and stations that operators put in or out of service (G03, G04)."""

from collections.abc import Mapping

from chargers.services import connectors
from chargers.values import AvailabilityChange
from csms.intake import Work
from csms.versions.base import Context, Effect, Payload


def keep_availability(request: Payload, answer: Payload, context: Context) -> list[Work]:
    if answer["status"] not in ("Accepted", "Scheduled"):
        return []
    evse = request.get("evse", {})
    change = AvailabilityChange(
        station=context.station,
        evse_id=evse.get("id", 0),
        operative=request["operationalStatus"] == "Operative",
        at=context.received_at,
        connector_id=evse.get("connectorId", 0),
    )
    return [(connectors.set_availability, change)]


EFFECTS: Mapping[str, Effect] = {"ChangeAvailability": keep_availability}
