"""The messages of a transaction, one by one or a whole session at once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.simulator.station import Payload
from tests.simulator.times import timestamp
from tests.simulator.v16.meter import meter_value, sample
from tests.simulator.v16.reservations import Reservations
from tests.simulator.v16.smart_charging import SmartCharging

Send = Callable[[str, Payload], Awaitable[Payload]]


@dataclass(frozen=True)
class Session:
    """What `Transactions.charge` did. Meter readings in Wh."""

    transaction_id: int
    meter_start: int
    meter_stop: int
    started: Payload
    stopped: Payload


class Transactions(Reservations, SmartCharging):
    async def start(
        self,
        connector: int,
        id_tag: str,
        *,
        meter_start: int | None = None,
        at: datetime | None = None,
        reservation_id: int | None = None,
        **more: Any,
    ) -> Payload:
        """Start a transaction, which the connector remembers; `more` are further fields of the request."""
        if reservation_id is not None:
            more["reservationId"] = reservation_id
        return await self._start(self.call, connector, id_tag, meter_start, at, more)

    async def meter_values(
        self,
        connector: int,
        samples: Sequence[Payload] | None = None,
        *,
        at: datetime | None = None,
        in_transaction: bool = True,
    ) -> Payload:
        """Send one MeterValue, by default the energy register, for the connector's transaction if there is one."""
        outlet = self.connectors[connector]
        samples = samples or [sample(round(outlet.energy), "Energy.Active.Import.Register", "Wh")]
        payload: Payload = {"connectorId": connector, "meterValue": [meter_value(at or self.clock(), samples)]}
        if in_transaction and outlet.transaction_id is not None:
            payload["transactionId"] = outlet.transaction_id
        return await self.call("MeterValues", payload)

    async def stop(
        self,
        connector: int,
        reason: str | None = "Local",
        *,
        meter_stop: int | None = None,
        at: datetime | None = None,
        **more: Any,
    ) -> Payload:
        """Stop the connector's transaction; `more` are further fields of the request, such as transactionData."""
        return await self._stop(self.call, connector, reason, meter_stop, at, more)

    async def charge(
        self,
        id_tag: str,
        *,
        connector: int = 1,
        energy: int = 5000,
        samples: int = 3,
        started: datetime | None = None,
        every: timedelta = timedelta(seconds=60),
        reason: str = "Local",
        reservation_id: int | None = None,
    ) -> Session:
        """Play a whole session of `energy` Wh at once: it lasts `samples` times `every` by its timestamps.

        Without `started` its end is now.
        """
        outlet = self.connectors[connector]
        at = started or self.clock() - every * samples
        await self.status(connector, "Preparing")
        await self.authorize(id_tag)
        begin = round(outlet.energy)
        start_answer = await self.start(connector, id_tag, at=at, reservation_id=reservation_id)
        await self.status(connector, "Charging")
        for number in range(1, samples + 1):
            at += every
            outlet.energy = begin + energy * number / samples
            await self.meter_values(connector, at=at)
        await self.status(connector, "Finishing")
        stop_answer = await self.stop(connector, reason, at=at)
        await self.status(connector, self.idle_status(outlet))
        return Session(start_answer["transactionId"], begin, round(outlet.energy), start_answer, stop_answer)

    async def _start(
        self, send: Send, connector: int, id_tag: str, meter_start: int | None, at: datetime | None, more: Payload
    ) -> Payload:
        outlet = self.connectors[connector]
        outlet.started = at or self.clock()
        if "reservationId" in more:
            self.drop_reservation(more["reservationId"])
        answer = await send(
            "StartTransaction",
            {
                "connectorId": connector,
                "idTag": id_tag,
                "meterStart": round(outlet.energy) if meter_start is None else meter_start,
                "timestamp": timestamp(outlet.started),
                **more,
            },
        )
        outlet.transaction_id, outlet.id_tag = answer["transactionId"], id_tag
        self.remember(id_tag, answer["idTagInfo"])
        return answer

    async def _stop(
        self,
        send: Send,
        connector: int,
        reason: str | None,
        meter_stop: int | None,
        at: datetime | None,
        more: Payload,
    ) -> Payload:
        outlet = self.connectors[connector]
        payload = {
            "transactionId": outlet.transaction_id,
            "idTag": outlet.id_tag,
            "meterStop": round(outlet.energy) if meter_stop is None else meter_stop,
            "timestamp": timestamp(at or self.clock()),
            "reason": reason,
            **more,
        }
        answer = await send("StopTransaction", {name: value for name, value in payload.items() if value is not None})
        if "idTagInfo" in answer:
            self.remember(outlet.id_tag, answer["idTagInfo"])
        outlet.transaction_id = outlet.started = None
        outlet.delivers = True
        self.drop_profiles_of(outlet)
        return answer
