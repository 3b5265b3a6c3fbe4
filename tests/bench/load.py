"""The load generator: many stations in one process, as cheap as Python allows.

Each station connects, boots, starts a transaction and then sends readings of five samples in a
closed loop: the next one as soon as the last one is answered. In OCPP 1.6 a reading is a
MeterValues, in 2.0.1 a TransactionEvent Updated. Messages are built from a template of
fixed length and masked with zeros, which saves the generator the work of masking while the server
unmasks as ever. Each answer must be the CALLRESULT with the id of the station's message.

With ``--idle`` the stations only boot and stay connected, until standard input ends.

Prints one JSON object per line on standard output: ``{"event": "ready"}`` once all stations are
connected, ``{"event": "measuring"}`` after the warm-up, ``{"event": "measured"}`` when the time is
up, and at last ``{"event": "result", ...}`` with these figures of the measured time:
``messages`` answered, ``seconds``, ``rate`` per s, latencies ``p50_ms`` and ``p99_ms``, ``cpu_us``
per message, and of the whole run: ``acknowledged`` MeterValues, ``errors`` by kind.
"""

import argparse
import array
import asyncio
import collections
import gc
import json
import math
import resource
import sys
import time
from typing import Any, cast

import uvloop

MASK = bytes(4)
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
# What a CSMS may ask of a station that has just connected; anything else is NotImplemented.
ANSWERS = {"GetConfiguration": {"configurationKey": []}, "TriggerMessage": {"status": "NotImplemented"}}
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
# Seconds. Time to connect, boot and start; time that an answer may still take after the end.
SETUP_TIMEOUT = 120
DRAIN_TIMEOUT = 30
CONNECTING_AT_ONCE = 50


def header(length: int, opcode: int = TEXT) -> bytes:
    """Build the header of a final, masked client frame."""
    if length < 126:
        return bytes((0x80 | opcode, 0x80 | length)) + MASK
    return bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2, "big") + MASK


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    return header(len(payload), opcode) + payload


def percentile(ordered: list[float], share: float) -> float:
    """Pick the smallest value that `share` of all do not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


class Load:
    """What all stations share: the clock and the counters."""

    def __init__(self) -> None:
        self.running = False
        self.measuring = False
        self.acknowledged = 0
        self.latencies = array.array("d")
        self.errors: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}
        self._second = 0
        self._prefix = ""

    def timestamp(self) -> str:
        """Format the current time with milliseconds; the part up to the second is made once a second."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._prefix}.{int((now - second) * 1000):03d}Z"

    def failed(self, kind: str, example: str) -> None:
        self.errors[kind] += 1
        self.examples.setdefault(kind, example[:300])


