"""A fleet that charges all the time, and an operator who asks it for something."""

import asyncio
import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import websockets

from tests.faults.ledger import Entry, Ledger
from tests.faults.network import Network
from tests.simulator.station import CallError, Disconnected, Payload, Station

# Seconds: how long stations wait for an answer before they send again, and between two attempts to connect.
ANSWER_TIMEOUT = 8.0
BACK_OFF = (0.1, 1.0)
MAX_RESEND_PAUSE = 0.5
# Messages a second of each station, on average, while nothing is wrong; every so many send as fast as they can.
RATE = 8.0
EAGER = 8
# The share of commands that stations leave unanswered.
SILENT = 0.05
# What nothing but its time tells from a repeat.
REPEATABLE = ("reading", "status")
RETRIED = ("InternalError", "GenericError")


class Gate:
    """Lets stations go on, or holds them before their next message."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._waiting = 0
        self._news = asyncio.Event()
        self.open()

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.clear()

    async def passed(self) -> None:
        if self._open.is_set():
            return
        self._waiting += 1
        self._news.set()
        try:
            await self._open.wait()
        finally:
            self._waiting -= 1

    async def holds(self, count: int) -> None:
        """Wait until so many wait here."""
        while self._waiting < count:
            self._news.clear()
            await self._news.wait()


class Charger(Station):
    """A station that charges, keeps what is not acknowledged and sends it again, and connects again by itself."""

    version = ""

    def __init__(
        self, identity: str, nodes: Sequence[str], ledger: Ledger, gate: Gate, network: Network | None = None
    ) -> None:
        super().__init__(
            nodes[0],
            identity,
            subprotocols=(self.version,),
            timeout=ANSWER_TIMEOUT,
            open_timeout=3,
            close_timeout=1,
            # Stations notice as well when nobody is there any more.
            ping_interval=2,
            ping_timeout=3,
        )
        self._nodes = nodes
        self._network = network
        self._ledger = ledger
        self._gate = gate
        self.random = random.Random(identity)
        # Seconds that the station's clock is ahead, or a text in its place.
        self.clock: float | str = 0.0
        # Whether it sends the next message as soon as the last one is acknowledged.
        self.eager = False
        self._energy = itertools.count(1)
        self.asked: Counter[str] = Counter()
        self.answers["GetConfiguration"] = {"configurationKey": []}
        self.answers["ClearCache"] = self._clear_cache
        self.answers["TriggerMessage"] = {"status": "NotImplemented"}

    def _clear_cache(self, _: Payload) -> Payload | None:
        return None if self.random.random() < SILENT else {"status": "Accepted"}

    def task_failed(self, error: BaseException) -> None:
        if not isinstance(error, Disconnected):
            super().task_failed(error)

    async def _receive(self, data: str | bytes) -> None:
        await super()._receive(data)
        self.asked.update(call.message_id for call in self.calls)
        # What a test would look at is in nobody's way for a minute, and too much for an hour.
        for kept in (self.frames, self.calls, self._unexpected, self._unclaimed):
            kept.clear()

    async def connect(self) -> None:
        """Connect to any of the nodes, by the way that the station has."""
        self.address = self.address_at(self.random.choice(self._nodes))
        self._options.pop("sock", None)
        if self._network is not None:
            self.address, sock = await self._network.open(self.address)
            if sock is not None:
                self._options["sock"] = sock
        await super().connect()

    async def live(self) -> None:
        """Stay connected and charge, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stay_connected())
            tasks.create_task(self._charge())

    async def _stay_connected(self) -> None:
        pause = BACK_OFF[0]
        while True:
            try:
                await self.connect()
                pause = BACK_OFF[0]
                await self.boot()
            except (OSError, TimeoutError, websockets.WebSocketException, CallError):
                await asyncio.sleep(pause * (0.5 + self.random.random()))
                pause = min(2 * pause, BACK_OFF[1])
                if not self.online.is_set():
                    continue
            await self.ended()

    async def _charge(self) -> None:
        while True:
            await self.charge()

    async def boot(self) -> None:
        raise NotImplementedError

    async def charge(self) -> None:
        """Charge once, from plugging in to leaving."""
        raise NotImplementedError

    def now(self) -> str:
        if isinstance(self.clock, str):
            return self.clock
        at = datetime.now(UTC) + timedelta(seconds=self.clock)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def energy(self) -> int:
        """Return a meter reading in Wh that the station never shows again."""
        return next(self._energy)

    def entry(self, kind: str, told: object) -> Entry:
        return Entry(kind, self.identity, str(told))

    async def tell(self, action: str, payload: Payload, *entries: Entry) -> Payload:
        """Send a message until it is acknowledged, as stations do: with the same id or with a new one."""
        await self._gate.passed()
        if not self.eager:
            await asyncio.sleep(self.random.random() * 2 / RATE)
        if not self._is_believed(payload):
            self._ledger.clockless.update(entry for entry in entries if entry.kind in REPEATABLE)
        message_id = str(uuid.uuid4())
        self._ledger.sent += 1
        while True:
            await self.online.wait()
            started = time.monotonic()
            try:
                answer = await self.call(action, payload, message_id=message_id)
            except CallError as error:
                self._ledger.refused[error.code] += 1
                if error.code not in RETRIED:
                    raise
            except (Disconnected, TimeoutError) as error:
                self._ledger.refused[type(error).__name__] += 1
            else:
                self._ledger.acknowledge(entries)
                self._ledger.slowest = max(self._ledger.slowest, time.monotonic() - started)
                return answer
            self._ledger.repeated += 1
            if self.random.random() < 0.5:
                message_id = str(uuid.uuid4())
            await asyncio.sleep(self.random.random() * MAX_RESEND_PAUSE)

    def _is_believed(self, payload: Payload) -> bool:
        times = [payload.get("timestamp"), *(each.get("timestamp") for each in payload.get("meterValue", []))]
        now = datetime.now(UTC)
        return all("2010" < told < (now + timedelta(minutes=5)).isoformat() for told in times if told)


