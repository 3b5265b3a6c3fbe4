"""A charging station that speaks OCPP 1.6: its messages, its memory and its charging sessions.

The methods named after requests send them and return the answer's payload. The ones named
``on_<action>`` answer the CSMS from the station's memory, as section 5 of OCPP 1.6 has it; with
``autonomous=True`` the station also does what it accepted: a remote start becomes a charging
session, a reset ends the sessions and boots again. Feature profiles other than Core and Remote
Trigger are not implemented, and answered so.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulator.station import Answer, Call, Disconnected, Payload, Station
from tests.simulator.vehicle import Vehicle

SUBPROTOCOL = "ocpp1.6"

# Key: default value, read only. The keys that section 9.1 requires of every station.
CONFIGURATION = {
    "AuthorizeRemoteTxRequests": ("false", False),
    "ClockAlignedDataInterval": ("0", False),
    "ConnectionTimeOut": ("60", False),
    "ConnectorPhaseRotation": ("NotApplicable", False),
    "GetConfigurationMaxKeys": ("50", True),
    "HeartbeatInterval": ("300", False),
    "LocalAuthorizeOffline": ("true", False),
    "LocalPreAuthorize": ("false", False),
    "MeterValueSampleInterval": ("60", False),
    "MeterValuesAlignedData": ("Energy.Active.Import.Register", False),
    "MeterValuesSampledData": ("Energy.Active.Import.Register,Power.Active.Import", False),
    "NumberOfConnectors": ("1", True),
    "ResetRetries": ("1", False),
    "StopTransactionOnEVSideDisconnect": ("true", False),
    "StopTransactionOnInvalidId": ("true", False),
    "StopTxnAlignedData": ("", False),
    "StopTxnSampledData": ("", False),
    "SupportedFeatureProfiles": ("Core,RemoteTrigger", True),
    "TransactionMessageAttempts": ("3", False),
    "TransactionMessageRetryInterval": ("60", False),
    "UnlockConnectorOnEVSideDisconnect": ("true", False),
    "WebSocketPingInterval": ("0", False),
}
INTEGER_KEYS = {
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "HeartbeatInterval",
    "MeterValueSampleInterval",
    "ResetRetries",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "WebSocketPingInterval",
}
TRIGGERS = {
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
}


@dataclass
class Setting:
    value: str
    readonly: bool = False


@dataclass
class Connector:
    """One outlet. `energy` is the register of its meter in Wh, `stop` ends the running session with a reason."""

    number: int
    status: str = "Available"
    operative: bool = True
    energy: float = 0
    transaction_id: int | None = None
    id_tag: str = ""
    vehicle: Vehicle = field(default_factory=Vehicle)
    stop: asyncio.Future[str] | None = None
    session: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self.session is not None and not self.session.done()


@dataclass(frozen=True)
class Session:
    """What `Station16.charge` did. Meter readings in Wh."""

    transaction_id: int
    meter_start: int
    meter_stop: int
    started: Payload
    stopped: Payload


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sample(
    value: float | str,
    measurand: str | None = None,
    unit: str | None = None,
    phase: str | None = None,
    context: str | None = None,
    location: str | None = None,
) -> Payload:
    """Build one SampledValue; fields that are None are left out."""
    text = value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
    fields = {
        "value": text,
        "context": context,
        "measurand": measurand,
        "phase": phase,
        "location": location,
        "unit": unit,
    }
    return {name: content for name, content in fields.items() if content is not None}


def meter_value(moment: datetime, samples: Sequence[Payload]) -> Payload:
    return {"timestamp": timestamp(moment), "sampledValue": list(samples)}


def readings(energy: float, power: float, vehicle: Vehicle, context: str = "Sample.Periodic") -> list[Payload]:
    """Build what a meter reports: energy, power, each phase's voltage and current, and SoC where DC tells it."""
    voltages = vehicle.voltages()
    samples = [
        sample(round(energy), "Energy.Active.Import.Register", "Wh", context=context, location="Outlet"),
        sample(power, "Power.Active.Import", "W", context=context, location="Outlet"),
    ]
    for number, voltage in enumerate(voltages, 1):
        current = power / len(voltages) / voltage
        phase, to_neutral = (f"L{number}", f"L{number}-N") if vehicle.phases else (None, None)
        samples.append(sample(current, "Current.Import", "A", phase, context, "Outlet"))
        samples.append(sample(voltage, "Voltage", "V", to_neutral, context, "Outlet"))
    if not vehicle.phases:
        samples.append(sample(round(vehicle.soc), "SoC", "Percent", context=context, location="EV"))
    return samples


