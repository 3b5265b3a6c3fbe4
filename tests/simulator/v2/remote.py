"""Remote control and reservations (blocks F and H)."""

from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.v2.transactions import Transactions


class Remote(Transactions):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The ReserveNow requests that were accepted, by their ids.
        self.reservations: dict[int, Payload] = {}

    async def reservation_status(self, reservation_id: int, status: str = "Expired") -> Payload:
        """Tell that a reservation is over (H04); `status` is Expired or Removed."""
        self.reservations.pop(reservation_id, None)
        return await self.call(
            "ReservationStatusUpdate", {"reservationId": reservation_id, "reservationUpdateStatus": status}
        )

    # Answers to the CSMS

    def on_request_start_transaction(self, payload: Payload) -> Answer:
        free = [evse for evse in self.evses.values() if evse.running is None]
        wanted = payload.get("evseId")
        if not any(evse.number == wanted or wanted is None for evse in free):
            return {"status": "Rejected"}
        return {"status": "Accepted"}

    async def do_request_start_transaction(self, payload: Payload) -> None:
        evse = payload.get("evseId") or next(each.number for each in self.evses.values() if each.running is None)
        await self.started(evse, payload["idToken"], remote_start_id=payload["remoteStartId"])

    def on_request_stop_transaction(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self._evse_of(payload["transactionId"]) else "Rejected"}

    async def do_request_stop_transaction(self, payload: Payload) -> None:
        evse = self._evse_of(payload["transactionId"])
        if evse is not None:
            await self.ended("RemoteStop", evse, reason="Remote")

    def on_unlock_connector(self, payload: Payload) -> Answer:
        evse = self.evses.get(payload["evseId"])
        if evse is None or payload["connectorId"] not in evse.connectors:
            return {"status": "UnknownConnector"}
        return {"status": "OngoingAuthorizedTransaction" if evse.running else "Unlocked"}

    def on_reserve_now(self, payload: Payload) -> Answer:
        wanted = payload.get("evseId")
        evses = [self.evses[wanted]] if wanted in self.evses else list(self.evses.values())
        if all(evse.running for evse in evses):
            return {"status": "Occupied"}
        self.reservations[payload["id"]] = payload
        return {"status": "Accepted"}

    def on_cancel_reservation(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self.reservations.pop(payload["reservationId"], None) else "Rejected"}

    def _evse_of(self, transaction_id: str) -> int | None:
        return next((e.number for e in self.evses.values() if e.running and e.running.id == transaction_id), None)
