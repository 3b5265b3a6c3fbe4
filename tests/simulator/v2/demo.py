"""A station of OCPP 2.0.1 among those of the demo."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import websockets

from tests.simulator.station import Answer, Call, CallError, Disconnected, Station, dumps
from tests.simulator.v2.base import Evse
from tests.simulator.v2.members import energy, sample, token
from tests.simulator.v2.station import Station201
from tests.simulator.vehicle import Vehicle

# Seconds: between attempts to connect again, and for a driver to leave and the next one to come.
BACKOFF = 4
NEXT_DRIVER = (20, 60)
# What its vehicles take, W, and how much fits in, Wh.
POWER = 22_000
CAPACITY = 52_000
BUSY = 1


class DemoStation201(Station201):
    """A station of two EVSEs: one is busy from the start, the other waits for a RequestStartTransaction."""

    def __init__(
        self,
        url: str,
        identity: str,
        id_token: str,
        tell: Callable[[str], None],
        *,
        meter_interval: float,
        **options: Any,
    ) -> None:
        boot = {"serialNumber": "MER201001", "firmwareVersion": "3.0.2"}
        super().__init__(
            url, identity, evses=2, vendor="Meridian", model="Duo 22", boot=boot, autonomous=True, **options
        )
        self.id_token = token(id_token)
        self.meter_interval = meter_interval
        self.noise = random.Random(identity)
        self.ready = asyncio.Event()
        self._write_line = tell
        self._vehicles: dict[str, Vehicle] = {}
        for evse in self.evses.values():
            evse.energy = self.noise.uniform(500_000, 9_000_000)

    def say(self, text: str, evse: Evse | None = None) -> None:
        place = f"{self.identity}/{evse.number}" if evse else self.identity
        self._write_line(f"{place:<12} {text}")

    async def live(self) -> None:
        """Stay connected, whatever happens to the connection, until cancelled."""
        while True:
            try:
                await self.connect()
                self.say("connected")
                await self.start_up()
                await self.flush()
                self.ready.set()
                await Station.ended(self)
                self.say("disconnected")
            except (OSError, TimeoutError, CallError, Disconnected, websockets.WebSocketException) as error:
                self.say(f"cannot connect: {error}")
                await self.disconnect()
            await asyncio.sleep(BACKOFF)

    async def keep_busy(self) -> None:
        """Let drivers come to the busy EVSE and meter what runs, until cancelled."""
        await self.ready.wait()
        rest = 0.0
        while True:
            with contextlib.suppress(Disconnected, TimeoutError, CallError):
                busy = self.evses[BUSY]
                if busy.running is None and rest <= 0:
                    await self._begin(busy)
                    rest = self.noise.uniform(*NEXT_DRIVER)
                for evse in self.evses.values():
                    await self._charge(evse)
            rest -= 0 if self.evses[BUSY].running else self.meter_interval
            await asyncio.sleep(self.meter_interval)

    async def _begin(self, evse: Evse) -> None:
        info = await self.authorize(self.id_token)
        if info["status"] != "Accepted":
            self.say(f"{self.id_token['idToken']} may not charge", evse)
            return
        await self.status(evse.number, "Occupied")
        await self.started(evse.number, self.id_token, trigger="Authorized", charging_state="Charging")
        self.say(f"transaction {self.running(evse.number).id} started by {self.id_token['idToken']}", evse)

    async def _charge(self, evse: Evse) -> None:
        """Let the vehicle at an EVSE take what it can for an interval, and tell the meter."""
        if evse.running is None:
            return
        vehicle = self._vehicles.setdefault(
            evse.running.id,
            Vehicle(capacity=CAPACITY, soc=self.noise.uniform(15, 60), max_power=POWER, noise=self.noise),
        )
        power = vehicle.power()
        evse.energy += vehicle.charge(power, self.meter_interval)
        samples = [
            energy(round(evse.energy, 1)),
            sample(round(power), "Power.Active.Import", "W"),
            sample(round(vehicle.soc), "SoC", "Percent"),
        ]
        await self.meter(evse.number, samples)
        self.say(f"{power / 1000:6.1f} kW   {evse.energy / 1000:10.3f} kWh on the meter", evse)
        if vehicle.full and evse.running is not None:
            await self.end(evse, "EnergyLimitReached", "EnergyLimitReached")

    async def end(self, evse: Evse, trigger: str, reason: str) -> None:
        await self.ended(trigger, evse.number, reason=reason)
        await self.status(evse.number, "Available")
        self.say(f"transaction ended: {reason}", evse)

    async def end_sessions(self, reason: str) -> None:
        for evse in self.evses.values():
            if evse.running is not None:
                await self.end(evse, "StopAuthorized", reason)

    def answered(self, call: Call, answer: Answer) -> None:
        told = answer.code if isinstance(answer, CallError) else str(answer.get("status", "answered"))
        self.say(f"{call.action} {dumps(call.payload)[:200]}: {told}")
        super().answered(call, answer)

    def task_failed(self, error: BaseException) -> None:
        if not isinstance(error, Disconnected):
            self.say(f"{type(error).__name__}: {error}")