class Charger16(Charger):
    version = "ocpp1.6"

    async def boot(self) -> None:
        await self.call("BootNotification", {"chargePointVendor": "Faults", "chargePointModel": "1.6"})

    async def charge(self) -> None:
        begin = self.energy()
        await self._status("Preparing")
        start = {"connectorId": 1, "idTag": "FAULTS", "meterStart": begin, "timestamp": self.now()}
        entry = self.entry("start", begin)
        transaction = (await self.tell("StartTransaction", start, entry))["transactionId"]
        self._ledger.numbers[entry] = transaction
        for _ in range(self.random.randrange(2, 12)):
            await self._reading(transactionId=transaction)
        end = self.energy()
        stop = {"transactionId": transaction, "meterStop": end, "timestamp": self.now(), "idTag": "FAULTS"}
        await self.tell("StopTransaction", stop, self.entry("stop", end))
        await self._status("Available")
        # The station's own meter goes on.
        await self._reading()

    async def _status(self, status: str) -> None:
        told = self.energy()
        payload = {"connectorId": 1, "status": status, "errorCode": "NoError", "timestamp": self.now()}
        await self.tell("StatusNotification", payload | {"info": str(told)}, self.entry("status", told))

    async def _reading(self, **transaction: int) -> None:
        energy = self.energy()
        sample = {"value": str(energy), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        reading = {"timestamp": self.now(), "sampledValue": [sample]}
        payload = {"connectorId": 1 if transaction else 0, "meterValue": [reading], **transaction}
        await self.tell("MeterValues", payload, self.entry("reading", energy))


class Charger201(Charger):
    version = "ocpp2.0.1"

    async def boot(self) -> None:
        station = {"vendorName": "Faults", "model": "2.0.1"}
        await self.call("BootNotification", {"reason": "PowerUp", "chargingStation": station})

    async def charge(self) -> None:
        key = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        last = self.random.randrange(3, 12)
        for number in range(last + 1):
            kind = "Started" if number == 0 else "Ended" if number == last else "Updated"
            trigger = {"Started": "CablePluggedIn", "Ended": "EVDeparted", "Updated": "MeterValuePeriodic"}[kind]
            energy = self.energy()
            payload = {
                "eventType": kind,
                "timestamp": self.now(),
                "triggerReason": trigger,
                "seqNo": number,
                "transactionInfo": {"transactionId": key, "chargingState": "Charging"},
                "evse": {"id": 1, "connectorId": 1},
                "meterValue": [self._meter_value(energy)],
            }
            if kind == "Started":
                payload["idToken"] = {"idToken": "FAULTS", "type": "ISO14443"}
            entries = self.entry("event", f"{key} {number}"), self.entry("reading", energy)
            await self.tell("TransactionEvent", payload, *entries)
        energy = self.energy()
        payload = {"evseId": 0, "meterValue": [self._meter_value(energy)]}
        await self.tell("MeterValues", payload, self.entry("reading", energy))

    def _meter_value(self, energy: int) -> Payload:
        sample = {"value": energy, "measurand": "Energy.Active.Import.Register", "unitOfMeasure": {"unit": "Wh"}}
        return {"timestamp": self.now(), "sampledValue": [sample]}

    def _is_believed(self, payload: Payload) -> bool:
        # Its events have numbers, whatever its clock shows.
        return "seqNo" in payload or super()._is_believed(payload)


class Operator:
    """Asks stations for something all the time, and remembers which commands there are."""

    def __init__(self, web: str, log_in: Callable[[], dict[str, str]], stations: Sequence[Charger], gate: Gate) -> None:
        self._log_in = log_in
        self._stations = stations
        self._gate = gate
        self.client = httpx.AsyncClient(base_url=web, timeout=10, trust_env=False)
        # The commands that the platform took, and whom each is for.
        self.taken: dict[str, str] = {}
        self.outcomes: Counter[str] = Counter()

    async def live(self) -> None:
        """Ask, until cancelled."""
        while True:
            await self._gate.passed()
            station = random.choice(self._stations)
            with suppress(httpx.HTTPError):
                await self._ask(station)
            await asyncio.sleep(0.2 * random.random())

    async def _ask(self, station: Charger) -> None:
        version = "ocpp16" if station.version == "ocpp1.6" else "ocpp201"
        body = {"chargepoint_id": station.identity, "sync": random.random() < 0.2}
        answer = await self.client.post(f"/api/{version}/clearcache/", json=body)
        self.outcomes[str(answer.status_code)] += 1
        if answer.status_code == 401:
            await self.log_in()
            return
        with suppress(ValueError):
            if task_id := answer.json().get("task_id"):
                self.taken[task_id] = station.identity

    async def log_in(self) -> None:
        with suppress(httpx.HTTPError):
            self.client.headers.update(await asyncio.to_thread(self._log_in))


class Load:
    """A fleet and its operator; an async context manager."""

    def __init__(
        self, web: str, log_in: Callable[[], dict[str, str]], nodes: Sequence[str], network: Network, count: int
    ) -> None:
        self.ledger = Ledger()
        self.gate = Gate()
        self.stations: list[Charger] = []
        for index in range(count):
            kind = (Charger16, Charger16, Charger201)[index % 3]
            far = index % 4 == 3
            station = kind(f"FAULT-{index + 1}", nodes, self.ledger, self.gate, network if far else None)
            station.eager = index % EAGER == 0
            self.stations.append(station)
        self.operator = Operator(web, log_in, self.stations, self.gate)
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> "Load":
        await self.operator.log_in()
        self._tasks = [asyncio.create_task(each.live()) for each in (*self.stations, self.operator)]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for station in self.stations:
            await station.stop_tasks()
            with suppress(OSError, TimeoutError):
                await station.drop()
        await self.operator.client.aclose()

    def check(self) -> None:
        """Raise what made a station or the operator stop."""
        for task in self._tasks:
            if task.done():
                task.result()

    def go_on(self) -> None:
        self.gate.open()

    async def quiet(self) -> None:
        """Hold the stations before their next message, and wait until each has got its last one acknowledged."""
        self.gate.close()
        holds = asyncio.ensure_future(self.gate.holds(len(self._tasks)))
        try:
            await asyncio.wait([holds, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            self.check()
        finally:
            holds.cancel()

    async def online(self) -> None:
        """Wait until every station is connected."""
        for station in self.stations:
            await station.online.wait()
