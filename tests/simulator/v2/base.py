"""What all parts of the station rest on: its EVSEs, its variables and the simplest requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.simulator.device import Device
from tests.simulator.station import Answer, CallError, Payload
from tests.simulator.times import timestamp

SUBPROTOCOL = "ocpp2.0.1"


@dataclass
class Running:
    """A transaction; `seq_no` is the number of its next event (E01.FR.07)."""

    id: str
    evse: int
    connector: int
    seq_no: int = 0
    started: datetime | None = None
    id_token: Payload | None = None
    remote_start_id: int | None = None
    charging_state: str = ""


@dataclass
class Evse:
    """An EVSE with its connectors' statuses. `energy` is the register of its meter in Wh."""

    number: int
    connectors: dict[int, str] = field(default_factory=lambda: {1: "Available"})
    energy: float = 0
    running: Running | None = None


class Base201(Device):
    """An OCPP 2.0.1 station with some EVSEs, numbered from 1, of one connector each unless told."""

    def __init__(
        self,
        url: str,
        identity: str,
        *,
        evses: int | Mapping[int, int] = 1,
        vendor: str = "Simulated",
        model: str = "Socket 201",
        boot: Payload | None = None,
        variables: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """Prepare a station; `options` are those of the other parts, of `Device` and of `Station`.

        `evses` is how many there are, or the number of connectors of each. `boot` adds to the
        BootNotification's chargingStation. `variables` are values by ``Component.Variable``.
        """
        super().__init__(url, identity, **{"subprotocols": (SUBPROTOCOL,), **options})
        sizes = evses if isinstance(evses, Mapping) else dict.fromkeys(range(1, evses + 1), 1)
        self.evses = {
            number: Evse(number, dict.fromkeys(range(1, size + 1), "Available")) for number, size in sizes.items()
        }
        self.charging_station: Payload = {"vendorName": vendor, "model": model, **(boot or {})}
        self.variables: dict[str, str] = {"OCPPCommCtrlr.HeartbeatInterval": "300", **(variables or {})}
        self.accepted = False

    # Requests of the station

    async def boot(self, reason: str = "PowerUp") -> Payload:
        answer = await self.call("BootNotification", {"reason": reason, "chargingStation": self.charging_station})
        self.accepted = answer["status"] == "Accepted"
        if self.accepted and answer["interval"] > 0:
            self.variables["OCPPCommCtrlr.HeartbeatInterval"] = str(answer["interval"])
        return answer

    async def heartbeat(self) -> Payload:
        return await self.call("Heartbeat")

    async def status(self, evse: int, status: str | None = None, connector: int = 1) -> Payload:
        """Report a connector's status, the remembered one by default."""
        connectors = self.evses[evse].connectors
        connectors[connector] = status or connectors[connector]
        return await self.call(
            "StatusNotification",
            {
                "timestamp": timestamp(self.clock()),
                "connectorStatus": connectors[connector],
                "evseId": evse,
                "connectorId": connector,
            },
        )

    async def start_up(self, reason: str = "PowerUp") -> Payload:
        """Boot once and, if accepted, report every connector (B01.FR.05); return the answer to the boot."""
        answer = await self.boot(reason)
        if self.accepted:
            await self.report_statuses()
        return answer

    async def report_statuses(self) -> None:
        for evse in self.evses.values():
            for connector in evse.connectors:
                await self.status(evse.number, connector=connector)

    async def data_transfer(self, vendor_id: str, message_id: str | None = None, data: Any = None) -> Payload:
        fields = {"vendorId": vendor_id, "messageId": message_id, "data": data}
        return await self.call("DataTransfer", {name: value for name, value in fields.items() if value is not None})

    def on_data_transfer(self, _: Payload) -> Answer:
        return {"status": "UnknownVendorId"}

    # For the parts

    def require_evse(self, number: int) -> Evse:
        """Return an EVSE; one that is not there is answered with a CALLERROR."""
        if number not in self.evses:
            raise CallError("PropertyConstraintViolation", f"there is no EVSE {number}")
        return self.evses[number]
