"""One station's connection: the lane its messages come in by, and the lane our calls go out by.

The receive lane serves one frame after the other, in order. The call lane sends one CALL at a
time and waits for its answer (OCPP-J 1.6 section 4.1.1); it exists only while there is something
to send. Neither waits for the other: a station that answers nothing is still served.
"""

import asyncio
import logging
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, Protocol
from uuid import UUID, uuid4

import orjson
from django.conf import settings
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request

from chargers.choices import LimitationKind, RegistrationStatus
from chargers.errors import NotAuthenticated
from chargers.secrets import holds_secret, masked, without_secrets
from chargers.services import limitations, stations
from chargers.values import (
    Booted,
    ClientCertificate,
    DeviationNote,
    Facts,
    LimitationReport,
    StationProfile,
    StatusReport,
)
from csms import metrics, repairs, rpc, tls
from csms.census import Census
from csms.conversation import Conversation, End
from csms.errors import ErrorCode, IntakeUnavailable, RpcError
from csms.intake import Intake, Work
from csms.large import LARGE, Large
from csms.outside import Outside
from csms.pace import COUNT_SHIFT, COUNTED_AT_ONCE, Pace
from csms.repairs import Note
from csms.unanswered import OWN, Unanswered
from csms.versions.base import CallFailed, Context, Handler, Payload, Step, Version, limitation
from tasks import commands, logcontext, schemas
from tasks.actions import BY_NAME
from tasks.models import Command, CommandStatus
from tasks.proxies import Origin

logger = logging.getLogger(__name__)

# What a station is asked for when it does not tell it.
GREETED = ("BootNotification", "StatusNotification")
# What makes a station send a message, in which it may not be disturbed while it is Pending.
TRIGGERS = frozenset({"ExtendedTriggerMessage", "TriggerMessage"})
# The error codes of a station that does not know an action, or never does it.
UNABLE = frozenset({ErrorCode.NOT_IMPLEMENTED.value, ErrorCode.NOT_SUPPORTED.value})
CONTROL = frozenset({Opcode.PING, Opcode.PONG})
# What may hold a message, or a part of it, besides a frame of text.
DATA = frozenset({Opcode.BINARY, Opcode.CONT})
# Calls whose time was over and whose answer is still worth something when it comes (FR-10).
MAX_LATE = 20
# How many frames of a connection that nobody can serve are logged one by one; all of them are counted.
MOST_LOGGED = 10
# Stands for the request of a station that is served: without any, a connection waits for one.
SERVED = Request("/", Headers())


