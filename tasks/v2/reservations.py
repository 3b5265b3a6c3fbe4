"""Requests for reservations (block H)."""

from tasks import reservations
from tasks.action import Draft, Payload
from tasks.schemas import InvalidBody
from tasks.v2.tokens import MAX_TOKEN, group


def prepare(draft: Draft) -> Payload:
    """Complete a request for a reservation and note it, so that its answer finds it.

    It names an EVSE, or a kind of connector, or neither, which is any of them (H01).
    """
    asked = draft.payload
    problems: dict[str, list[str]] = {}
    if "evseId" in asked and "connectorType" in asked:
        problems["connector_type"] = ["names a kind where an EVSE is named already"]
    parent = asked["groupIdToken"]["idToken"] if "groupIdToken" in asked else None
    row = reservations.note(
        draft,
        expiry=("expiry_date_time", asked["expiryDateTime"]),
        number=("id", asked.get("id")),
        evse_id=asked.get("evseId", 0),
        id_tag=asked["idToken"]["idToken"],
        parent=parent,
        connector_type=asked.get("connectorType", ""),
        problems=problems,
    )
    sent = {**asked, "id": row.reservation_id}
    if parent is None and 0 < len(row.parent_id_tag) <= MAX_TOKEN:
        sent["groupIdToken"] = group(row.parent_id_tag)
    return sent


def prepare_cancellation(draft: Draft) -> Payload:
    if draft.payload["reservationId"] <= 0:
        raise InvalidBody({"reservation_id": ["must be a number from 1 to 2147483647"]})
    return draft.payload
