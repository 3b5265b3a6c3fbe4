"""The load generator: a process with many stations.

Each station connects and boots; what it does then is its play:

- ``readings``: starts a transaction and sends readings of five samples in a closed loop, the next
  one as soon as the last one is answered. In OCPP 1.6 a reading is a MeterValues, in 2.0.1 a
  TransactionEvent Updated. Messages are built from a template of fixed length.
- ``sessions``: whole charging sessions in a closed loop: authorize, start, five readings, stop,
  and the connector's status before and after.
- ``paced``: starts a transaction and sends a reading every ``--every`` seconds.
- ``heartbeats``: sends a Heartbeat every ``--every`` seconds.
- ``idle``: only stays connected.

The closed loops end by themselves, the others with standard input. Until then a line ``begin``
there starts the measurement anew, ``report`` asks for what was measured since, ``stop`` lets the
stations fall silent, and ``storm`` makes all of them lose their connections, come back at once and
tell their status.

Prints one JSON object per line on standard output: ``{"event": "ready"}`` once all stations are
connected, ``{"event": "measuring"}`` when the measurement begins, ``{"event": "measured"}`` when the
time of a closed loop is up, and ``{"event": "result", ...}`` with these figures of the measured
time: ``messages`` answered, ``seconds``, ``rate`` per s, latencies ``p50_ms`` and ``p99_ms``, ``cpu_us`` per message, and of the whole run: ``acknowledged``
MeterValues, ``errors`` by kind. A storm ends with ``{"event": "served", ...}``: ``seconds`` until
the last station was served, ``p50_s`` and ``p99_s``, ``retries``, and how many were ``never`` served.
"""

import argparse
import asyncio
import gc
import itertools
import json
import math
import random
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import uvloop

from tests.bench.station import Endpoint, Load, Refused, Script, Station, header, now

METER_VALUES = (
    '[2,"%08x","MeterValues",{"connectorId":1,"transactionId":{transaction},"meterValue":[{"timestamp":"%s",'
    '"sampledValue":['
    '{"value":"%07d","context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","location":"Outlet",'
    '"unit":"Wh"},'
    '{"value":"%05d.0","context":"Sample.Periodic","measurand":"Power.Active.Import","location":"Outlet","unit":"W"},'
    '{"value":"%02d.5","context":"Sample.Periodic","measurand":"Current.Import","location":"Outlet","unit":"A"},'
    '{"value":"%03d.1","context":"Sample.Periodic","measurand":"Voltage","location":"Outlet","unit":"V"},'
    '{"value":"%02d","context":"Sample.Periodic","measurand":"SoC","location":"EV","unit":"Percent"}]}]}]'
)
# Numbers are padded with blanks, which JSON allows, so that the length stays.
TRANSACTION_EVENT = (
    '[2,"%08x","TransactionEvent",{"eventType":"Updated","timestamp":"{time}","triggerReason":"MeterValuePeriodic",'
    '"seqNo":{count},"transactionInfo":{"transactionId":"{transaction}","chargingState":"Charging"},'
    '"evse":{"id":1,"connectorId":1},"meterValue":[{"timestamp":"%s","sampledValue":['
    '{"value":%7d,"context":"Sample.Periodic","measurand":"Energy.Active.Import.Register","location":"Outlet",'
    '"unitOfMeasure":{"unit":"Wh"}},'
    '{"value":%5d.0,"context":"Sample.Periodic","measurand":"Power.Active.Import","location":"Outlet",'
    '"unitOfMeasure":{"unit":"W"}},'
    '{"value":%02d.5,"context":"Sample.Periodic","measurand":"Current.Import","location":"Outlet",'
    '"unitOfMeasure":{"unit":"A"}},'
    '{"value":%03d.1,"context":"Sample.Periodic","measurand":"Voltage","location":"Outlet",'
    '"unitOfMeasure":{"unit":"V"}},'
    '{"value":%02d,"context":"Sample.Periodic","measurand":"SoC","location":"EV",'
    '"unitOfMeasure":{"unit":"Percent"}}]}]}]'
)
READINGS_PER_SESSION = 5
# Seconds. Time to connect, boot and start; time that an answer may still take after the end; time
# for one attempt to come back, and between two; time until all must be back.
SETUP_TIMEOUT = 300
DRAIN_TIMEOUT = 30
RETURN_TIMEOUT = 60
RETRY_AFTER = 1
STORM_TIMEOUT = 240
CONNECTING_AT_ONCE = 50


