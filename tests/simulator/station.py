"""A charging station at the far end of a WebSocket, whatever version of OCPP it speaks.

    async with Station("ws://127.0.0.1:9000/ws/ocpp", "CP-1", subprotocols=("ocpp1.6",)) as station:
        answer = await station.call("Heartbeat", {})
        reset = await station.expect_call("Reset")

The station listens in the background: it pairs answers with its own calls and answers the calls of
the CSMS. Frames that nobody waited for, such as the answer to something sent with `send_raw`, come
out of `next_frame`; `frames` logs everything in both directions. All waits take seconds and raise
`TimeoutError`, or `Disconnected` as soon as the connection ends.
"""

import asyncio
import base64
import inspect
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import quote

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.frames import Opcode

CALL, CALLRESULT, CALLERROR = 2, 3, 4

Payload = dict[str, Any]
T = TypeVar("T")


class CallError(Exception):
    """A CALLERROR: raised by `Station.call`, and given in `Station.answers` to answer with one."""

    def __init__(self, code: str, description: str = "", details: Payload | None = None) -> None:
        super().__init__(code, description, details or {})
        self.code = code
        self.description = description
        self.details = details or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.description} {self.details}"


class Disconnected(ConnectionError):
    """The connection is closed, or closed while something was waited for."""


@dataclass(frozen=True)
class Frame:
    """One WebSocket message. `data` is bytes for a binary one."""

    sent: bool
    data: str | bytes

    def json(self) -> Any:
        return json.loads(self.data)


@dataclass(frozen=True)
class Call:
    """A CALL of the CSMS, with the exact text it came in."""

    message_id: str
    action: str
    payload: Payload
    text: str


# None leaves the CSMS without an answer.
Answer = Payload | CallError | None
Answerer = Callable[[Payload], Answer | Awaitable[Answer]]