class Station16(Station):
    """An OCPP 1.6 station with some connectors, numbered from 1."""

    def __init__(
        self,
        url: str,
        identity: str,
        *,
        connectors: int = 1,
        vendor: str = "Simulated",
        model: str = "Socket 16",
        boot: Payload | None = None,
        autonomous: bool = False,
        meter_interval: float | None = None,
        retry_after: float = 5,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        **options: Any,
    ) -> None:
        """Prepare a station; `options` are those of `Station`.

        `boot` adds to the BootNotification. `meter_interval` is the time in s between the MeterValues
        of an autonomous session, MeterValueSampleInterval when None. `retry_after` is the time in s
        after which an autonomous station repeats a message of a transaction.
        """
        super().__init__(url, identity, **{"subprotocols": (SUBPROTOCOL,), **options})
        self.connectors = {number: Connector(number) for number in range(1, connectors + 1)}
        self.configuration = {key: Setting(value, readonly) for key, (value, readonly) in CONFIGURATION.items()}
        self.configuration["NumberOfConnectors"].value = str(connectors)
        self.boot_payload = {"chargePointVendor": vendor, "chargePointModel": model, **(boot or {})}
        self.autonomous = autonomous
        self.meter_interval = meter_interval
        self.retry_after = retry_after
        self.clock = clock
        self.accepted = False
        self._heartbeat: asyncio.Task[None] | None = None

    # Requests of the station

    async def boot(self) -> Payload:
        answer = await self.call("BootNotification", self.boot_payload)
        self.accepted = answer["status"] == "Accepted"
        if self.accepted and answer["interval"] > 0:
            self.configuration["HeartbeatInterval"].value = str(answer["interval"])
        return answer

    async def heartbeat(self) -> Payload:
        return await self.call("Heartbeat")

    async def status(self, connector: int, status: str | None = None, error_code: str = "NoError") -> Payload:
        """Report a connector's status, the remembered one by default; connector 0 is the station itself."""
        if connector in self.connectors:
            status = self.connectors[connector].status = status or self.connectors[connector].status
        return await self.call(
            "StatusNotification",
            {
                "connectorId": connector,
                "errorCode": error_code,
                "status": status or "Available",
                "timestamp": timestamp(self.clock()),
            },
        )

    async def authorize(self, id_tag: str) -> Payload:
        """Ask whether a tag may charge; return the idTagInfo."""
        return (await self.call("Authorize", {"idTag": id_tag}))["idTagInfo"]

    async def start(
        self, connector: int, id_tag: str, *, meter_start: int | None = None, at: datetime | None = None, **more: Any
    ) -> Payload:
        """Start a transaction, which the connector remembers; `more` are further fields of the request."""
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
    ) -> Session:
        """Play a whole session of `energy` Wh at once: it lasts `samples` times `every` by its timestamps.

        Without `started` its end is now.
        """
        outlet = self.connectors[connector]
        at = started or self.clock() - every * samples
        await self.status(connector, "Preparing")
        await self.authorize(id_tag)
        begin = round(outlet.energy)
        start_answer = await self.start(connector, id_tag, at=at)
        await self.status(connector, "Charging")
        for number in range(1, samples + 1):
            at += every
            outlet.energy = begin + energy * number / samples
            await self.meter_values(connector, at=at)
        await self.status(connector, "Finishing")
        stop_answer = await self.stop(connector, reason, at=at)
        await self.status(connector, "Available")
        return Session(start_answer["transactionId"], begin, round(outlet.energy), start_answer, stop_answer)

    # Answers to the CSMS

    def on_change_availability(self, payload: Payload) -> Answer:
        chosen = self._chosen(payload["connectorId"])
        if chosen is None:
            return {"status": "Rejected"}
        for connector in chosen:
            connector.operative = payload["type"] == "Operative"
        return {"status": "Scheduled" if any(self._waits(connector) for connector in chosen) else "Accepted"}

    def on_change_configuration(self, payload: Payload) -> Answer:
        setting = self.configuration.get(payload["key"])
        if setting is None:
            return {"status": "NotSupported"}
        wrong = payload["key"] in INTEGER_KEYS and not payload["value"].isdecimal()
        if setting.readonly or wrong:
            return {"status": "Rejected"}
        setting.value = payload["value"]
        return {"status": "Accepted"}

    def on_clear_cache(self, _: Payload) -> Answer:
        return {"status": "Accepted"}

    def on_data_transfer(self, _: Payload) -> Answer:
        return {"status": "UnknownVendorId"}

    def on_get_configuration(self, payload: Payload) -> Answer:
        wanted = payload.get("key") or list(self.configuration)
        known = [
            {"key": key, "readonly": self.configuration[key].readonly, "value": self.configuration[key].value}
            for key in wanted
            if key in self.configuration
        ]
        unknown = [key for key in wanted if key not in self.configuration]
        return {"configurationKey": known, **({"unknownKey": unknown} if unknown else {})}

    def on_remote_start_transaction(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self._free_connector(payload.get("connectorId")) else "Rejected"}

    def on_remote_stop_transaction(self, payload: Payload) -> Answer:
        return {"status": "Accepted" if self._charging(payload["transactionId"]) else "Rejected"}

    def on_reset(self, _: Payload) -> Answer:
        return {"status": "Accepted"}

    def on_trigger_message(self, payload: Payload) -> Answer:
        if payload["requestedMessage"] not in TRIGGERS:
            return {"status": "NotImplemented"}
        known = self._chosen(payload.get("connectorId", 0)) is not None
        return {"status": "Accepted" if known else "Rejected"}

    def on_unlock_connector(self, payload: Payload) -> Answer:
        return {"status": "Unlocked" if payload["connectorId"] in self.connectors else "NotSupported"}

    # A life of its own

    async def start_up(self) -> None:
        """Boot until accepted, report each connector, and keep sending heartbeats if autonomous.

        A station that only lost its connection does not boot again (OCPP-J 1.6, section 5.4).
        """
        while not self.accepted:
            interval = (await self.boot())["interval"]
            if not self.accepted:
                await asyncio.sleep(interval or self.retry_after)
        for number in (0, *self.connectors):
            await self.status(number)
        if self.autonomous:
            if self._heartbeat is not None:
                self._heartbeat.cancel()
            self._heartbeat = self.spawn(self._beat())

    async def restart(self, reason: str) -> None:
        """End the sessions with `reason`, then reconnect and boot."""
        await self.end_sessions(reason)
        self.accepted = False
        await self.disconnect()
        await self.come_back()

    async def come_back(self) -> None:
        """Connect again after a restart."""
        await self.connect()
        await self.start_up()

    async def end_sessions(self, reason: str) -> None:
        """Stop every running session and wait until it is over."""
        running = [connector for connector in self.connectors.values() if connector.busy]
        for connector in running:
            self.end_session(connector, reason)
        await asyncio.gather(*(connector.session for connector in running if connector.session))

    def end_session(self, connector: Connector, reason: str) -> None:
        if connector.stop is not None and not connector.stop.done():
            connector.stop.set_result(reason)

    def begin_session(self, connector: Connector, id_tag: str, *, authorize: bool = True) -> None:
        """Let the connector's vehicle charge in the background until someone ends the session, or it is full."""
        connector.stop = asyncio.get_running_loop().create_future()
        connector.session = self.spawn(self._session(connector, connector.stop, id_tag, authorize))

    def session_started(self, connector: Connector) -> None:
        """Take notice; for subclasses."""

    def metered(self, connector: Connector, power: float) -> None:
        """Take notice of a sample, `power` in W; for subclasses."""

    def session_ended(self, connector: Connector, reason: str) -> None:
        """Take notice; for subclasses."""

    def answered(self, call: Call, answer: Answer) -> None:
        if (
            self.autonomous
            and isinstance(answer, dict)
            and answer.get("status") in ("Accepted", "Scheduled", "Unlocked")
        ):
            self._do(call)

    def _do(self, call: Call) -> None:
        payload = call.payload
        match call.action:
            case "ChangeAvailability":
                self.spawn(self._apply_availability(self._chosen(payload["connectorId"]) or []))
            case "RemoteStartTransaction":
                connector = self._free_connector(payload.get("connectorId"))
                if connector is not None:
                    authorize = self.configuration["AuthorizeRemoteTxRequests"].value == "true"
                    self.begin_session(connector, payload["idTag"], authorize=authorize)
            case "RemoteStopTransaction":
                connector = self._charging(payload["transactionId"])
                if connector is not None:
                    self.end_session(connector, "Remote")
            case "Reset":
                self.spawn(self.restart(f"{payload['type']}Reset"))
            case "TriggerMessage":
                self.spawn(self._send_triggered(payload["requestedMessage"], payload.get("connectorId")))
            case "UnlockConnector":
                self.end_session(self.connectors[payload["connectorId"]], "UnlockCommand")

    async def _session(self, connector: Connector, stop: asyncio.Future[str], id_tag: str, authorize: bool) -> None:
        number = connector.number
        await self._report(number, "Preparing")
        if authorize and (await self.deliver("Authorize", {"idTag": id_tag}))["idTagInfo"]["status"] != "Accepted":
            await self._report(number, "Available")
            return
        answer = await self._start(self._deliver, number, id_tag, None, None, {})
        refused = answer["idTagInfo"]["status"] != "Accepted"
        if refused and self.configuration["StopTransactionOnInvalidId"].value == "true":
            self.end_session(connector, "DeAuthorized")
        else:
            self.session_started(connector)
            await self._report(number, "SuspendedEVSE" if refused else "Charging")
        reason = await self._charge(connector, stop)
        await self._report(number, "Finishing")
        await self._stop(self._deliver, number, reason, None, None, {})
        self.session_ended(connector, reason)
        await self._report(number, "Available" if connector.operative else "Unavailable")

    async def _charge(self, connector: Connector, stop: asyncio.Future[str]) -> str:
        """Send MeterValues while the vehicle charges; return the reason for the end."""
        vehicle = connector.vehicle
        while not vehicle.full:
            interval = self._meter_interval()
            power = vehicle.power() if connector.status == "Charging" else 0
            done, _ = await asyncio.wait([stop], timeout=interval or None)
            if done:
                return stop.result()
            connector.energy += vehicle.charge(power, interval)
            samples = readings(connector.energy, power, vehicle)
            self.metered(connector, power)
            await self._deliver(
                "MeterValues",
                {
                    "connectorId": connector.number,
                    "transactionId": connector.transaction_id,
                    "meterValue": [meter_value(self.clock(), samples)],
                },
            )
        await self._report(connector.number, "SuspendedEV")
        return "EVDisconnected"

    async def _start(
        self,
        send: Callable[[str, Payload], Any],
        connector: int,
        id_tag: str,
        meter_start: int | None,
        at: datetime | None,
        more: Payload,
    ) -> Payload:
        outlet = self.connectors[connector]
        answer: Payload = await send(
            "StartTransaction",
            {
                "connectorId": connector,
                "idTag": id_tag,
                "meterStart": round(outlet.energy) if meter_start is None else meter_start,
                "timestamp": timestamp(at or self.clock()),
                **more,
            },
        )
        outlet.transaction_id, outlet.id_tag = answer["transactionId"], id_tag
        return answer

    async def _stop(
        self,
        send: Callable[[str, Payload], Any],
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
        answer: Payload = await send(
            "StopTransaction", {name: value for name, value in payload.items() if value is not None}
        )
        outlet.transaction_id = None
        return answer

    async def _deliver(self, action: str, payload: Payload) -> Payload:
        return await self.deliver(action, payload, retry_after=self.retry_after)

    async def _report(self, connector: int, status: str) -> None:
        """Report a status; without a connection the report of the next start-up will do."""
        with contextlib.suppress(Disconnected, TimeoutError):
            await self.status(connector, status)

    async def _apply_availability(self, connectors: Sequence[Connector]) -> None:
        for connector in connectors:
            if not connector.busy and connector.transaction_id is None:
                await self._report(connector.number, "Available" if connector.operative else "Unavailable")

    async def _send_triggered(self, message: str, number: int | None) -> None:
        chosen = self._chosen(number or 0) or []
        match message:
            case "BootNotification":
                await self.boot()
            case "Heartbeat":
                await self.heartbeat()
            case "MeterValues":
                for connector in chosen:
                    power = connector.vehicle.power() if connector.status == "Charging" else 0
                    samples = readings(connector.energy, power, connector.vehicle, "Trigger")
                    await self.meter_values(connector.number, samples)
            case "StatusNotification":
                numbers = (0, *self.connectors) if number is None else (number,)
                for each in numbers:
                    await self.status(each)
            case _:
                await self.call(message, {"status": "Idle"})

    async def _beat(self) -> None:
        with contextlib.suppress(Disconnected):
            while True:
                await asyncio.sleep(int(self.configuration["HeartbeatInterval"].value))
                with contextlib.suppress(TimeoutError):
                    await self.heartbeat()

    def _meter_interval(self) -> float:
        if self.meter_interval is not None:
            return self.meter_interval
        return int(self.configuration["MeterValueSampleInterval"].value)

    def _chosen(self, number: int) -> list[Connector] | None:
        """Find the connectors that a request means: all for 0, None for one that does not exist."""
        if number == 0:
            return list(self.connectors.values())
        return [self.connectors[number]] if number in self.connectors else None

    def _waits(self, connector: Connector) -> bool:
        """Say whether a change of availability has to wait for the end of a transaction."""
        return not connector.operative and connector.transaction_id is not None

    def _free_connector(self, number: int | None) -> Connector | None:
        for connector in self._chosen(number or 0) or []:
            if connector.operative and connector.transaction_id is None and not connector.busy:
                return connector
        return None

    def _charging(self, transaction_id: int) -> Connector | None:
        return next((c for c in self.connectors.values() if c.transaction_id == transaction_id), None)