def percentile(ordered: Sequence[float], share: float) -> float:
    """Pick the smallest value that `share` of all do not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


class ChargingStation(Station):
    """A station with transactions."""

    def __init__(self, load: Load, endpoint: Endpoint, identity: str) -> None:
        super().__init__(load, endpoint, identity)
        # What came of the last StartTransaction, or the station's own name of its transaction.
        self.transaction: Any = None
        self.count = 0
        self.expected = b""
        self.header = b""
        self.template = ""
        # Not the identity itself, which would say that charging is free.
        self.tag = f"T-{identity}"

    def data_received(self, data: bytes) -> None:
        if data == self.expected:
            self.acknowledge()
        else:
            super().data_received(data)

    # Scripts.

    def starts(self, transaction: str) -> Script:
        at = self.load.timestamp()
        if self.is_16:
            answer = yield (
                "StartTransaction",
                {"connectorId": 1, "idTag": self.tag, "meterStart": 0, "timestamp": at},
            )
            self.expect(answer["idTagInfo"]["status"] == "Accepted", answer)
            self.transaction = answer["transactionId"]
            return
        self.transaction = transaction
        started = self.event("Started", "Authorized", 0) | {"idToken": {"idToken": self.tag, "type": "ISO14443"}}
        answer = yield "TransactionEvent", started
        self.expect(answer["idTokenInfo"]["status"] == "Accepted", answer)

    def event(self, kind: str, reason: str, number: int) -> dict[str, Any]:
        """Build a TransactionEvent of 2.0.1."""
        return {
            "eventType": kind,
            "timestamp": self.load.timestamp(),
            "triggerReason": reason,
            "seqNo": number,
            "transactionInfo": {"transactionId": self.transaction},
            "evse": {"id": 1, "connectorId": 1},
        }

    def reads(self, number: int, at: str) -> Script:
        """Send one reading; its number within the transaction makes its values differ from the last ones."""
        if self.is_16:
            values = [{"timestamp": at, "sampledValue": samples(number, str)}]
            reading = {"connectorId": 1, "transactionId": self.transaction, "meterValue": values}
            yield "MeterValues", reading
        else:
            event = self.event("Updated", "MeterValuePeriodic", number)
            event["meterValue"] = [{"timestamp": at, "sampledValue": samples(number, float)}]
            yield "TransactionEvent", event
        self.load.acknowledged += 1

    def stops(self, number: int) -> Script:
        if self.is_16:
            at = self.load.timestamp()
            stop = {"transactionId": self.transaction, "idTag": self.tag, "meterStop": 100 * number, "timestamp": at}
            yield "StopTransaction", stop
        else:
            ended = self.event("Ended", "StopAuthorized", number)
            ended["transactionInfo"] |= {"stoppedReason": "Local"}
            yield "TransactionEvent", ended

    def charges_again_and_again(self) -> Script:
        token = {"idToken": self.tag, "type": "ISO14443"}
        authorize: dict[str, Any] = {"idTag": self.tag} if self.is_16 else {"idToken": token}
        for session in itertools.count():
            if not self.load.running:
                return
            answer = yield "Authorize", authorize
            info = answer["idTagInfo" if self.is_16 else "idTokenInfo"]
            self.expect(info["status"] == "Accepted", answer)
            yield from self.tells_status("Preparing")
            yield from self.starts(f"{self.identity}-{session}")
            for number in range(1, READINGS_PER_SESSION + 1):
                yield from self.reads(number, self.load.timestamp())
            yield from self.stops(READINGS_PER_SESSION + 1)
            yield from self.tells_status()

    # The closed loop of readings, whose messages and answers are known byte by byte.

    def loop(self) -> None:
        template = METER_VALUES if self.is_16 else TRANSACTION_EVENT
        self.template = template.replace("{transaction}", str(self.transaction))
        self.header = header(len(self.reading()))
        self.send_next()

    def reading(self) -> str:
        """Build the next message: id, time and each value differ from the last ones."""
        count, at = self.count, self.load.timestamp()
        template = self.template
        if not self.is_16:
            template = template.replace("{time}", at).replace("{count}", f"{count:8d}")
        return template % (
            count,
            at,
            count,
            7000 + count % 4000,
            10 + count % 22,
            220 + count % 20,
            20 + count % 70,
        )

    def send_next(self) -> None:
        if not self.load.running:
            self.message_id, self.expected = "", b""
            return
        self.count += 1
        self.message_id = f"{self.count:08x}"
        self.expected = b'\x81\x11[3,"%08x",{}]' % self.count
        self.sent_at = time.perf_counter()
        self.transport.write(self.header + self.reading().encode("ascii"))

    def acknowledge(self) -> None:
        load = self.load
        load.acknowledged += 1
        if load.measuring:
            load.latencies.append(time.perf_counter() - self.sent_at)
        self.send_next()

    def answered(self, payload: Any) -> None:
        if self.template:
            self.acknowledge()
        else:
            super().answered(payload)

    def call_failed(self, text: str) -> None:
        super().call_failed(text)
        if self.template:
            self.send_next()


def samples(number: int, spell: Callable[[float], Any]) -> list[dict[str, Any]]:
    """Build five samples of 1.6, whose values are text, or of 2.0.1."""
    unit = "unit" if spell is str else "unitOfMeasure"

    def one(value: float, measurand: str, name: str, location: str = "Outlet") -> dict[str, Any]:
        told = name if spell is str else {"unit": name}
        return {"value": spell(value), "measurand": measurand, "location": location, unit: told}

    return [
        one(100 * number, "Energy.Active.Import.Register", "Wh"),
        one(7000 + number, "Power.Active.Import", "W"),
        one(10.5 + number % 20, "Current.Import", "A"),
        one(230.1, "Voltage", "V"),
        one(20 + number % 70, "SoC", "Percent", "EV"),
    ]


class Fleet:
    """The stations of this process."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.load = Load()
        self.stations: list[ChargingStation] = []
        self.endpoint = Endpoint(
            options.host, options.port, options.path, options.speaks, options.key, silent=options.silent
        )
        self._sources = [f"127.0.0.{1 + number}" for number in range(options.sources)]

    def identities(self) -> Iterator[str]:
        return (f"{self.options.prefix}{number:05d}" for number in range(self.options.stations))

    async def connect(self) -> None:
        """Connect all stations, some at a time, and wait until each is ready."""
        gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

        async def one(identity: str) -> ChargingStation:
            async with gate:
                station = await self.open(identity)
                if self.options.play in ("readings", "paced"):
                    await station.play(station.starts(identity))
            return station

        async with asyncio.timeout(SETUP_TIMEOUT):
            self.stations = await asyncio.gather(*map(one, self.identities()))

    async def open(self, identity: str) -> ChargingStation:
        """Connect a station, let it boot and tell its status, without which it would be asked for it."""
        source = self._sources[hash(identity) % len(self._sources)]
        transport, station = await asyncio.get_running_loop().create_connection(
            lambda: ChargingStation(self.load, self.endpoint, identity),
            self.options.host,
            self.options.port,
            local_addr=None if source == "127.0.0.1" else (source, 0),
        )
        try:
            await station.opened
            await station.play(station.boots())
            await station.play(station.tells_status())
        except BaseException:
            transport.abort()
            raise
        return station

    def figures(self, seconds: float, cpu: float) -> dict[str, Any]:
        load = self.load
        ordered = sorted(load.latencies)
        return {
            "messages": len(ordered),
            "seconds": seconds,
            "rate": len(ordered) / seconds,
            "p50_ms": percentile(ordered, 0.5) * 1000,
            "p99_ms": percentile(ordered, 0.99) * 1000,
            "cpu_us": cpu / max(1, len(ordered)) * 1e6,
            "acknowledged": load.acknowledged,
            "errors": dict(load.errors),
            "examples": load.examples,
        }


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# Closed loops.


