"""Connectors that are kept for somebody (section 5.13)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import moment
from tests.simulator.v16.authorization import Authorization, same
from tests.simulator.v16.base import Connector


@dataclass(frozen=True)
class Reservation:
    """A connector, or any of them for 0, that is kept for a tag or for all tags of its parent."""

    id: int
    connector: int
    id_tag: str
    parent: str | None
    expiry: datetime


@dataclass(frozen=True)
class Claim:
    """The reservation that a tag uses, if any, and what the CSMS said of the tag if it had to be asked."""

    reservation: Reservation | None = None
    info: Payload | None = None


class Refused(Exception):
    """The tag may not charge here now."""


class Reservations(Authorization):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.reservations: dict[int, Reservation] = {}

    # Answers to the CSMS

    def on_reserve_now(self, payload: Payload) -> Answer:
        self._drop_expired()
        reservation = Reservation(
            payload["reservationId"],
            payload["connectorId"],
            payload["idTag"],
            payload.get("parentIdTag"),
            moment(payload["expiryDate"]),
        )
        status = self._reservable(reservation)
        if status == "Accepted":
            self.drop_reservation(reservation.id)
            self.reservations[reservation.id] = reservation
            self._refresh_reserved(reservation)
        return {"status": status}

    async def do_reserve_now(self, payload: Payload) -> None:
        await self.report_changes()
        if reservation := self.reservations.get(payload["reservationId"]):
            self.spawn(self._expire(reservation))

    def on_cancel_reservation(self, payload: Payload) -> Answer:
        self._drop_expired()
        return {"status": "Accepted" if self.drop_reservation(payload["reservationId"]) else "Rejected"}

    async def do_cancel_reservation(self, _: Payload) -> None:
        await self.report_changes()

    # For sessions

    async def claim(self, connector: Connector, id_tag: str) -> Claim:
        """Find the reservation that a tag uses on a connector; raise Refused if it is kept for others."""
        self._drop_expired()
        candidates = self._candidates(connector)
        for reservation in candidates:
            if same(id_tag, reservation.id_tag):
                return Claim(reservation)
        asked = None
        if any(reservation.parent for reservation in candidates):
            known = self.known(id_tag)
            if known is None:
                known = asked = await self.ask(id_tag)
            parent = known.get("parentIdTag")
            for reservation in candidates:
                if parent and same(parent, reservation.parent):
                    return Claim(reservation, asked)
        if self._kept(connector):
            raise Refused
        return Claim(None, asked)

    def may_claim(self, connector: Connector, id_tag: str) -> bool:
        """Say whether a tag may turn out to be welcome, as far as that can be told without asking the CSMS."""
        self._drop_expired()
        hopes = (same(id_tag, each.id_tag) or each.parent is not None for each in self._candidates(connector))
        return not self._kept(connector) or any(hopes)

    def drop_reservation(self, number: int) -> Reservation | None:
        """Forget a reservation and show its connector as what it is without; return it if there was one."""
        reservation = self.reservations.pop(number, None)
        if reservation is not None:
            self._refresh_reserved(reservation)
        return reservation

    # The states of connectors

    def idle_status(self, connector: Connector) -> str:
        status = super().idle_status(connector)
        return "Reserved" if status == "Available" and self.reservation_of(connector) else status

    def reservation_of(self, connector: Connector) -> Reservation | None:
        return next((each for each in self.reservations.values() if each.connector == connector.number), None)

    async def status(
        self, connector: int, status: str | None = None, error_code: str = "NoError", **more: Any
    ) -> Payload:
        if status in ("Faulted", "Unavailable"):
            self.drop_reservations_of(connector)
        return await super().status(connector, status, error_code, **more)

    def drop_reservations_of(self, number: int) -> None:
        """End the reservations of a connector that cannot be used any more, all for connector 0."""
        for reservation in list(self.reservations.values()):
            if number in (0, reservation.connector):
                self.drop_reservation(reservation.id)

    def _reservable(self, wanted: Reservation) -> str:
        """Judge a request; the reservation that it replaces is in nobody's way."""
        if not self.supports("Reservation") or wanted.expiry <= self.clock():
            return "Rejected"
        if wanted.connector == 0:
            return self._any_reservable(wanted) if self.enabled("ReserveConnectorZeroSupported") else "Rejected"
        if wanted.connector not in self.connectors:
            return "Rejected"
        connector = self.connectors[wanted.connector]
        state = self._state(connector, wanted.id)
        # A connector that somebody with a reservation for any connector counts on is not free.
        return "Occupied" if state == "Accepted" and self._spare(wanted.id) < 1 else state

    def _any_reservable(self, wanted: Reservation) -> str:
        if self._spare(wanted.id) > 0:
            return "Accepted"
        states = {self._state(connector, wanted.id) for connector in self.connectors.values()}
        return states.pop() if states in ({"Faulted"}, {"Unavailable"}) else "Occupied"

    def _state(self, connector: Connector, ignored: int | None = None) -> str:
        """Say what would be answered to a request for this connector, but for reservation `ignored`."""
        if "Faulted" in (connector.status, self.whole):
            return "Faulted"
        if connector.status == "Unavailable" or not connector.operative:
            return "Unavailable"
        reservation = self.reservation_of(connector)
        reserved = reservation is not None and reservation.id != ignored
        free = not connector.in_use and connector.status in ("Available", "Reserved")
        return "Accepted" if free and not reserved else "Occupied"

    def _spare(self, ignored: int | None = None) -> int:
        """Count the free connectors that no reservation for any connector needs."""
        free = sum(self._state(connector, ignored) == "Accepted" for connector in self.connectors.values())
        needed = sum(each.connector == 0 and each.id != ignored for each in self.reservations.values())
        return free - needed

    def _candidates(self, connector: Connector) -> Sequence[Reservation]:
        """List what a transaction on a connector may use: the connector's own reservation, else those for any."""
        own = self.reservation_of(connector)
        return [own] if own else [each for each in self.reservations.values() if each.connector == 0]

    def _kept(self, connector: Connector) -> bool:
        """Say whether only the holder of a reservation may use a connector."""
        if self.reservation_of(connector):
            return True
        others = [each for each in self.connectors.values() if each is not connector]
        free = sum(self._state(each) == "Accepted" for each in others)
        return free < sum(each.connector == 0 for each in self.reservations.values())

    def _drop_expired(self) -> None:
        for reservation in list(self.reservations.values()):
            if reservation.expiry <= self.clock():
                self.drop_reservation(reservation.id)

    async def _expire(self, reservation: Reservation) -> None:
        await self.sleep_until(reservation.expiry)
        if self.reservations.get(reservation.id) is reservation:
            self.drop_reservation(reservation.id)
            await self.report_changes()

    def _refresh_reserved(self, reservation: Reservation) -> None:
        if connector := self.connectors.get(reservation.connector):
            self.refresh(connector)
