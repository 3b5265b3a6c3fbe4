"""Charging sessions that run by themselves, from a remote start or a driver until somebody ends them."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.v16.authorization import same
from tests.simulator.v16.base import Connector
from tests.simulator.v16.meter import meter_value, readings
from tests.simulator.v16.reservations import Refused, Reservation
from tests.simulator.v16.schedules import TRANSACTION, Installed
from tests.simulator.v16.transactions import Transactions


class Sessions(Transactions):
    def __init__(self, *arguments: Any, meter_interval: float | None = None, **options: Any) -> None:
        """`meter_interval` is the time in s between the MeterValues of an autonomous session.

        Without it MeterValueSampleInterval counts.
        """
        super().__init__(*arguments, **options)
        self.meter_interval = meter_interval

    # Answers to the CSMS

    def on_remote_start_transaction(self, payload: Payload) -> Answer:
        profile = payload.get("chargingProfile") if self.supports("SmartCharging") else None
        # Section 5.16.2: the transaction has no id yet.
        usable = profile is None or (
            profile["chargingProfilePurpose"] == TRANSACTION
            and "transactionId" not in profile
            and self.well_formed(profile)
        )
        connector = self.free_connector(payload.get("connectorId"), payload["idTag"])
        return {"status": "Accepted" if usable and connector else "Rejected"}

    def do_remote_start_transaction(self, payload: Payload) -> None:
        connector = self.free_connector(payload.get("connectorId"), payload["idTag"])
        if connector is not None:
            self.begin_session(
                connector,
                payload["idTag"],
                authorize=self.enabled("AuthorizeRemoteTxRequests"),
                profile=payload.get("chargingProfile") if self.supports("SmartCharging") else None,
            )

    def on_remote_stop_transaction(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self._charging(payload["transactionId"]) else "Rejected"}

    def do_remote_stop_transaction(self, payload: Payload) -> None:
        if connector := self._charging(payload["transactionId"]):
            self.end_session(connector, "Remote")

    # A life of its own

    def begin_session(
        self, connector: Connector, id_tag: str, *, authorize: bool = True, profile: Payload | None = None
    ) -> None:
        """Let the connector's vehicle charge in the background until someone ends the session, or it is full.

        `profile` limits this session only.
        """
        connector.stop = asyncio.get_running_loop().create_future()
        connector.session = self.spawn(self._session(connector, connector.stop, id_tag, authorize, profile))

    async def end_sessions(self, reason: str) -> None:
        """Stop every running session and wait until it is over."""
        running = [connector for connector in self.connectors.values() if connector.busy]
        for connector in running:
            self.end_session(connector, reason)
        await asyncio.gather(*(connector.session for connector in running if connector.session))

    def end_session(self, connector: Connector, reason: str) -> None:
        if connector.stop is not None and not connector.stop.done():
            connector.stop.set_result(reason)

    def session_refused(self, connector: Connector, id_tag: str) -> None:
        """Take notice that a tag may not charge here now; for subclasses."""

    def session_started(self, connector: Connector) -> None:
        """Take notice; for subclasses."""

    def metered(self, connector: Connector, power: float) -> None:
        """Take notice of a sample, `power` in W; for subclasses."""

    def session_ended(self, connector: Connector, reason: str) -> None:
        """Take notice; for subclasses."""

    def samples_of(self, connector: Connector, context: str, setting: str = "MeterValuesSampledData") -> list[Payload]:
        """Read a connector's meter: the measurands that a setting lists."""
        power, limit = self.power_of(connector), self.limit_of(connector)
        read = readings(connector.energy, power, connector.vehicle, context, limit=limit)
        return [each for each in read if each["measurand"] in self.listed(setting)]

    async def _session(
        self, connector: Connector, stop: asyncio.Future[str], id_tag: str, authorize: bool, profile: Payload | None
    ) -> None:
        number = connector.number
        try:
            reservation = await self._admitted(connector, id_tag, authorize)
        except Refused:
            self.session_refused(connector, id_tag)
            if connector.status == "Preparing":
                await self._leave(connector)
            return
        if profile is not None:
            self.profiles.add(Installed(number, profile, self.clock()))
        more = {"reservationId": reservation.id} if reservation else {}
        answer = await self._start(self.deliver_again, number, id_tag, None, None, more)
        data = self._transaction_data(connector, "Transaction.Begin")
        connector.delivers = answer["idTagInfo"]["status"] == "Accepted"
        if not connector.delivers and self.enabled("StopTransactionOnInvalidId"):
            self.end_session(connector, "DeAuthorized")
        else:
            self.session_started(connector)
            await self.report(number, self.charging_status(connector))
        reason = await self._charge(connector, stop, data)
        await self.report(number, "Finishing")
        data += self._transaction_data(connector, "Transaction.End")
        await self._stop(self.deliver_again, number, reason, None, None, {"transactionData": data} if data else {})
        self.session_ended(connector, reason)
        await self._leave(connector)

    async def _admitted(self, connector: Connector, id_tag: str, authorize: bool) -> Reservation | None:
        """Show the connector as taken and check the tag; return the reservation it uses, or raise Refused."""
        claim = await self.claim(connector, id_tag)
        await self.report(connector.number, "Preparing")
        info = claim.info or (await self.admit(id_tag) if authorize else None)
        if info is not None and info["status"] != "Accepted":
            raise Refused
        return claim.reservation

    async def _leave(self, connector: Connector) -> None:
        """Show the connector as free, which it is as soon as anybody may know."""
        connector.session = None
        await self.report(connector.number, self.idle_status(connector))

    async def _charge(self, connector: Connector, stop: asyncio.Future[str], data: list[Payload]) -> str:
        """Send MeterValues while the vehicle charges; return the reason for the end."""
        vehicle = connector.vehicle
        while not vehicle.full:
            interval = self._meter_interval()
            done, _ = await asyncio.wait([stop], timeout=interval or None)
            if done:
                return stop.result()
            await self.heed_limits()
            power = self.power_of(connector)
            connector.energy += vehicle.charge(power, interval)
            self.metered(connector, power)
            data += self._transaction_data(connector, "Sample.Periodic")
            await self._deliver_samples(connector, self.samples_of(connector, "Sample.Periodic"))
        await self.report(connector.number, "SuspendedEV")
        return "EVDisconnected"

    async def _deliver_samples(self, connector: Connector, samples: Sequence[Payload]) -> None:
        if samples:
            await self.deliver_again(
                "MeterValues",
                {
                    "connectorId": connector.number,
                    "transactionId": connector.transaction_id,
                    "meterValue": [meter_value(self.clock(), samples)],
                },
            )

    def _transaction_data(self, connector: Connector, context: str) -> list[Payload]:
        samples = self.samples_of(connector, context, "StopTxnSampledData")
        return [meter_value(self.clock(), samples)] if samples else []

    def _meter_interval(self) -> float:
        return self.number("MeterValueSampleInterval") if self.meter_interval is None else self.meter_interval

    def free_connector(self, number: int | None, id_tag: str) -> Connector | None:
        """Find a connector on which a tag may start, one that is reserved for it first."""
        free = [
            connector
            for connector in self.chosen(number or 0)
            if connector.operative
            and not connector.in_use
            and connector.status not in ("Faulted", "Unavailable")
            and self.may_claim(connector, id_tag)
        ]
        return max(free, key=lambda connector: self._welcome(connector, id_tag), default=None)

    def _welcome(self, connector: Connector, id_tag: str) -> int:
        """Rank a connector for a tag: reserved for it, free for everybody, perhaps reserved for its group."""
        reservation = self.reservation_of(connector)
        if reservation is None:
            return 1
        return 2 if same(id_tag, reservation.id_tag) else 0

    def _charging(self, transaction_id: int) -> Connector | None:
        return next((c for c in self.connectors.values() if c.transaction_id == transaction_id), None)
