"""A station of the load generator: a WebSocket client that knows just enough, as cheap as Python allows.

What it does is a script, a generator: it yields an action and its payload, gets the answer's
payload, and yields the next. Frames are masked with zeros, which saves the generator the work of
masking while the server unmasks as ever. Each answer must be the CALLRESULT with the id of the
station's message.
"""

import array
import asyncio
import base64
import collections
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson

MASK = bytes(4)
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
# What a CSMS may ask of a station; anything else is NotImplemented.
ANSWERS = {
    "ClearCache": {"status": "Accepted"},
    "GetConfiguration": {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}]},
    "TriggerMessage": {"status": "NotImplemented"},
}

Script = Generator[tuple[str, dict[str, Any]], Any, None]


class Refused(Exception):
    """The server answered a CALLERROR, or something that the script cannot go on with."""


def header(length: int, opcode: int = TEXT) -> bytes:
    """Build the header of a final, masked client frame."""
    if length < 126:
        return bytes((0x80 | opcode, 0x80 | length)) + MASK
    return bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2, "big") + MASK


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    return header(len(payload), opcode) + payload


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

    def begin(self) -> None:
        """Forget what was measured so far, and measure from now on."""
        self.latencies, self.measuring = array.array("d"), True


@dataclass(frozen=True)
class Endpoint:
    """Where stations connect, what they speak, and how they prove who they are."""

    host: str
    port: int
    path: str
    speaks: str
    # Of Basic authentication, the same for all; none where it is empty.
    key: str = ""
    # Whether stations leave CALLs unanswered.
    silent: bool = False

    def request(self, identity: str) -> bytes:
        credentials = base64.b64encode(f"{identity}:{self.key}".encode()).decode()
        authorization = f"Authorization: Basic {credentials}\r\n" if self.key else ""
        return (
            f"GET {self.path}/{identity} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
            f"{authorization}Sec-WebSocket-Protocol: {self.speaks}\r\n\r\n"
        ).encode()


class Station(asyncio.Protocol):
    """One station on one connection."""

    def __init__(self, load: Load, endpoint: Endpoint, identity: str) -> None:
        self.load = load
        self.endpoint = endpoint
        self.identity = identity
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.close_code: int | None = None
        self.buffer = b""
        self.upgraded = False
        self.number = 0
        # Of the CALL that waits for its answer, if one does.
        self.message_id = ""
        self.sent_at = 0.0
        self.script: Script | None = None
        self.done: asyncio.Future[None] | None = None

    @property
    def is_16(self) -> bool:
        return self.endpoint.speaks == "ocpp1.6"

    def play(self, script: Script) -> "asyncio.Future[None]":
        """Perform a script; the future ends with it, or with why it could not go on."""
        self.script, self.done = script, asyncio.get_running_loop().create_future()
        self.go_on(None)
        return self.done

    def boots(self) -> Script:
        if self.is_16:
            station = {"chargePointVendor": "Bench", "chargePointModel": "Closed Loop"}
        else:
            kind = {"vendorName": "Bench", "model": "Closed Loop"}
            station = {"reason": "PowerUp", "chargingStation": kind}  # type: ignore[dict-item]
        answer = yield "BootNotification", station
        self.expect(answer["status"] == "Accepted", answer)

    def tells_status(self, status: str = "Available") -> Script:
        now = self.load.timestamp()
        if self.is_16:
            yield (
                "StatusNotification",
                {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": now},
            )
            return
        status = status if status == "Available" else "Occupied"
        yield (
            "StatusNotification",
            {"evseId": 1, "connectorId": 1, "connectorStatus": status, "timestamp": now},
        )

    def expect(self, right: bool, answer: Any) -> None:
        if not right:
            raise Refused(f"{self.identity}: {answer}")

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.endpoint.request(self.identity))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"{self.identity}: {self.buffer[:200]!r} {error or ''}"))
        elif self.done is not None and not self.done.done():
            self.done.set_exception(ConnectionError(f"{self.identity}: closed ({self.close_code}) {error or ''}"))
            # Not everybody waits for it.
            self.done.exception()
        if self.load.running and self.opened.exception() is None:
            self.load.failed("disconnected", f"{self.identity}: {self.close_code} {error!r}")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.upgraded:
            self.finish_handshake()
        while (frame := self.next_frame()) is not None:
            self.frame_received(*frame)

    def finish_handshake(self) -> None:
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 ") or self.endpoint.speaks.encode() not in head:
            self.transport.close()
            return
        self.upgraded = True
        self.buffer = rest
        self.opened.set_result(None)

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
        if opcode == TEXT:
            self.message_received(orjson.loads(payload), payload)
        elif opcode == PING:
            self.transport.write(masked(payload, PONG))
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")
            self.transport.close()

    def message_received(self, message: Any, text: bytes) -> None:
        if message[0] == 2:
            self.answer(message)
        elif message[1] != self.message_id:
            self.load.failed("wrong id", text.decode())
        elif message[0] == 4:
            self.call_failed(text.decode())
        else:
            self.answered(message[2])

    def answer(self, call: Any) -> None:
        if self.endpoint.silent:
            return
        known = ANSWERS.get(call[2])
        answer = [4, call[1], "NotImplemented", "", {}] if known is None else [3, call[1], known]
        self.transport.write(masked(orjson.dumps(answer)))

    def call(self, action: str, payload: dict[str, Any]) -> None:
        self.number += 1
        self.message_id = f"{self.number:08x}"
        self.sent_at = time.perf_counter()
        self.transport.write(masked(orjson.dumps([2, self.message_id, action, payload])))

    def answered(self, payload: Any) -> None:
        if self.load.measuring:
            self.load.latencies.append(time.perf_counter() - self.sent_at)
        self.go_on(payload)

    def call_failed(self, text: str) -> None:
        self.load.failed("CALLERROR", text)
        self.finish(Refused(f"{self.identity}: {text}"))

    def go_on(self, answer: Any) -> None:
        """Let the script take an answer, and send what comes next."""
        assert self.script is not None
        self.message_id = ""
        try:
            step = self.script.send(answer)
        except StopIteration:
            self.finish(None)
        except Refused as error:
            self.load.failed("refused", str(error))
            self.finish(error)
        else:
            self.call(*step)

    def finish(self, error: Exception | None) -> None:
        assert self.done is not None
        self.message_id = ""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
            self.done.exception()


def now() -> str:
    """Format the current time with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