async def closed_loop(fleet: Fleet) -> None:
    """Run the closed loop for a while unmeasured and a while measured, and report."""
    load, options = fleet.load, fleet.options
    load.running = True
    for station in fleet.stations:
        if options.play == "readings":
            station.loop()
        else:
            station.play(station.charges_again_and_again())
    await asyncio.sleep(options.warm_up)
    say("measuring")
    begin, cpu = time.perf_counter(), cpu_seconds()
    load.begin()
    await asyncio.sleep(options.seconds)
    load.measuring = False
    elapsed, cpu = time.perf_counter() - begin, cpu_seconds() - cpu
    say("measured")
    load.running = False
    if unanswered := await drain(fleet.stations):
        load.errors["unanswered"] += unanswered
    say("result", **fleet.figures(elapsed, cpu))


async def drain(stations: Sequence[Station]) -> int:
    """Wait until each station has its last answer; return how many never got it."""
    until = time.perf_counter() + DRAIN_TIMEOUT
    while (waiting := sum(bool(station.message_id) for station in stations)) and time.perf_counter() < until:
        await asyncio.sleep(0.05)
    return waiting


# Plays that go on until they are told to end.


async def attend(fleet: Fleet) -> None:
    """Do what standard input says until it ends."""
    fleet.load.running = True
    beats = [asyncio.create_task(pace(fleet, station)) for station in fleet.stations if fleet.options.play != "idle"]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    begin, cpu = time.perf_counter(), cpu_seconds()
    while line := (await reader.readline()).decode().strip():
        if line == "begin":
            begin, cpu = time.perf_counter(), cpu_seconds()
            fleet.load.begin()
            say("measuring")
        elif line == "storm":
            await storm(fleet)
        elif line == "stop":
            for beat in beats:
                beat.cancel()
            fleet.load.errors["unanswered"] += await drain(fleet.stations)
            say("stopped")
        else:
            say("result", **fleet.figures(time.perf_counter() - begin, cpu_seconds() - cpu))
    fleet.load.running = False
    for beat in beats:
        beat.cancel()


