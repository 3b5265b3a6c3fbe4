"""Transactions in numbered events, kept while the station is offline (block E), and metering (block J)."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import timestamp
from tests.simulator.v2.authorization import Authorization
from tests.simulator.v2.base import Evse, Running
from tests.simulator.v2.members import energy, meter_value


class Transactions(Authorization):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Events that wait for a connection, the oldest first.
        self.queue: list[Payload] = []

    async def started(
        self,
        evse: int | None = 1,
        id_token: Payload | None = None,
        *,
        trigger: str | None = None,
        connector: int | None = 1,
        at: datetime | None = None,
        charging_state: str = "EVConnected",
        remote_start_id: int | None = None,
        transaction_id: str | None = None,
        samples: Sequence[Payload] | None = None,
        **more: Any,
    ) -> Payload:
        """Begin a transaction, which the EVSE remembers; `more` are further members of the request.

        With `evse` None the station does not know yet where it will be: name it with `place`.
        """
        running = Running(transaction_id or str(uuid.uuid4()), evse or 0, connector or 0, started=at or self.clock())
        running.remote_start_id = remote_start_id
        if evse is None:
            self.evses[0] = Evse(0, {})
        self.evses[evse or 0].running = running
        trigger = trigger or ("RemoteStart" if remote_start_id is not None else "CablePluggedIn")
        if samples is None and evse is not None:
            samples = [energy(self.evses[evse].energy, "Transaction.Begin")]
        return await self._event(
            "Started",
            trigger,
            running,
            at=at,
            id_token=id_token,
            charging_state=charging_state,
            samples=samples,
            **more,
        )

    async def updated(
        self, trigger: str = "MeterValuePeriodic", evse: int = 1, id_token: Payload | None = None, **more: Any
    ) -> Payload:
        """Tell how a transaction goes on. `more` are those of `started`, and further members of the request."""
        return await self._event("Updated", trigger, self.running(evse), id_token=id_token, **more)

    async def ended(
        self,
        trigger: str = "EVCommunicationLost",
        evse: int = 1,
        id_token: Payload | None = None,
        *,
        reason: str | None = "EVDisconnected",
        samples: Sequence[Payload] | None = None,
        **more: Any,
    ) -> Payload:
        """End the transaction of an EVSE; `reason` is its stoppedReason, left out where None."""
        running = self.running(evse)
        if samples is None:
            samples = [energy(self.evses[evse].energy, "Transaction.End")]
        self.evses[evse].running = None
        return await self._event("Ended", trigger, running, id_token=id_token, reason=reason, samples=samples, **more)

    def place(self, evse: int, connector: int = 1) -> Running:
        """Let the transaction that was begun nowhere be at an EVSE from here on."""
        running = self.running(0)
        del self.evses[0]
        running.evse, running.connector = evse, connector
        self.evses[evse].running = running
        return running

    def running(self, evse: int = 1) -> Running:
        found = self.evses[evse].running
        assert found is not None, f"nothing runs at EVSE {evse}"
        return found

    async def meter(self, evse: int = 1, samples: Sequence[Payload] | None = None, **more: Any) -> Payload:
        """Tell a sample of the running transaction, by default the energy register."""
        samples = samples or [energy(self.evses[evse].energy)]
        return await self.updated("MeterValuePeriodic", evse, samples=samples, **more)

    async def meter_values(self, evse: int, samples: Sequence[Payload], *, at: datetime | None = None) -> Payload:
        """Send MeterValues: readings that belong to no transaction (J01)."""
        return await self.call(
            "MeterValues", {"evseId": evse, "meterValue": [meter_value(at or self.clock(), samples)]}
        )

    async def charge(
        self,
        id_token: Payload,
        *,
        evse: int = 1,
        wh: float = 5000,
        samples: int = 3,
        started: datetime | None = None,
        every: timedelta = timedelta(seconds=60),
    ) -> str:
        """Play a whole session of `wh` Wh at once and return its transaction's id; by default it ends now."""
        outlet = self.evses[evse]
        at = started or self.clock() - every * samples
        await self.status(evse, "Occupied")
        await self.authorize(id_token)
        begin = outlet.energy
        await self.started(evse, id_token, trigger="Authorized", at=at)
        transaction_id = self.running(evse).id
        await self.updated("ChargingStateChanged", evse, at=at, charging_state="Charging")
        for number in range(1, samples + 1):
            at += every
            outlet.energy = begin + wh * number / samples
            await self.meter(evse, at=at)
        await self.ended("StopAuthorized", evse, id_token, reason="Local", at=at)
        await self.status(evse, "Available")
        return transaction_id

    async def flush(self) -> list[Payload]:
        """Send what was kept while there was no connection, in order; return the answers (E12)."""
        answers = []
        while self.queue:
            answers.append(await self.call("TransactionEvent", self.queue[0]))
            del self.queue[0]
        return answers

    # Answers to the CSMS

    def on_get_transaction_status(self, payload: Payload) -> Answer:
        wanted = payload.get("transactionId")
        waits = any(wanted in (None, each["transactionInfo"]["transactionId"]) for each in self.queue)
        if wanted is None:
            return {"messagesInQueue": waits}
        ongoing = any(evse.running is not None and evse.running.id == wanted for evse in self.evses.values())
        return {"messagesInQueue": waits, "ongoingIndicator": ongoing}

    def on_cost_updated(self, _: Payload) -> Answer:
        return {}

    # How an event is told

    async def _event(
        self,
        kind: str,
        trigger: str,
        running: Running,
        *,
        at: datetime | None = None,
        id_token: Payload | None = None,
        charging_state: str | None = None,
        reason: str | None = None,
        samples: Sequence[Payload] | None = None,
        seq_no: int | None = None,
        **more: Any,
    ) -> Payload:
        running.charging_state = charging_state or running.charging_state
        running.id_token = id_token or running.id_token
        info = {
            "transactionId": running.id,
            "chargingState": running.charging_state or None,
            "stoppedReason": reason,
            "remoteStartId": running.remote_start_id if kind == "Started" else None,
        }
        at = at or self.clock()
        payload: Payload = {
            "eventType": kind,
            "timestamp": timestamp(at),
            "triggerReason": trigger,
            "seqNo": running.seq_no if seq_no is None else seq_no,
            "transactionInfo": {name: value for name, value in info.items() if value is not None},
        }
        running.seq_no = payload["seqNo"] + 1
        if running.evse:
            payload["evse"] = {"id": running.evse, **({"connectorId": running.connector} if running.connector else {})}
        if id_token is not None:
            payload["idToken"] = id_token
        if samples:
            payload["meterValue"] = [meter_value(at, samples)]
        payload.update(more)
        if not self.online.is_set():
            self.queue.append({**payload, "offline": True})
            return {}
        return await self.call("TransactionEvent", payload)
