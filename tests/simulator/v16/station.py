"""The whole station: what its parts have in common with no other part, and its life by itself."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from tests.simulator.station import Answer, Disconnected, Payload
from tests.simulator.v16.base import Connector
from tests.simulator.v16.files import DIAGNOSTICS, FIRMWARE, LOG, SIGNED_FIRMWARE, Files
from tests.simulator.v16.sessions import Sessions


class Station16(Sessions, Files):
    """An OCPP 1.6 station: the constructors of its parts say what it takes.

    They are `Base16`, `Sessions`, `SmartCharging`, `Security`, `Files`, and `Station` for the connection.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clocks: list[asyncio.Task[None]] = []

    # Answers to the CSMS

    def on_change_availability(self, payload: Payload) -> Answer:
        chosen = self.chosen(payload["connectorId"])
        if not chosen:
            return {"status": "Rejected"}
        for connector in chosen:
            connector.operative = payload["type"] == "Operative"
            self.refresh(connector)
        if payload["type"] == "Inoperative":
            self.drop_reservations_of(payload["connectorId"])
        if payload["connectorId"] == 0:
            self.whole = "Available" if payload["type"] == "Operative" else "Unavailable"
        return {"status": "Scheduled" if any(self._waits(connector) for connector in chosen) else "Accepted"}

    async def do_change_availability(self, payload: Payload) -> None:
        if payload["connectorId"] == 0:
            await self.report(0)
        for connector in self.chosen(payload["connectorId"]):
            if not connector.in_use:
                await self.report(connector.number, self.idle_status(connector))

    def on_reset(self, _: Payload) -> Answer:
        return {"status": "Accepted"}

    async def do_reset(self, payload: Payload) -> None:
        await self.restart(f"{payload['type']}Reset")

    def on_unlock_connector(self, payload: Payload) -> Answer:
        return {"status": "Unlocked" if payload["connectorId"] in self.connectors else "NotSupported"}

    def do_unlock_connector(self, payload: Payload) -> None:
        self.end_session(self.connectors[payload["connectorId"]], "UnlockCommand")

    def on_trigger_message(self, payload: Payload) -> Answer:
        self.require("RemoteTrigger")
        return self._on_trigger(payload, self._triggers())

    async def do_trigger_message(self, payload: Payload) -> None:
        await self._triggers()[payload["requestedMessage"]](payload.get("connectorId"))

    def on_extended_trigger_message(self, payload: Payload) -> Answer:
        # CpoName goes into the request for a certificate (A02, prerequisites).
        if payload["requestedMessage"] == "SignChargePointCertificate" and not self.value("CpoName"):
            return {"status": "Rejected"}
        return self._on_trigger(payload, self._extended_triggers())

    async def do_extended_trigger_message(self, payload: Payload) -> None:
        await self._extended_triggers()[payload["requestedMessage"]](payload.get("connectorId"))

    # A life of its own

    async def start_up(self) -> None:
        """Boot until accepted, report each connector, and keep sending heartbeats if autonomous.

        A station that only lost its connection does not boot again (OCPP-J 1.6, section 5.4).
        """
        booted = self.accepted
        while not self.accepted:
            interval = (await self.boot())["interval"]
            if not self.accepted:
                await asyncio.sleep(interval or self.retry_after)
        for number in (0, *self.connectors):
            await self.status(number)
        if self.autonomous:
            self._set_clocks()
            if not booted:
                self.spawn(self.push_critical("StartupOfTheDevice"))

    async def restart(self, reason: str) -> None:
        """End the sessions with `reason`, then reconnect and boot."""
        await self.end_sessions(reason)
        await self.push_critical("ResetOrReboot", reason)
        self.accepted = False
        await self.disconnect()
        await self.come_back()

    async def come_back(self) -> None:
        await self.connect()
        await self.start_up()

    def effects(self) -> dict[str, Callable[[], object]]:
        return {
            **super().effects(),
            "HeartbeatInterval": self._set_clocks,
            "ClockAlignedDataInterval": self._set_clocks,
        }

    def _set_clocks(self) -> None:
        """Send heartbeats and clock-aligned values, at the intervals that the settings have now."""
        for task in self._clocks:
            task.cancel()
        self._clocks = [self.spawn(self._beat()), self.spawn(self._align())]

    async def _beat(self) -> None:
        with contextlib.suppress(Disconnected):
            while interval := self.number("HeartbeatInterval"):
                await asyncio.sleep(interval)
                with contextlib.suppress(TimeoutError):
                    await self.heartbeat()

    async def _align(self) -> None:
        """Send the values of each connector whenever the time is a multiple of the interval (section 3.16.2)."""
        with contextlib.suppress(Disconnected):
            while interval := self.number("ClockAlignedDataInterval"):
                await asyncio.sleep(interval - self.clock().timestamp() % interval)
                for connector in self.connectors.values():
                    samples = self.samples_of(connector, "Sample.Clock", "MeterValuesAlignedData")
                    with contextlib.suppress(TimeoutError):
                        await self.meter_values(connector.number, samples)

    def _on_trigger(self, payload: Payload, triggers: dict[str, Any]) -> Answer:
        message, number = payload["requestedMessage"], payload.get("connectorId", 0)
        if message not in triggers:
            return {"status": "NotImplemented"}
        # A connector is ignored where it does not matter (section 5.17).
        matters = message in ("MeterValues", "StatusNotification")
        return {"status": "Rejected" if matters and not self.chosen(number) else "Accepted"}

    def _triggers(self) -> dict[str, Any]:
        return {
            "BootNotification": lambda _: self.boot(),
            "DiagnosticsStatusNotification": lambda _: self.repeat_status(DIAGNOSTICS),
            "FirmwareStatusNotification": lambda _: self.repeat_status(FIRMWARE),
            "Heartbeat": lambda _: self.heartbeat(),
            "MeterValues": self._send_meter_values,
            "StatusNotification": self._send_statuses,
        }

    def _extended_triggers(self) -> dict[str, Any]:
        common = ("BootNotification", "Heartbeat", "MeterValues", "StatusNotification")
        return {
            **{name: trigger for name, trigger in self._triggers().items() if name in common},
            "FirmwareStatusNotification": lambda _: self.repeat_status(SIGNED_FIRMWARE),
            "LogStatusNotification": lambda _: self.repeat_status(LOG),
            "SignChargePointCertificate": lambda _: self.sign_certificate(),
        }

    async def _send_meter_values(self, number: int | None) -> None:
        for connector in self.chosen(number or 0):
            await self.meter_values(connector.number, self.samples_of(connector, "Trigger"))

    async def _send_statuses(self, number: int | None) -> None:
        for each in (0, *self.connectors) if number is None else (number,):
            await self.status(each)

    def _waits(self, connector: Connector) -> bool:
        """Say whether a change of availability has to wait for the end of a transaction."""
        return not connector.operative and connector.transaction_id is not None