async def pace(fleet: Fleet, station: ChargingStation) -> None:
    """Send something every so often, as long as it is answered."""
    every: float = fleet.options.every
    await asyncio.sleep(random.random() * every)
    due = time.perf_counter()
    for number in itertools.count(1):
        script = station.reads(number, now()) if fleet.options.play == "paced" else beats()
        with suppress(Refused, ConnectionError):
            # What went wrong is counted.
            await station.play(script)
        due += every
        await asyncio.sleep(max(0, due - time.perf_counter()))


def beats() -> Script:
    yield "Heartbeat", {}


async def storm(fleet: Fleet) -> None:
    """Cut all connections at once; each station comes back at once, boots and tells its status."""
    fleet.load.running = False
    for station in fleet.stations:
        station.transport.abort()
    began = time.perf_counter()
    served: list[float] = []
    retries = itertools.count()

    async def come_back(identity: str) -> ChargingStation:
        while True:
            try:
                async with asyncio.timeout(RETURN_TIMEOUT):
                    station = await fleet.open(identity)
            except (OSError, TimeoutError, Refused) as error:
                next(retries)
                fleet.load.examples.setdefault("retry", repr(error))
                await asyncio.sleep(RETRY_AFTER)
            else:
                served.append(time.perf_counter() - began)
                return station

    returns = [asyncio.create_task(come_back(identity)) for identity in fleet.identities()]
    done, late = await asyncio.wait(returns, timeout=STORM_TIMEOUT)
    for task in late:
        task.cancel()
    fleet.stations = [task.result() for task in done]
    fleet.load.running = True
    served.sort()
    say(
        "served",
        seconds=percentile(served, 1),
        p50_s=percentile(served, 0.5),
        p99_s=percentile(served, 0.99),
        retries=next(retries),
        never=len(late),
        example=fleet.load.examples.get("retry", ""),
    )


PLAYS: dict[str, Callable[[Fleet], Awaitable[None]]] = {
    "readings": closed_loop,
    "sessions": closed_loop,
    "paced": attend,
    "heartbeats": attend,
    "idle": attend,
}


async def run(options: argparse.Namespace) -> int:
    """Return the exit code: 1 when anything but correct answers came."""
    fleet = Fleet(options)
    await fleet.connect()
    gc.freeze()
    say("ready", stations=len(fleet.stations))
    await PLAYS[options.play](fleet)
    for station in fleet.stations:
        station.transport.close()
    return 1 if fleet.load.errors else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/ws/ocpp")
    parser.add_argument("--speaks", default="ocpp1.6", choices=("ocpp1.6", "ocpp2.0.1"), help="WebSocket subprotocol")
    parser.add_argument("--play", default="readings", choices=PLAYS)
    parser.add_argument("--stations", type=int, default=500)
    parser.add_argument("--prefix", default="BENCH-", help="of the identities and id tags, which end in a number")
    parser.add_argument("--key", default="", help="for Basic authentication")
    parser.add_argument("--sources", type=int, default=1, help="loopback addresses to connect from")
    parser.add_argument("--silent", action="store_true", help="answer no CALL of the server")
    parser.add_argument("--every", type=float, default=1, help="seconds between two messages of a station")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds that are not measured")
    parser.add_argument("--seconds", type=float, default=10)
    sys.exit(uvloop.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
