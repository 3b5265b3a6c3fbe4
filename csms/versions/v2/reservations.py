"""Reservations (block H)."""

from collections.abc import Mapping

from chargers.services import reservations
from chargers.values import ReservationEnd
from csms.errors import ErrorCode, RpcError
from csms.versions import reservations as shared
from csms.versions.base import Context, Effect, Handler, Payload
from csms.versions.v2.members import nothing, number

# ReservationUpdateStatusEnumType, and whether the time was over.
ENDS: Mapping[str, bool] = {"Expired": True, "Removed": False}


def ended(payload: Payload, context: Context) -> ReservationEnd:
    status = payload["reservationUpdateStatus"]
    if status not in ENDS:
        raise RpcError(ErrorCode.PROPERTY_CONSTRAINT, f"reservationUpdateStatus: {status[:50]} is not known")
    return ReservationEnd(context.station, number(payload, "reservationId"), ENDS[status], context.received_at)


HANDLERS: Mapping[str, Handler] = {
    "ReservationStatusUpdate": Handler(ended, reservations.end, nothing, records=True),
}
EFFECTS: Mapping[str, Effect] = shared.EFFECTS
