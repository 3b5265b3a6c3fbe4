"""What all parts of the station rest on: its connectors, its settings and the simplest requests."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.simulator.device import Device
from tests.simulator.station import Answer, CallError, Disconnected, Payload
from tests.simulator.times import timestamp
from tests.simulator.v16.settings import Setting, default_settings
from tests.simulator.vehicle import Vehicle

SUBPROTOCOL = "ocpp1.6"
# The statuses of a connector that nobody uses and that is not broken.
IDLE = {"Available", "Reserved", "Unavailable"}


@dataclass
class Connector:
    """One outlet. `energy` is the register of its meter in Wh, `stop` ends the running session with a reason.

    `status` is how it is, `told` what the CSMS heard last. A connector that does not `deliver` has a
    transaction that the CSMS refused.
    """

    number: int
    status: str = "Available"
    told: str = "Available"
    operative: bool = True
    delivers: bool = True
    energy: float = 0
    transaction_id: int | None = None
    started: datetime | None = None
    id_tag: str = ""
    vehicle: Vehicle = field(default_factory=Vehicle)
    stop: asyncio.Future[str] | None = None
    session: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self.session is not None and not self.session.done()

    @property
    def in_use(self) -> bool:
        return self.busy or self.transaction_id is not None


class Base16(Device):
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
        **options: Any,
    ) -> None:
        """Prepare a station; `options` are those of the other parts, of `Device` and of `Station`.

        `boot` adds to the BootNotification.
        """
        super().__init__(url, identity, **{"subprotocols": (SUBPROTOCOL,), **options})
        self.connectors = {number: Connector(number) for number in range(1, connectors + 1)}
        # How the station as a whole is: connector 0.
        self.whole = "Available"
        self.configuration: dict[str, Setting] = default_settings(connectors)
        self.boot_payload = {"chargePointVendor": vendor, "chargePointModel": model, **(boot or {})}
        self.accepted = False

    # Settings

    def value(self, key: str) -> str:
        return self.configuration[key].value

    def enabled(self, key: str) -> bool:
        return self.value(key) == "true"

    def number(self, key: str) -> int:
        return int(self.value(key))

    def listed(self, key: str) -> list[str]:
        """Read a comma separated list."""
        return [item.strip() for item in self.value(key).split(",") if item.strip()]

    def supports(self, profile: str) -> bool:
        return profile in self.listed("SupportedFeatureProfiles")

    def require(self, profile: str) -> None:
        """Answer NotSupported to an action whose feature profile the station lacks."""
        if not self.supports(profile):
            raise CallError("NotSupported", f"the feature profile {profile} is not supported")

    # Requests of the station

    async def boot(self) -> Payload:
        answer = await self.call("BootNotification", self.boot_payload)
        self.accepted = answer["status"] == "Accepted"
        if self.accepted and answer["interval"] > 0:
            self.configuration["HeartbeatInterval"].value = str(answer["interval"])
        return answer

    async def heartbeat(self) -> Payload:
        return await self.call("Heartbeat")

    async def status(
        self, connector: int, status: str | None = None, error_code: str = "NoError", **more: Any
    ) -> Payload:
        """Report a status, the remembered one by default; connector 0 is the station itself.

        `more` are further fields of the request, such as info or vendorErrorCode.
        """
        if outlet := self.connectors.get(connector):
            outlet.status = outlet.told = told = status or outlet.status
        else:
            self.whole = told = status or self.whole
        return await self.call(
            "StatusNotification",
            {
                "connectorId": connector,
                "errorCode": error_code,
                "status": told,
                "timestamp": timestamp(self.clock()),
                **more,
            },
        )

    async def data_transfer(self, vendor_id: str, message_id: str | None = None, data: str | None = None) -> Payload:
        fields = {"vendorId": vendor_id, "messageId": message_id, "data": data}
        return await self.call("DataTransfer", {name: value for name, value in fields.items() if value is not None})

    def on_data_transfer(self, _: Payload) -> Answer:
        return {"status": "UnknownVendorId"}

    # For the parts

    def idle_status(self, connector: Connector) -> str:
        """Say what a connector is while nobody uses it."""
        return "Available" if connector.operative else "Unavailable"

    def refresh(self, connector: Connector) -> None:
        """Let a connector that nobody uses show whether it can be used."""
        if not connector.in_use and connector.status in IDLE:
            connector.status = self.idle_status(connector)

    async def report_changes(self) -> None:
        """Report each connector that is no longer what the CSMS believes."""
        for connector in self.connectors.values():
            if connector.status != connector.told:
                await self.report(connector.number, connector.status)

    async def report(self, connector: int, status: str | None = None) -> None:
        """Report a status; without a connection the report of the next start-up will do."""
        if status is not None and connector in self.connectors:
            self.connectors[connector].status = status
        with contextlib.suppress(Disconnected, TimeoutError):
            await self.status(connector, status)

    def chosen(self, number: int) -> list[Connector]:
        """Find the connectors that a request means: all for 0, none for one that does not exist."""
        if number == 0:
            return list(self.connectors.values())
        return [self.connectors[number]] if number in self.connectors else []