class StationSocket(ServerConnection):
    """A WebSocket that remembers when its peer last gave a sign of life, and is counted while it is open."""

    def __init__(self, *args: Any, census: Census, unanswered: Unanswered, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last_frame_at = self.loop.time()
        self.answers_pings = False
        self._census = census
        self._unanswered = unanswered
        # Bytes of frames that nobody has served yet, and what the node counts of them and of the next one.
        self._unserved = 0
        self.beyond = 0
        self.beyond_since = 0.0
        # Why nothing is read: the node holds enough, or enough frames of this one wait.
        self.held_back = False
        self._full = False
        # Whether somebody serves what has come, be the connection open or not.
        self.in_service = False
        # What the census counts it for; nothing while it is not open.
        self.client: str | None = None
        # Of the frames that no lane takes; set once it is known whose they are.
        self.control_pace: Pace | None = None
        self.on_flood: Callable[[StationSocket], None] | None = None
        # What the handshake found out, for the handler.
        self.profile: StationProfile | None = None
        self.version: Version | None = None
        self.origin = Origin(None, secure=False)
        self.chosen_subprotocol = ""

    @property
    def peer(self) -> str | None:
        """The address at the other end of the connection, be it the station's or a proxy's."""
        address = self.remote_address
        return str(address[0]) if isinstance(address, tuple) and address else None

    @property
    def tls(self) -> bool:
        """Whether the connection itself has TLS, behind a proxy or not."""
        return self.transport.get_extra_info("ssl_object") is not None

    @property
    def certificate(self) -> ClientCertificate | None:
        """The certificate that was shown on this connection and verified."""
        return tls.client_certificate(self.transport)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.recv_messages.pause, self.recv_messages.resume = self._pause, self._resume
        peer = self.peer or ""
        self.client = self._census.enter(peer)
        if self._census.is_flooded(self.client, peer):
            metrics.HANDSHAKES.labels("no room to answer").inc()
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            self._census.leave(self.client)
            self.client = None
        super().connection_lost(exc)
        if not self.in_service:
            self._unanswered.forget(self, self.loop.time())

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        held = self._unserved + len(self.protocol.reader.buffer)
        if held > OWN or self.beyond:
            self._unanswered.count(self, held, self.loop.time())

    def served(self, size: int) -> None:
        """Hold a message of so many bytes no longer."""
        self._unserved -= size
        if self.beyond:
            self._unanswered.count(self, self._unserved + len(self.protocol.reader.buffer), self.loop.time())

    def end_service(self) -> None:
        """Hold nothing any more: whoever served it has ended."""
        self.in_service = False
        self._unanswered.forget(self, self.loop.time())

    def hold_back(self) -> None:
        """Leave unread what comes from now on."""
        self.held_back = True
        self.transport.pause_reading()

    def go_on(self) -> None:
        """Read again; it could not give a sign of life meanwhile."""
        self.held_back = False
        self.last_frame_at = self.loop.time()
        if not self._full:
            self.transport.resume_reading()

    def _pause(self) -> None:
        self._full = True
        self.transport.pause_reading()

    def _resume(self) -> None:
        self._full = False
        if not self.held_back:
            self.transport.resume_reading()

    def give_up(self) -> None:
        """Close a connection that holds on to what leaves no room for others, without waiting for its station."""
        whose = self.profile.chargepoint_id if self.profile is not None else self.peer
        logger.warning("%s has long sent nothing that is complete, and others wait for its room: closing", whose)
        self.protocol.fail(CloseCode.TRY_AGAIN_LATER, "a message took too long")
        self.send_data()
        self.transport.close()

    def count_for(self, address: str | None) -> str:
        """Count it for the client behind a proxy, and return what it counts for."""
        if self.client is None:
            # Closed meanwhile.
            return ""
        self.client = self._census.move(self.client, address or "")
        return self.client

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Count connections that come without a request or with a broken one; nothing else is to be done (TR-13)."""
        try:
            await super().handshake(*args, **kwargs)
        finally:
            if self.request is None:
                metrics.HANDSHAKES.labels("no request").inc()

    def forget_handshake(self) -> None:
        """Give back the memory of the request and the response, which nobody reads any more."""
        self.request, self.response = SERVED, None

    async def send_ping(self) -> None:
        """Send a ping; `ping` would keep every one that a station leaves unanswered."""
        async with self.send_context():
            self.protocol.send_ping(b"ping")

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame):
            self.last_frame_at = self.loop.time()
            if event.opcode is Opcode.TEXT:
                self._unserved += len(event.data)
            else:
                self._take_other(event)
        super().process_event(event)

    def _take_other(self, frame: Frame) -> None:
        """Look at a frame that is no text; pings and the like are answered at once, however many come."""
        if frame.opcode in DATA:
            self._unserved += len(frame.data)
        elif frame.opcode is Opcode.PONG:
            self.answers_pings = True
        if (
            frame.opcode in CONTROL
            and self.control_pace is not None
            and self.control_pace.take(1, self.last_frame_at) > self.last_frame_at
            and self.on_flood is not None
        ):
            # From here on nothing of it is read any more.
            self.protocol.fail(CloseCode.POLICY_VIOLATION, "too many pings")
            self.send_data()
            self.on_flood(self)
            self.on_flood = None


class Node(Protocol):
    """What a connection needs of the server it belongs to."""

    intake: Intake
    reader: Intake
    outside: Outside
    large: Large
    pace: Pace | None

    def note_slowed(self, station: str, *, alone: bool) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...

    def count_deviation(self, station: str, note: Note) -> None: ...

    async def tell_ended(self, command_id: UUID, status: str) -> None: ...


class Waiting(NamedTuple):
    """The CALL that a station has not answered yet."""

    message_id: str
    answer: "asyncio.Future[rpc.CallResult | rpc.CallError]"


class Late(NamedTuple):
    """A CALL whose time was over, and the command it belongs to."""

    command: Command
    step: Step


class Answer(NamedTuple):
    """What a station is sent for its CALL, and what comes behind that: CALLs of ours, or the end of the connection."""

    frame: bytes
    following: Sequence[Step] = ()
    foreign: bool = False


class Replay(NamedTuple):
    """The last message of its action that was recorded, and its answer, should the station send it again."""

    id: rpc.MessageId
    frame_hash: int
    answer: bytes


class Connection:
    """A station that is connected, from its handshake to its last frame."""

    __slots__ = (
        "_bad_frames",
        "_busy",
        "_calls",
        "_ended",
        "_lane",
        "_late",
        "_node",
        "_noted",
        "_recalled",
        "_replays",
        "_slow",
        "_socket",
        "_strict",
        "_told",
        "_trace",
        "_triggered",
        "_waiting",
        "draining",
        "id",
        "opened_at",
        "pace",
        "profile",
        "registered",
        "registration",
        "slowed",
        "version",
    )

    def __init__(
        self, socket: StationSocket, node: Node, profile: StationProfile, version: Version, pace: Pace | None = None
    ) -> None:
        self.id = uuid4()
        # None where no station is slowed.
        self.pace = pace
        # Whether nothing is read now, as its messages come too fast.
        self.slowed = False
        self.profile = profile
        self.version = version
        # A station known from before need not boot first (BO-03).
        self.registration = profile.registration_status
        self.opened_at = socket.loop.time()
        # Whether the database knows this connection as the station's own.
        self.registered = False
        # Which of GREETED the station has told by itself.
        self._told: frozenset[str] = frozenset()
        self.draining = False
        self._socket = socket
        self._node = node
        self._busy = False
        # Whether nothing can be sent any more.
        self._ended = False
        # How many frames nobody could serve.
        self._bad_frames = 0
        # Asked for each frame: settings and loggers answer slowly.
        self._strict = settings.OCPP_VALIDATION == "strict"
        self._trace = logger.isEnabledFor(logging.DEBUG)
        self._lane: asyncio.Task[None] | None = None
        self._waiting: Waiting | None = None
        # The CALL that is served beside the lane.
        self._slow: asyncio.Task[None] | None = None
        # Made when first needed: most of ten thousand idle stations never do.
        self._calls: deque[Command] | None = None
        self._late: OrderedDict[str, Late] | None = None
        self._noted: set[str] | None = None
        # The actions that the station was asked for, each with the name it was asked by until it comes.
        self._triggered: dict[str, str] | None = None
        self._replays: dict[str, Replay] | None = None
        # The messages that the station was asked for on an earlier connection, while it is not accepted.
        self._recalled: frozenset[str] = frozenset()

    @property
    def station(self) -> str:
        return self.profile.chargepoint_id

    @property
    def address(self) -> str | None:
        """The address the station connects from."""
        return self._socket.origin.address

    @property
    def last_frame_at(self) -> float:
        return self._socket.last_frame_at

    @property
    def unread(self) -> bool:
        """Whether nothing is read of it now, so that its silence says nothing."""
        return self.slowed or self._socket.held_back

    @property
    def answers_pings(self) -> bool:
        return self._socket.answers_pings

    async def run(self) -> None:
        """Serve the station until its connection ends or drains."""
        limited = self.pace is not None or self._node.pace is not None
        # Counted a few at a time, so that a message costs no look at the clock.
        left = COUNTED_AT_ONCE if limited else math.inf
        try:
            if self.registration != RegistrationStatus.ACCEPTED:
                await self._recall()
            while not self.draining:
                raw = await self._socket.recv(decode=False)
                self._busy = True
                await self._receive(raw)
                self._socket.served(len(raw))
                self._busy = False
                left -= 1 + (len(raw) >> COUNT_SHIFT)
                # It may be large, and the next one may take hours to come.
                del raw
                if left <= 0:
                    await self._count(COUNTED_AT_ONCE - int(left))
                    left = COUNTED_AT_ONCE
        except ConnectionClosed:
            pass
        finally:
            self._busy = False
            await self._end_calls()
        if self.draining:
            await self._socket.close(CloseCode.SERVICE_RESTART, "the server restarts")

    async def _recall(self) -> None:
        """Go on expecting what a station that is not accepted was asked for on an earlier connection (B01.FR.10)."""
        since = datetime.now(UTC) - timedelta(seconds=settings.OCPP_REPORT_TIMEOUT)
        try:
            (asked,) = await self._node.reader.submit(
                (commands.awaited, commands.Awaiting(self.station, TRIGGERS, since))
            )
        except IntakeUnavailable:
            return
        told: set[str] = set()
        for action, payload in asked:
            if action in TRIGGERS:
                told.update(self.version.triggered_by(payload["requestedMessage"]))
            elif message := self.version.reported.get(action):
                told.add(message)
        self._recalled = frozenset(told)

    async def _count(self, messages: int) -> None:
        """Count messages that have been served; where they are too many, read nothing until there is room again."""
        loop = self._socket.loop
        now = loop.time()
        own = self.pace.take(messages, now) if self.pace is not None else now
        until = max(own, self._node.pace.take(messages, now) if self._node.pace is not None else now)
        if until <= now:
            return
        self._node.note_slowed(self.station, alone=own > now)
        self.slowed = True
        try:
            async with asyncio.timeout_at(until):
                await self._socket.wait_closed()
        except TimeoutError:
            # It could not give a sign of life meanwhile.
            self._socket.last_frame_at = loop.time()
        finally:
            self.slowed = False

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)

    async def drain(self) -> None:
        """Finish what is being served, then close with 1012; the station comes back by itself."""
        self.draining = True
        if self._slow is not None and not self._slow.done():
            await asyncio.wait([self._slow])
        if not self._busy:
            await self._socket.close(CloseCode.SERVICE_RESTART, "the server restarts")

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(settings.OCPP_SEND_TIMEOUT):
                await self._socket.send_ping()
        except TimeoutError:
            # It may send all the same, and what it is answered would fill the memory.
            logger.warning("%s reads nothing, closing", self.station)
            self._socket.transport.abort()
        except ConnectionClosed:
            # The receive lane ends by itself.
            return

    async def _send(self, frame: bytes) -> None:
        if self._trace:
            logger.debug("%s < %s", self.station, _shown(frame))
        if not self._socket.transport.get_write_buffer_size():
            # A station that reads costs no wait and no timer.
            broadcast((self._socket,), frame, text=True)
            return
        try:
            async with asyncio.timeout(settings.OCPP_SEND_TIMEOUT):
                await self._socket.send(frame, text=True)
        except TimeoutError:
            # A station that reads nothing would hold its lane for ever.
            logger.warning("%s reads nothing, closing", self.station)
            self._socket.transport.abort()

    # The receive lane.

    def _count_bad(self) -> bool:
        """Count a frame that nobody can serve; say whether it is logged."""
        self._bad_frames += 1
        if self._bad_frames == MOST_LOGGED + 1:
            logger.warning("%s sends more frames that cannot be served; they are counted, and not logged", self.station)
        return self._bad_frames <= MOST_LOGGED

    async def _receive(self, raw: bytes) -> None:
        """Serve a message; a large one in its turn, which ends before its station is answered: that may read slowly."""
        if self._trace:
            logger.debug("%s > %s", self.station, _shown(raw))
        try:
            if len(raw) <= LARGE:
                answer = await self._serve_frame(raw)
            else:
                async with self._node.large.turn(len(raw)):
                    answer = await self._serve_frame(raw)
            if answer is not None:
                await self._give(answer)
        finally:
            logcontext.request_id.set(None)

    async def _serve_frame(self, raw: bytes) -> Answer | None:
        """Read a frame and serve it; return its answer where the lane is to send one."""
        large = len(raw) > LARGE
        try:
            frame, deviations = await self._node.large.read(partial(self._parse, raw)) if large else self._parse(raw)
        except rpc.Malformed as error:
            return self._refuse_malformed(error, raw)
        notes = [Note(deviation, _excerpt(raw)) for deviation in deviations]
        if not isinstance(frame, rpc.Call):
            self._take_answer(frame._replace(size=len(raw)) if large else frame, notes)
            return None
        logcontext.request_id.set(frame.id)
        if not large and self._consults(frame):
            await self._serve_beside(frame, raw, notes)
            return None
        return await self._serve(frame, raw, notes)

    def _parse(self, raw: bytes) -> rpc.Parsed:
        return rpc.parse(raw, strict=self._strict, repair=settings.OCPP_REPAIR_JSON)

    def _consults(self, call: rpc.Call) -> bool:
        handler = self.version.handlers.get(call.action)
        return handler is not None and handler.consults is not None and handler.consults.wanted(call.payload)

    async def _serve_beside(self, call: rpc.Call, raw: bytes, notes: list[Note]) -> None:
        """Serve a CALL that may take long beside the lane, so that answers to our own calls get through; one at a time."""
        if self._slow is not None and not self._slow.done():
            await asyncio.wait([self._slow])
        self._slow = self._node.spawn(self._serve_slowly(call, raw, notes))

    async def _serve_slowly(self, call: rpc.Call, raw: bytes, notes: list[Note]) -> None:
        await self._give(await self._serve(call, raw, notes))

    async def _give(self, answer: Answer) -> None:
        """Send an answer, and do what comes behind it."""
        await self._send(answer.frame)
        if answer.foreign:
            # B01.FR.12.
            await self.close(CloseCode.POLICY_VIOLATION, "the certificate is of another serial number")
        for step in answer.following:
            self._node.spawn(self._ask(step))

    def _refuse_malformed(self, error: rpc.Malformed, raw: bytes) -> Answer | None:
        """Answer what cannot be understood, as far as the version wants that; an answer never gets an answer."""
        metrics.MALFORMED.inc()
        if self._count_bad():
            logger.warning(
                "%s sent a frame that cannot be understood: %s: %s", self.station, error.reason, _excerpt(raw)
            )
        self._note([Note("malformed-frame", f"{error.reason}: {_excerpt(raw)}")])
        code = self.version.spell(error.code)
        if error.is_answer:
            if error.message_id is not None:
                self._take_answer(rpc.CallError(error.message_id, code, "the answer cannot be read", {}), [])
        elif self.version.answers_unreadable or (error.message_type == rpc.CALL and error.message_id is not None):
            message_id = rpc.NO_ID if error.message_id is None else error.message_id
            return Answer(rpc.encode_error(message_id, code, error.reason))
        return None

    async def _serve(self, call: rpc.Call, raw: bytes, notes: list[Note]) -> Answer:
        replay = self._replays.get(call.action) if self._replays else None
        if replay is not None and replay.id == call.id and replay.frame_hash == hash(raw):
            self._note([Note("message-repeated", f"{call.action} {call.id}")])
            return Answer(replay.answer)
        action, result = call.action, "answered"
        following: Sequence[Step] = ()
        foreign = False
        try:
            action, handler = self._handler(call, notes)
            payload, following = await self._handle(action, handler, call.payload, raw, notes)
            answer = rpc.encode_result(call.id, payload)
            if handler.records:
                self._remember(action, Replay(call.id, hash(raw), answer))
        except RpcError as error:
            result = error.code.value
            if error.code != ErrorCode.SECURITY_ERROR:
                self._note([*notes, Note("message-refused", f"{action[:100]}: {error}")])
            if self._count_bad():
                logger.info("%s: %s refused, %s", self.station, call.action[:50], error)
            answer = rpc.encode_error(call.id, self.version.spell(error.code), error.description)
        except NotAuthenticated as error:
            foreign, result = True, ErrorCode.SECURITY_ERROR.value
            logger.warning("%s from %s is closed: %s", self.station, self.address, error.reason)
            answer = rpc.encode_error(call.id, self.version.spell(ErrorCode.SECURITY_ERROR), error.reason)
        except IntakeUnavailable:
            result = ErrorCode.INTERNAL_ERROR.value
            answer = rpc.encode_error(call.id, ErrorCode.INTERNAL_ERROR, "the platform cannot store this now")
        except Exception:
            result = ErrorCode.INTERNAL_ERROR.value
            logger.exception("%s: %s could not be served", self.station, action)
            answer = rpc.encode_error(call.id, ErrorCode.INTERNAL_ERROR, "an internal error occurred")
        metrics.messages(action if action in self.version.handlers else "other", result).inc()
        return Answer(answer, following, foreign)

    def _remember(self, action: str, replay: Replay) -> None:
        if self._replays is None:
            self._replays = {}
        self._replays[action] = replay

    def _handler(self, call: rpc.Call, notes: list[Note]) -> tuple[str, Handler]:
        """Find who serves a CALL. Raises RpcError when nobody does, or when the station may not send it yet."""
        action = call.action
        handler = self.version.handlers.get(action)
        if handler is None:
            action, handler = self._handler_in_other_case(action, notes)
        if (
            self.registration != RegistrationStatus.ACCEPTED
            and action not in self.version.before_accepted
            and not (self._triggered and action in self._triggered)
            and action not in self._recalled
        ):
            raise RpcError(
                ErrorCode.SECURITY_ERROR, f"{action} is not allowed while the station is {self.registration}"
            )
        return action, handler

    def _handler_in_other_case(self, action: str, notes: list[Note]) -> tuple[str, Handler]:
        if not self._strict:
            folded = action.strip().casefold()
            for name, handler in self.version.handlers.items():
                if name.casefold() == folded:
                    notes.append(Note("action-in-other-case", action))
                    return name, handler
        if action in schemas.actions(self.version.name):
            raise RpcError(ErrorCode.NOT_SUPPORTED, f"{action} is not supported")
        raise RpcError(ErrorCode.NOT_IMPLEMENTED, f"{action[:100]} is not known")

    async def _handle(
        self, action: str, handler: Handler, payload: Payload, raw: bytes, notes: list[Note]
    ) -> tuple[Payload, Sequence[Step]]:
        """Serve a CALL in three steps: read, store, answer; return also what is asked next. Raises RpcError."""
        # What had to be read leniently, and escapes below U+0100, may hide control characters; DEL needs no escape.
        suspect = bool(notes) or b"\\u00" in raw or b"\x7f" in raw
        context, large = self._context(action, notes), len(raw) > LARGE

        def read() -> tuple[Payload, Any]:
            checked = self._checked(payload, action, "Request", handler.optional, suspect, notes)
            return checked, handler.read(checked, context)

        payload, value = await self._node.large.read(read) if large else read()
        work: list[Work] = [(handler.service, value)] if handler.service else []
        if self._triggered and (asked := self._triggered.get(action)):
            work.append((limitations.record, self._doubt(asked, "")))
            # Once is enough; the message may come at any time from now on.
            self._triggered[action] = ""
        work += self._note_now(notes)
        if handler.consults is not None and handler.consults.wanted(payload):
            # What may be asked is never large: nobody's turn lasts until a stranger answers.
            told = None if large else await self._node.outside.ask(handler.consults.ask, value)
            context.consulted, context.told = True, told
        results = await self._node.intake.submit(*work) if work else []
        result = results[0] if handler.service else None
        if isinstance(result, Booted):
            self.registration = result.registration
        # The status of the station as a whole tells nothing of its connectors (BO-14).
        if action in GREETED and not (isinstance(value, StatusReport) and not value.evse_id):
            self._told |= {action}
        answer = handler.answer(result, context)
        if errors := list(schemas.validator(self.version.name, action, "Response").iter_errors(answer)):
            raise AssertionError(f"our answer to {action} violates its schema: {errors[0].message}")
        return answer, handler.then(result, context) if handler.then else ()

    def _checked(
        self, payload: Any, action: str, kind: schemas.Kind, optional: Any, suspect: bool, notes: list[Note]
    ) -> Payload:
        """Check a payload against its schema and mend what is clear. Raises RpcError.

        `suspect` says that it may hold what a schema allows and no database takes.
        """
        validator = schemas.validator(self.version.name, action, kind)
        if not suspect and validator.is_valid(payload):
            valid: Payload = payload
            return valid
        if self._strict:
            repairs.check(payload, validator)
        mended, found = repairs.mend(payload, schemas.schema(self.version.name, action, kind), optional)
        notes += found
        return mended

    def _context(self, action: str, notes: list[Note]) -> Context:
        triggered = self._triggered is not None and action in self._triggered
        return Context(
            self.station,
            self.version.name,
            datetime.now(UTC),
            self.profile.time_zone,
            triggered,
            notes,
            certificate=self.profile.certificate,
            address=self.address,
        )

    # Deviations.

    def _note_now(self, notes: list[Note]) -> list[Work]:
        """Return the work that stores the deviations that are new on this connection; count the others."""
        if not notes:
            return []
        if self._noted is None:
            self._noted = set()
        work: list[Work] = []
        now = datetime.now(UTC)
        for note in notes:
            metrics.DEVIATIONS.labels(note.kind).inc()
            if note.kind in self._noted:
                self._node.count_deviation(self.station, note)
            else:
                self._noted.add(note.kind)
                example = repairs.clean(note.example)
                work.append((stations.note_deviations, DeviationNote(self.station, note.kind, example, now)))
        return work

    def _note(self, notes: list[Note]) -> None:
        """Store deviations that no message of the station carries along."""
        if work := self._note_now(notes):
            self._node.spawn(self._store_quietly(work))

    async def _store_quietly(self, work: list[Work]) -> None:
        try:
            await self._node.intake.submit(*work)
        except IntakeUnavailable:
            logger.warning("%s: deviations were not stored", self.station)

    # The call lane.

    def enqueue(self, command: Command) -> bool:
        """Queue a command behind the others; False when too many wait already.

        One that comes when the connection has ended ends like those that waited then.
        """
        if self._ended:
            self._node.spawn(self._end_offline(command))
            return True
        if self._calls is None:
            self._calls = deque()
        if len(self._calls) >= settings.OCPP_MAX_QUEUED_CALLS:
            return False
        self._calls.append(command)
        if self._lane is None:
            self._lane = asyncio.create_task(self._work_off())
        return True

    async def _work_off(self) -> None:
        # Whoever queued the first command started the lane.
        logcontext.chargepoint_id.set(self.station)
        try:
            while self._calls:
                command = self._calls.popleft()
                logcontext.command_id.set(command.pk)
                logcontext.request_id.set(None)
                try:
                    await self._perform(command)
                except (IntakeUnavailable, ConnectionClosed) as error:
                    # The sweep ends it: its row cannot be written, or the connection is gone.
                    logger.warning("%s: %s was not completed: %s", self.station, command.action, error)
                except Exception:
                    # The calls behind it must not wait for ever.
                    logger.exception("%s: %s failed", self.station, command.action)
        finally:
            self._lane = None
            if not self._calls:
                self._calls = None

    async def _perform(self, command: Command) -> None:
        """Send what a command takes, one CALL after the other, and store how it ended."""
        conversation = Conversation(command)
        storing: asyncio.Task[None] | None = None
        try:
            if not await self._begin(conversation):
                return
            while conversation.end is None:
                answer = await self._exchange(conversation)
                # Beside the lane: the connection may end any moment, and the lane with it.
                storing = self._node.spawn(self._store_answer(conversation, answer))
                await asyncio.shield(storing)
        except (asyncio.CancelledError, ConnectionClosed):
            self._node.spawn(self._abandon(conversation, storing))
            raise

    async def _begin(self, conversation: Conversation) -> bool:
        """Mark a command as sent, and let its script begin; False when nobody wants it any more."""
        command = conversation.command
        sending = commands.Sending(command.pk, datetime.now(UTC), settings.OCPP_TIMEOUT)
        script = self.version.scripts.get(command.action)
        work: list[Work] = [(commands.mark_sent, sending)]
        if script is not None:
            work.append((limitations.facts, self.station))
        still_wanted, *facts = await self._node.intake.submit(*work)
        if still_wanted and script is not None:
            conversation.begin(script, facts[0])
            await self._look_up(conversation, [])
        return bool(still_wanted)

    async def _look_up(self, conversation: Conversation, work: list[Work]) -> list[Work]:
        """Answer what a script wants to know, storing `work` before it goes on; return what is left to store."""
        while conversation.question is not None:
            if work:
                await self._node.intake.submit(*work)
            (result,) = await self._node.reader.submit(conversation.question)
            conversation.learn(result)
            work = self._learnt(conversation, datetime.now(UTC))
        return work

    async def _exchange(self, conversation: Conversation) -> rpc.CallResult | rpc.CallError | CallFailed:
        """Send the CALL whose turn it is and wait for its answer."""
        action, payload = conversation.step
        logcontext.request_id.set(conversation.message_id)
        waiting = Waiting(conversation.message_id, asyncio.get_running_loop().create_future())
        self._waiting = waiting
        try:
            if action in TRIGGERS:
                self._expect_triggered(payload["requestedMessage"])
            elif message := self.version.reported.get(action):
                self._expect_reported(message)
            await self._send(rpc.encode_call(waiting.message_id, action, payload))
            async with asyncio.timeout(settings.OCPP_TIMEOUT):
                return await waiting.answer
        except TimeoutError:
            self._remember_late(waiting.message_id, Late(conversation.command, conversation.step))
            self._note([Note("call-unanswered", action)])
            return CallFailed(CommandStatus.TIMEOUT, _error(CommandStatus.TIMEOUT, "no answer in time"))
        except asyncio.CancelledError:
            if waiting.answer.done() and not waiting.answer.cancelled():
                conversation.arrived = waiting.answer.result()
            raise
        finally:
            # From here on an answer is late, however long storing this end takes.
            self._waiting = None

    async def _abandon(self, conversation: Conversation, storing: asyncio.Task[None] | None) -> None:
        """End a command whose connection is gone, with the answer that had just come if there was one."""
        if storing is not None and not storing.done():
            await asyncio.wait([storing])
        if conversation.arrived is not None:
            await self._store_answer(conversation, conversation.arrived)
        if conversation.end is None:
            await self._end_offline(conversation.command)

    def _remember_late(self, message_id: str, late: Late) -> None:
        if self._late is None:
            self._late = OrderedDict()
        self._late[message_id] = late
        while len(self._late) > MAX_LATE:
            self._late.popitem(last=False)

    def _take_answer(self, answer: rpc.CallResult | rpc.CallError, notes: list[Note]) -> None:
        """Give an answer to the call that waits for it; a late one is still stored, an unknown one logged."""
        waiting = self._waiting
        if waiting is not None and answer.id == waiting.message_id:
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
        elif self._late and (late := self._late.pop(str(answer.id), None)):
            metrics.UNMATCHED.labels("late").inc()
            notes.append(Note("late-answer", f"{late.step.action} {answer.id}"))
            self._node.spawn(self._store_late(late, answer))
        else:
            metrics.UNMATCHED.labels("unknown").inc()
            notes.append(Note("answer-to-nobody", f"{type(answer).__name__} {rpc.excerpt(answer.id, 100)}"))
            if self._count_bad():
                logger.info("%s answers a call nobody made, %r", self.station, rpc.excerpt(answer.id, 100))
        self._note(notes)

    async def _store_answer(
        self, conversation: Conversation, answer: rpc.CallResult | rpc.CallError | CallFailed
    ) -> None:
        """Store an answer together with what it changes; the command goes on, or has ended."""
        command, step = conversation.command, conversation.step
        result, work = await self._understood(command, step, answer)
        conversation.arrived = None
        conversation.go_on(result)
        now = datetime.now(UTC)
        work = await self._look_up(conversation, [*work, *self._learnt(conversation, now)])
        end = conversation.end
        if end is None:
            prolonged = commands.Sending(command.pk, now, settings.OCPP_TIMEOUT)
            (still_open, *_) = await self._node.intake.submit((commands.prolong, prolonged), *work)
            if not still_open:
                conversation.end = End(CommandStatus.TIMEOUT)
            return
        # One CALL that was as asked for tells nothing that the command does not.
        as_asked = len(conversation.calls) == 1 and conversation.calls[0]["payload"] == command.payload
        calls = () if as_asked else conversation.calls
        outcome = commands.Outcome(command.pk, end.status, now, end.response, end.error, calls)
        await self._finish(command, outcome, work)

    async def _store_late(self, late: Late, answer: rpc.CallResult | rpc.CallError) -> None:
        """Keep an answer that came too late, and believe what it tells."""
        logcontext.command_id.set(late.command.pk)
        logcontext.request_id.set(answer.id)
        result, work = await self._understood(late.command, late.step, answer, late=True)
        now = datetime.now(UTC)
        if isinstance(result, CallFailed):
            outcome = commands.Outcome(late.command.pk, result.status, now, result.response, result.error)
        else:
            outcome = commands.Outcome(late.command.pk, CommandStatus.ANSWERED, now, result)
        await self._finish(late.command, outcome, work)

    async def _understood(
        self, command: Command, step: Step, answer: rpc.CallResult | rpc.CallError | CallFailed, *, late: bool = False
    ) -> tuple[Payload | CallFailed, list[Work]]:
        """Read an answer: what it says, or why it is none, and the work that follows from it."""
        if isinstance(answer, CallFailed):
            return answer, []
        context = self._context(step.action, [])
        context.command_id, context.late = command.pk, late
        if answer.size:
            async with self._node.large.turn(answer.size):
                result, work = await self._node.large.read(partial(self._read_answer, step, answer, context))
        else:
            result, work = self._read_answer(step, answer, context)
        return result, [*work, *self._note_now(context.notes)]

    def _read_answer(
        self, step: Step, answer: rpc.CallResult | rpc.CallError, context: Context
    ) -> tuple[Payload | CallFailed, list[Work]]:
        if isinstance(answer, rpc.CallError):
            error = repairs.clean_json(
                {"code": answer.code, "description": answer.description, "details": answer.details}
            )
            work = [self._unable(context, step.action, error)] if answer.code in UNABLE else []
            return CallFailed(CommandStatus.ERROR, error), work
        try:
            payload = self._checked_answer(step.action, answer.payload, context.notes)
        except RpcError as error:
            reason = repairs.clean(_discreet(error.description, answer.payload))
            failure = _error(self.version.spell(error.code), f"the station's answer is not valid: {reason}")
            return CallFailed(CommandStatus.ERROR, failure, repairs.clean_json(answer.payload)), []
        able = limitation(context, LimitationKind.ACTION, step.action)
        return payload, [*self._effects(step, payload, context), able]

    def _unable(self, context: Context, action: str, error: Payload) -> Work:
        reason = f"{error['code']} {error['description']}"
        return limitation(context, LimitationKind.ACTION, action, reason, certain=True)

    def _learnt(self, conversation: Conversation, now: datetime) -> list[Work]:
        """Return the work that keeps what a script has learnt since the last answer."""
        learnt, conversation.talk.learnt = conversation.talk.learnt, []
        return [
            (limitations.record, LimitationReport(self.station, kind, subject, reason, now, certain))
            for kind, subject, reason, certain in learnt
        ]

    def _effects(self, step: Step, payload: Payload, context: Context) -> list[Work]:
        effect = self.version.effects.get(step.action)
        try:
            return list(effect(step.payload, payload, context)) if effect else []
        except RpcError as error:
            # What its schema allows, and nobody can keep: a number out of range.
            context.note("unreadable-member", f"{step.action}: {error.description}")
            return []
        except Exception:
            logger.exception("%s: what the answer to %s changes is not known", self.station, step.action)
            return []

    def _checked_answer(self, action: str, payload: Payload, notes: list[Note]) -> Payload:
        # An answer's text is gone by now; a walk over it costs little, as answers are rare.
        found: list[Note] = []
        checked = self._checked(payload, action, "Response", self.version.dispensable.get(action, ()), True, found)
        notes += [note._replace(example=_discreet(note.example, payload)) for note in found]
        return checked

    def _expect_triggered(self, message: str) -> None:
        """Serve a message the station was told to send even before it is accepted (section 4.2).

        It may come right behind the answer, or before it.
        """
        if self._triggered is None:
            self._triggered = {}
        for action in self.version.triggered_by(message):
            self._triggered[action] = message

    def _expect_reported(self, message: str) -> None:
        """Serve the report a station was asked for even before it is accepted (2.0.1 B02.FR.02)."""
        if self._triggered is None:
            self._triggered = {}
        self._triggered.setdefault(message, "")

    async def _end(self, command: Command, status: CommandStatus, reason: str) -> None:
        """End a command without an answer."""
        logcontext.command_id.set(command.pk)
        outcome = commands.Outcome(command.pk, status, datetime.now(UTC), error=_error(status.value, reason))
        await self._finish(command, outcome, [])

    async def _end_offline(self, command: Command) -> None:
        await self._end(command, CommandStatus.OFFLINE, "the station disconnected")

    async def _finish(self, command: Command, outcome: commands.Outcome, work: list[Work]) -> None:
        """Store how a command ended, with what that changes; the end alone where the rest cannot be stored."""
        try:
            ended, *_ = await self._node.intake.submit((commands.finish, outcome), *work)
        except IntakeUnavailable:
            logger.warning("%s: the end of %s was not stored", self.station, command.action)
            return
        except Exception:
            if not work:
                raise
            logger.exception("%s: what the answer to %s changes was not stored", self.station, command.action)
            await self._finish(command, outcome, [])
            return
        how = "ended as" if ended else "was over before it ended as"
        logger.info("%s: %s %s %s", self.station, command.action, how, outcome.status.value)
        metrics.CALLS.labels(command.action, outcome.status.value).inc()
        await self._node.tell_ended(command.pk, outcome.status)

    async def _end_calls(self) -> None:
        """End the commands that can no longer reach the station."""
        self._ended = True
        if self._lane is not None:
            self._lane.cancel()
        while self._calls:
            self._node.spawn(self._end_offline(self._calls.popleft()))

    async def greet(self) -> None:
        """Ask a station for what it did not tell by itself (BO-03, BO-14), unless it is known not to (CF-10)."""
        logcontext.chargepoint_id.set(self.station)
        if self.registration == RegistrationStatus.REJECTED or (self.version.name, "TriggerMessage") not in BY_NAME:
            return
        missing = [message for message in GREETED if not self._has_told(message)]
        if not missing:
            return
        try:
            (facts,) = await self._node.intake.submit((limitations.facts, self.station))
        except IntakeUnavailable:
            return
        requests = {message: self.version.greetings(message, facts) for message in missing}
        asked = [message for message in missing if requests[message] and not _never_triggers(facts, message)]
        # Taken back when the message comes.
        doubts: list[Work] = [(limitations.record, self._doubt(message)) for message in asked]
        await self._store_quietly(doubts)
        for message in asked:
            for request in requests[message]:
                await self._ask(Step("TriggerMessage", request))

    def _has_told(self, message: str) -> bool:
        return message in self._told or (message == "BootNotification" and self.profile.booted_before)

    def _doubt(self, message: str, reason: str = "asked, and nothing came") -> LimitationReport:
        return LimitationReport(self.station, LimitationKind.TRIGGER, message, reason, datetime.now(UTC))

    async def _ask(self, step: Step) -> None:
        """Send a command of the platform's own, recorded like any other."""
        row = BY_NAME[self.version.name, step.action]
        request = commands.Request(self.station, row, step.payload, datetime.now(UTC))
        try:
            (command,) = await self._node.intake.submit((commands.request, request))
        except IntakeUnavailable:
            return
        self.enqueue(command)


def _never_triggers(facts: Facts, message: str) -> bool:
    return facts.cannot(LimitationKind.TRIGGER, message) or facts.cannot(LimitationKind.ACTION, "TriggerMessage")


def _shown(frame: bytes) -> str:
    """Spell a frame for the log, without the secrets in it."""
    try:
        return orjson.dumps(masked(orjson.loads(frame))).decode()
    except (orjson.JSONDecodeError, RecursionError, TypeError):
        # Not JSON, or nested too deep: no secret can be told from the rest.
        return f"{len(frame)} bytes that are no JSON"


def _error(code: str, description: str) -> dict[str, Any]:
    return {"code": code, "description": description, "details": {}}


def _excerpt(raw: bytes) -> str:
    return repairs.clean(without_secrets(raw[:400].decode("utf-8", "replace"))[:200])


def _discreet(text: str, payload: Any) -> str:
    """Leave out what a text quotes of a payload that holds secrets; where in it that stands is enough."""
    return text.partition(":")[0] if holds_secret(payload) else text
