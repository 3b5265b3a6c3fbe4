"""What answers about reservations change, the same in all versions (1.6 sections 5.1 and 5.13, 2.0.1 H01 and H02)."""

from collections.abc import Mapping

from chargers.services import reservations
from chargers.values import CancellationAnswer, ReservationAnswer
from csms.intake import Work
from csms.versions.base import Context, Effect, Payload


def keep_reservation(request: Payload, answer: Payload, context: Context) -> list[Work]:
    status = answer.get("status", "")
    assert context.command_id is not None
    told = ReservationAnswer(
        context.station, context.command_id, "" if status == "Accepted" else status or "Rejected", context.received_at
    )
    return [(reservations.settle, told)]


def keep_cancellation(request: Payload, answer: Payload, context: Context) -> list[Work]:
    accepted = answer.get("status") == "Accepted"
    told = CancellationAnswer(context.station, request["reservationId"], accepted, context.received_at)
    return [(reservations.settle_cancellation, told)]


EFFECTS: Mapping[str, Effect] = {"CancelReservation": keep_cancellation, "ReserveNow": keep_reservation}