def dumps(message: Any) -> str:
    """Write compact JSON, as stations do."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def handler_name(action: str) -> str:
    """Name the method that answers an action by default: ``on_change_availability``."""
    return "on_" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", action).lower()


def parse_call(data: str | bytes) -> Call | None:
    """Read a CALL; None for any other frame."""
    try:
        message = json.loads(data)
    except ValueError:
        return None
    match message:
        case [int(kind), str(message_id), str(action), dict(payload)] if kind == CALL and isinstance(data, str):
            return Call(message_id, action, payload, data)
    return None


class Station:
    """A station that may be told exactly what to send, and how to answer.

    `answers` maps an action to its answer, or to a function of the request's payload that returns
    it. Other actions are answered by a method such as ``on_reset`` of the subclass that knows the
    version, else by the CALLERROR NotImplemented.
    """

    def __init__(
        self,
        url: str,
        identity: str,
        *,
        subprotocols: Sequence[str] = (),
        password: str | bytes | None = None,
        extra_headers: Mapping[str, str] | None = None,
        address: str | None = None,
        timeout: float = 10,
        answers_pings: bool = True,
        **options: Any,
    ) -> None:
        """Prepare, without connecting yet.

        `url` is the endpoint to which the identity is appended; `address`, when given, is the whole
        URL instead. `timeout` is the default of every wait. `options` go to `websockets.connect`.
        """
        self.identity = identity
        self.address = address or self.address_at(url)
        self.password = password
        self.timeout = timeout
        self.answers_pings = answers_pings
        self.answers: dict[str, Answer | Answerer] = {}
        self.frames: list[Frame] = []
        self.calls: list[Call] = []
        self.failures: list[BaseException] = []
        self.online = asyncio.Event()
        self.connection: ClientConnection | None = None
        self._extra_headers = dict(extra_headers or {})
        self._options: dict[str, Any] = {
            "subprotocols": list(subprotocols) or None,
            "compression": None,
            "ping_interval": None,
            "max_size": None,
            "proxy": None,
            "open_timeout": timeout,
            "close_timeout": timeout,
            **options,
        }
        self._lane = asyncio.Lock()
        self._pending: dict[str, asyncio.Future[Payload]] = {}
        self._unexpected: list[Call] = []
        self._unclaimed: list[Frame] = []
        self._news = asyncio.Event()
        self._frozen = False
        self._listener: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.stop_tasks()
        await self.disconnect()
        if kind is None and self.failures:
            raise self.failures[0]

    # Connection

    async def connect(self) -> None:
        """Open the connection. What `websockets.connect` raises for a refused handshake passes through."""
        self.connection = await websockets.connect(self.address, **self.connect_options())
        if not self.answers_pings:
            silence_pongs(self.connection)
        self._frozen = False
        self.online.set()
        self._listener = asyncio.create_task(self._listen(self.connection))

    def connect_options(self) -> dict[str, Any]:
        """Build what the next connection is opened with; a changed password counts from there on."""
        headers = dict(self._extra_headers)
        if self.password is not None:
            key = self.password.encode() if isinstance(self.password, str) else self.password
            headers["Authorization"] = "Basic " + base64.b64encode(self.identity.encode() + b":" + key).decode()
        return {"additional_headers": headers, **self._options}

    def address_at(self, url: str) -> str:
        """Append the identity to an endpoint."""
        return f"{url.rstrip('/')}/{quote(self.identity, safe='')}"

    async def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection properly; does nothing when it is closed already."""
        if self._frozen:
            await self.drop()
        elif self.connection is not None and self._listener is not None:
            await self.connection.close(code, reason)
            await self._listener

    async def drop(self) -> None:
        """Lose the connection without a closing handshake, as a power cut does."""
        if self.connection is not None and self._listener is not None:
            self.connection.transport.abort()
            await self._listener

    def freeze(self) -> None:
        """Stop reading, as a dead peer: nothing is answered any more, pings included."""
        assert self.connection is not None
        self.connection.transport.pause_reading()
        self._frozen = True

    async def wait_closed(self, timeout: float | None = None) -> tuple[int | None, str | None]:
        """Wait until the connection ends; return the close code and reason received."""
        assert self.connection is not None
        async with asyncio.timeout(timeout or self.timeout):
            await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason

    async def ended(self) -> None:
        """Wait, for however long, until the connection is over and everything it brought is handled."""
        if self._listener is not None:
            await asyncio.shield(self._listener)

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the CSMS chose."""
        return self.connection.subprotocol if self.connection else None

    # Frames

    async def send_raw(self, data: str | bytes, *, text: bool | None = None) -> None:
        """Send anything in one message: text for str, binary for bytes unless `text` says otherwise."""
        if self.connection is None:
            raise Disconnected("never connected")
        self.frames.append(Frame(True, data))
        try:
            await self.connection.send(data, text=text)
        except websockets.ConnectionClosed as closed:
            raise Disconnected(str(closed)) from closed

    async def next_frame(self, timeout: float | None = None) -> Frame:
        """Wait for the next received frame that is neither an answer to `call` nor a call of the CSMS."""
        return await self._until(lambda: self._unclaimed.pop(0) if self._unclaimed else None, "a frame", timeout)

    async def exchange(self, data: str | bytes, timeout: float | None = None) -> Frame:
        """Send anything and wait for the frame that comes back."""
        await self.send_raw(data)
        return await self.next_frame(timeout)

    @property
    def unclaimed(self) -> list[Frame]:
        """The frames that `next_frame` has not handed out yet: empty where silence was due."""
        return list(self._unclaimed)

    # Calls

    async def call(
        self,
        action: str,
        payload: Payload | None = None,
        *,
        timeout: float | None = None,
        message_id: str | None = None,
    ) -> Payload:
        """Send a CALL and return the payload of its CALLRESULT; raise `CallError` for a CALLERROR.

        One call is outstanding at a time, as OCPP-J wants; others wait for their turn.
        """
        message_id = message_id or str(uuid.uuid4())
        timeout = timeout or self.timeout
        async with self._lane:
            answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._pending[message_id] = answer
            try:
                await self.send_raw(dumps([CALL, message_id, action, payload or {}]))
                async with asyncio.timeout(timeout):
                    return await answer
            except TimeoutError:
                raise TimeoutError(f"{self.identity}: no answer to {action} in {timeout:g} s") from None
            finally:
                self._pending.pop(message_id, None)

    async def deliver(self, action: str, payload: Payload, *, retry_after: float = 5) -> Payload:
        """Send a CALL as stations send those of a transaction: again, also after a reconnect, until it is answered.

        Only a CALLERROR that blames the message itself is final and raised.
        """
        while True:
            await self.online.wait()
            try:
                return await self.call(action, payload)
            except Disconnected:
                continue
            except CallError as error:
                if error.code not in ("InternalError", "GenericError"):
                    raise
            except TimeoutError:
                pass
            await asyncio.sleep(retry_after)

    async def expect_call(self, action: str, timeout: float | None = None) -> Call:
        """Wait for the CSMS to call `action`; each call is handed out once, in the order received."""

        def take() -> Call | None:
            found = next((call for call in self._unexpected if call.action == action), None)
            if found is not None:
                self._unexpected.remove(found)
            return found

        return await self._until(take, action, timeout)

    def answered(self, call: Call, answer: Answer) -> None:
        """Go on after an answer has been sent, or withheld; for subclasses."""

    def task_failed(self, error: BaseException) -> None:
        """Keep an error of the background, so that leaving the context raises it."""
        self.failures.append(error)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` in the background until it ends or the station does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    async def stop_tasks(self) -> None:
        """Cancel what `spawn` started and wait for its end."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.task_failed(error)

    async def _listen(self, connection: ClientConnection) -> None:
        try:
            async for data in connection:
                await self._receive(data)
                self._tell()
        except (websockets.ConnectionClosed, Disconnected):
            pass
        finally:
            # A connection that was replaced must not take the new one offline.
            if connection is self.connection:
                self.online.clear()
                for answer in self._pending.values():
                    if not answer.done():
                        answer.set_exception(Disconnected("closed before the answer came"))
                        answer.exception()  # marks it as retrieved: the caller may be gone
            self._tell()

    async def _receive(self, data: str | bytes) -> None:
        frame = Frame(False, data)
        self.frames.append(frame)
        if (call := parse_call(data)) is not None:
            self.calls.append(call)
            self._unexpected.append(call)
            await self._answer(call)
        elif not self._settle(frame):
            self._unclaimed.append(frame)

    def _settle(self, frame: Frame) -> bool:
        """Hand an answer to the call that waits for it; False when none does."""
        try:
            message = frame.json()
        except ValueError:
            return False
        match message:
            case [int(kind), str(message_id), dict(payload)] if kind == CALLRESULT and self._waits_for(message_id):
                self._pending[message_id].set_result(payload)
            case [int(kind), str(message_id), str(code), str(description), dict(details)] if (
                kind == CALLERROR and self._waits_for(message_id)
            ):
                self._pending[message_id].set_exception(CallError(code, description, details))
            case _:
                return False
        return True

    def _waits_for(self, message_id: str) -> bool:
        return message_id in self._pending and not self._pending[message_id].done()

    async def _answer(self, call: Call) -> None:
        answerer = self.answers[call.action] if call.action in self.answers else self._default_answerer(call.action)
        try:
            answer = answerer(call.payload) if callable(answerer) else answerer
        except CallError as error:
            answer = error
        except Exception as error:
            self.task_failed(error)
            answer = CallError("InternalError", str(error))
        if inspect.isawaitable(answer):
            self.spawn(self._answer_later(call, answer))
        else:
            await self._reply(call, answer)

    def _default_answerer(self, action: str) -> Answer | Answerer:
        return getattr(self, handler_name(action), CallError("NotImplemented", f"{action} is not implemented"))

    async def _answer_later(self, call: Call, answer: Awaitable[Answer]) -> None:
        try:
            await self._reply(call, await answer)
        except CallError as error:
            await self._reply(call, error)

    async def _reply(self, call: Call, answer: Answer) -> None:
        if isinstance(answer, CallError):
            await self.send_raw(dumps([CALLERROR, call.message_id, answer.code, answer.description, answer.details]))
        elif answer is not None:
            await self.send_raw(dumps([CALLRESULT, call.message_id, answer]))
        self.answered(call, answer)

    def _tell(self) -> None:
        """Wake everyone who waits for something to happen."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _until(self, take: Callable[[], T | None], what: str, timeout: float | None) -> T:
        timeout = timeout or self.timeout
        try:
            async with asyncio.timeout(timeout):
                while True:
                    news = self._news
                    if (found := take()) is not None:
                        return found
                    if not self.online.is_set():
                        raise Disconnected(f"{self.identity}: closed before {what} came")
                    await news.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.identity}: {what} did not come in {timeout:g} s") from None


def silence_pongs(connection: ClientConnection) -> None:
    """Leave the server's pings unanswered, as some stations do, while everything else works."""
    send_frame = connection.protocol.send_frame

    def send_all_but_pongs(frame: websockets.frames.Frame) -> None:
        if frame.opcode is not Opcode.PONG:
            send_frame(frame)

    connection.protocol.send_frame = send_all_but_pongs  # type: ignore[method-assign]