class LoadStation(asyncio.Protocol):
    """One station: a WebSocket client that knows just enough."""

    def __init__(self, load: Load, host: str, path: str, identity: str, speaks: str, charges: bool) -> None:
        self.load = load
        self.speaks = speaks
        self.identity = identity
        self.charges = charges
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.request = (
            f"GET {path}/{identity} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {speaks}\r\n\r\n"
        ).encode()
        self.buffer = b""
        self.upgraded = False
        self.count = 0
        self.message_id = ""
        self.action = ""
        self.expected = b""
        self.sent_at = 0.0
        self.header = b""
        self.template = ""

    @property
    def is_16(self) -> bool:
        return self.speaks == "ocpp1.6"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"{self.identity}: closed before it was ready: {self.buffer!r}"))
        elif self.load.running:
            self.load.failed("disconnected", repr(error))

    def data_received(self, data: bytes) -> None:
        if data == self.expected:
            self.acknowledge()
            return
        self.buffer += data
        if not self.upgraded:
            self.finish_handshake()
        while (frame := self.next_frame()) is not None:
            self.frame_received(*frame)

    def finish_handshake(self) -> None:
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 ") or self.speaks.encode() not in head:
            self.transport.close()
            return
        self.upgraded = True
        self.buffer = rest
        if self.is_16:
            self.call("BootNotification", {"chargePointVendor": "Bench", "chargePointModel": "Closed Loop"})
        else:
            station = {"vendorName": "Bench", "model": "Closed Loop"}
            self.call("BootNotification", {"reason": "PowerUp", "chargingStation": station})

    def next_frame(self) -> tuple[int, bytes] | None:
        """Take one whole frame, opcode and payload, off the buffer. Servers neither mask nor, for so little, fragment."""
        data = self.buffer
        if not self.upgraded or len(data) < 2:
            return None
        start, length = 2, data[1]
        if length == 126:
            start, length = 4, int.from_bytes(data[2:4], "big")
        elif length == 127:
            start, length = 10, int.from_bytes(data[2:10], "big")
        if len(data) < start + length:
            return None
        self.buffer = data[start + length :]
        return data[0] & 0x0F, data[start : start + length]

    def frame_received(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(masked(payload, PONG))
        elif opcode == CLOSE:
            self.transport.close()
        elif opcode == TEXT:
            self.message_received(json.loads(payload), payload)

    def message_received(self, message: Any, text: bytes) -> None:
        if message[0] == 2:
            self.answer(message)
        elif message[1] != self.message_id:
            self.load.failed("wrong id", text.decode())
        elif message[0] == 4:
            self.call_failed(text.decode())
        elif self.ready.done():
            self.acknowledge()
        else:
            self.set_up(message[2])

    def answer(self, call: Any) -> None:
        known = ANSWERS.get(call[2])
        answer = [4, call[1], "NotImplemented", "", {}] if known is None else [3, call[1], known]
        self.transport.write(masked(json.dumps(answer).encode()))

    def call(self, action: str, payload: dict[str, Any]) -> None:
        self.action, self.message_id = action, f"{action}-1"
        self.transport.write(masked(json.dumps([2, self.message_id, action, payload]).encode()))

    def call_failed(self, text: str) -> None:
        if self.ready.done():
            self.load.failed("CALLERROR", text)
            self.send_next()
        else:
            self.ready.set_exception(ConnectionError(f"{self.identity}: {text}"))

    def set_up(self, answer: dict[str, Any]) -> None:
        """Go on after the answer to BootNotification, or to what started the transaction."""
        if self.action == "BootNotification" and answer["status"] == "Accepted":
            if self.charges:
                self.start()
            else:
                self.ready.set_result(None)
        elif self.action == "StartTransaction" and answer["idTagInfo"]["status"] == "Accepted":
            self.charge(METER_VALUES.replace("{transaction}", str(answer["transactionId"])))
        elif self.action == "TransactionEvent" and answer["idTokenInfo"]["status"] == "Accepted":
            self.charge(TRANSACTION_EVENT.replace("{transaction}", self.identity))
        else:
            self.ready.set_exception(ConnectionError(f"{self.identity}: {self.action} answered {answer}"))

    def start(self) -> None:
        # Not the identity itself, which would say that charging is free.
        tag, now = f"T-{self.identity}", self.load.timestamp()
        if self.is_16:
            self.call("StartTransaction", {"connectorId": 1, "idTag": tag, "meterStart": 0, "timestamp": now})
            return
        started = {
            "eventType": "Started",
            "timestamp": now,
            "triggerReason": "Authorized",
            "seqNo": 0,
            "transactionInfo": {"transactionId": self.identity},
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": tag, "type": "ISO14443"},
        }
        self.call("TransactionEvent", started)

    def charge(self, template: str) -> None:
        self.template = template
        self.header = header(len(self.reading()))
        self.ready.set_result(None)

    def reading(self) -> str:
        """Build the next message: id, time and each value differ from the last ones."""
        count, now = self.count, self.load.timestamp()
        template = self.template
        if not self.is_16:
            template = template.replace("{time}", now).replace("{count}", f"{count:8d}")
        return template % (
            count,
            now,
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


async def connect(options: argparse.Namespace, load: Load) -> list[LoadStation]:
    """Connect all stations, some at a time, and wait until each is ready."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(number: int) -> LoadStation:
        identity = f"{options.prefix}{number:05d}"
        async with gate:
            _, station = await loop.create_connection(
                lambda: LoadStation(
                    load, f"{options.host}:{options.port}", options.path, identity, options.speaks, not options.idle
                ),
                options.host,
                options.port,
            )
            await station.ready
        return station

    async with asyncio.timeout(SETUP_TIMEOUT):
        return await asyncio.gather(*(one(number) for number in range(options.stations)))


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def drain(stations: list[LoadStation]) -> int:
    """Wait until each station has its last answer; return how many never got it."""
    until = time.perf_counter() + DRAIN_TIMEOUT
    while (waiting := sum(bool(station.message_id) for station in stations)) and time.perf_counter() < until:
        await asyncio.sleep(0.05)
    return waiting


async def charge(stations: list[LoadStation], load: Load, warm_up: float, seconds: float) -> dict[str, Any]:
    """Run the closed loop for `warm_up` s unmeasured and `seconds` s measured; return the figures."""
    load.running = True
    for station in stations:
        station.send_next()
    await asyncio.sleep(warm_up)
    say("measuring")
    begin, cpu, load.measuring = time.perf_counter(), cpu_seconds(), True
    await asyncio.sleep(seconds)
    load.measuring = False
    elapsed, cpu = time.perf_counter() - begin, cpu_seconds() - cpu
    say("measured")
    load.running = False
    if unanswered := await drain(stations):
        load.errors["unanswered"] += unanswered
    ordered = sorted(load.latencies)
    return {
        "messages": len(ordered),
        "seconds": elapsed,
        "rate": len(ordered) / elapsed,
        "p50_ms": percentile(ordered, 0.5) * 1000,
        "p99_ms": percentile(ordered, 0.99) * 1000,
        "cpu_us": cpu / max(1, len(ordered)) * 1e6,
        "acknowledged": load.acknowledged,
        "errors": dict(load.errors),
        "examples": load.examples,
    }


async def run(options: argparse.Namespace) -> int:
    """Return the exit code: 1 when anything but correct answers came."""
    load = Load()
    stations = await connect(options, load)
    gc.freeze()
    say("ready", stations=len(stations))
    if options.idle:
        await asyncio.to_thread(sys.stdin.read)
    else:
        say("result", **await charge(stations, load, options.warm_up, options.seconds))
    for station in stations:
        station.transport.close()
    return 1 if load.errors else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/ws/ocpp")
    parser.add_argument("--speaks", default="ocpp1.6", choices=("ocpp1.6", "ocpp2.0.1"), help="WebSocket subprotocol")
    parser.add_argument("--stations", type=int, default=500)
    parser.add_argument("--prefix", default="BENCH-", help="of the identities and id tags, which end in a number")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds that are not measured")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--idle", action="store_true", help="boot, then only stay connected")
    sys.exit(uvloop.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
