"""Requests for reservations."""

from chargers.services import idtags
from chargers.services.reservations import MAX_RESERVATION_ID
from tasks import reservations
from tasks.action import Draft, Payload


def prepare(draft: Draft) -> Payload:
    """Complete a request for a reservation and note it, so that its answer finds it."""
    asked = draft.payload
    problems = {}
    if not 0 <= asked["connectorId"] <= MAX_RESERVATION_ID:
        problems["connector_id"] = ["is no connector: they count from 1, and 0 is any of them"]
    row = reservations.note(
        draft,
        expiry=("expiry_date", asked["expiryDate"]),
        number=("reservation_id", asked.get("reservationId")),
        evse_id=asked["connectorId"],
        id_tag=asked["idTag"],
        parent=asked.get("parentIdTag"),
        problems=problems,
    )
    sent = {**asked, "reservationId": row.reservation_id}
    # A longer one cannot be told.
    return {**sent, "parentIdTag": row.parent_id_tag} if 0 < len(row.parent_id_tag) <= idtags.TAG_LENGTH_16 else sent
