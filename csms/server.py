"""The server: who may connect, which connection is a station's own, and how the node stays known."""

import asyncio
import base64
import http
import logging
import math
import os
import re
import socket
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast
from urllib.parse import unquote
from uuid import UUID, uuid4

import orjson
from django.conf import settings
from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from chargers.errors import (
    CertificateRefused,
    ConnectionTooWeak,
    NotAuthenticated,
    UnknownStation,
    WrongCredentials,
)
from chargers.models.station import IDENTITY_LENGTH, identity_key
from chargers.services import security, stations
from chargers.values import (
    Connected,
    DeviationNote,
    Disconnected,
    Lookup,
    NodeReport,
    Refusal,
    SecurityEventReport,
)
from csms import lease, metrics, tls
from csms.attempts import MOST_LOGGED, Attempts, Failure
from csms.census import Census
from csms.connection import Connection, StationSocket
from csms.errors import IntakeUnavailable
from csms.intake import Intake
from csms.large import Large
from csms.outside import Outside
from csms.pace import Pace, Seldom
from csms.proxied import ProxiedCertificates
from csms.relay import Relay
from csms.repairs import Note
from csms.unanswered import Unanswered
from csms.versions.base import Version
from csms.versions.v16 import VERSION as V16
from csms.versions.v201 import VERSION as V201
from tasks import commands, logcontext, proxies
from tasks.models import CommandStatus

logger = logging.getLogger(__name__)

VERSIONS: dict[str, Version] = {version.name.value: version for version in (V16, V201)}

# How a station that is turned away is answered and counted.
REFUSALS: dict[type[Exception], tuple[http.HTTPStatus, str]] = {
    UnknownStation: (http.HTTPStatus.NOT_FOUND, "unknown station"),
    ConnectionTooWeak: (http.HTTPStatus.FORBIDDEN, "connection too weak"),
    WrongCredentials: (http.HTTPStatus.UNAUTHORIZED, "wrong credentials"),
}

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
TICK_SECONDS = 1.0
# Frames of a station that wait in memory; what follows waits in the network.
MOST_UNREAD = 4
# How many messages a new connection counts for: it costs about as much.
CONNECTION_COUNT = 20
# Seconds after which somebody comes again for whom there is no room.
NO_ROOM_SECONDS = 60
# The name in 2.0.1 (part 2 appendix 1) for what a station sends and should not.
FLOODED = "InvalidMessages"
UNSEEN = "too many attempts have failed, and more are refused without a look"


class BadIdentity(Exception):
    """A connection URL that names no station."""


def identity_of(path: str, username: str) -> str:
    """Read a station's identity off the path of its connection URL (OCPP-J 1.6 section 3.1.1).

    It is the last segment, percent-decoded once: stations double slashes, end with one, and
    append their id to a path that has it already (TR-05, TR-06). Without one the user name of
    Basic authentication stands in. Raises BadIdentity.
    """
    segments = [segment for segment in path.partition("?")[0].split("/") if segment]
    base = [segment for segment in settings.OCPP_PATH.split("/") if segment]
    if segments[: len(base)] == base:
        segments = segments[len(base) :]
    identity = (unquote(segments[-1]) if segments else username).strip()
    if not identity:
        raise BadIdentity("the URL names no charging station")
    if len(identity) > IDENTITY_LENGTH:
        raise BadIdentity(f"an identity has at most {IDENTITY_LENGTH} characters")
    if _CONTROL.search(identity) or "\ufffd" in identity:
        raise BadIdentity("an identity has no control characters and is UTF-8")
    return identity


def credentials_of(headers: Headers) -> tuple[str, bytes | None]:
    """Read user name and password of Basic authentication; no charset is assumed for the password (TR-12)."""
    scheme, _, encoded = (headers.get_all("Authorization") or [""])[0].partition(" ")
    if scheme.casefold() != "basic":
        return "", None
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=False).partition(b":")
    except ValueError:
        # Also what binascii raises.
        return "", None
    return user.decode("utf-8", "replace"), password


def offered_versions(headers: Headers) -> list[str]:
    """List the subprotocols a station offers; some write blanks and empty names (TR-03)."""
    lines = headers.get_all("Sec-WebSocket-Protocol")
    return [name for line in lines for each in line.split(",") if (name := each.strip())]


def complete_upgrade(headers: Headers) -> bool:
    """Add the upgrade headers that a WebSocket handshake lacks; say whether any was missing (TR-01)."""
    missing = False
    for name, token in (("Connection", "Upgrade"), ("Upgrade", "websocket")):
        values = ",".join(headers.get_all(name)).casefold()
        if token.casefold() not in values:
            headers[name] = token
            missing = True
    return missing


class OcppServer:
    """A node: the stations connected to this process, and its lease in the database.

    An async context manager; entering it listens, with TLS on `tls_port` as well if there is one,
    leaving it drains.
    """

    def __init__(self, host: str, port: int, tls_port: int | None = None) -> None:
        self.node_id = str(uuid4())
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._host, self._port, self._tls_port = host, port, tls_port
        self._tls = tls.ServerContext() if tls_port is not None else None
        self._proxied = ProxiedCertificates() if settings.TRUSTED_PROXIES else None
        self.attempts = Attempts()
        self.census = Census()
        self.unanswered = Unanswered()
        # Of all stations together, and of those that have left and would have to wait; None: no limit.
        self.pace = _pace(settings.OCPP_MAX_TOTAL_RATE, settings.OCPP_MAX_TOTAL_RATE)
        self._paces: dict[str, Pace] = {}
        self._seldom = Seldom()
        self._relay = Relay(self.node_id, self._deliver, self._close_taken_over)
        self.intake = Intake(self._relay.publish)
        self.reader = Intake(self._relay.publish, only_reads=True)
        self.outside = Outside()
        self.large = Large()
        self.lease = lease.Lease(self.node_id)
        self._stations: dict[str, Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._deviations: Counter[tuple[str, str]] = Counter()
        self._deviation_examples: dict[tuple[str, str], str] = {}
        # Ends of connections that came while the database was away.
        self._unstored_ends: list[Disconnected] = []
        self._draining = False
        self._ungreeted: set[Connection] = set()
        # One for all connections.
        self._on_flood = self._end_flood

    async def __aenter__(self) -> "OcppServer":
        await self.intake.__aenter__()
        await self.reader.__aenter__()
        await self._relay.__aenter__()
        await self._report_when_possible()
        self.lease.start()
        self._server = await self._listen(self._port)
        self._tls_server = await self._listen(self._tls_port, self._tls) if self._tls_port is not None else None
        self._watcher = asyncio.create_task(self._watch())
        self._reporter = asyncio.create_task(self._report_regularly())
        logger.info("node %s (%s) listens on %s:%d", self.name, self.node_id, self._host, self.port)
        if self._tls_server is not None:
            logger.info("node %s listens with TLS on %s:%d", self.name, self._host, self.tls_port)
        return self

    async def _listen(self, port: int, context: tls.ServerContext | None = None) -> WebSocketServer:
        return await serve(
            self._serve_station,
            self._host,
            port,
            ssl=context,
            # Which is only called.
            create_connection=cast(
                type[ServerConnection], partial(StationSocket, census=self.census, unanswered=self.unanswered)
            ),
            process_request=self._process_request,
            process_response=_name_version,
            compression=None,
            open_timeout=settings.OCPP_HANDSHAKE_TIMEOUT,
            # Pings and dead peers are looked after by _watch: one timer for all stations.
            ping_interval=None,
            close_timeout=settings.OCPP_CLOSE_TIMEOUT,
            max_size=settings.OCPP_MAX_MESSAGE_SIZE,
            # One message is served at a time, and each of those that wait may be of the largest size.
            max_queue=MOST_UNREAD,
            backlog=4096,
            server_header=None,
        )

    async def __aexit__(self, *exc_info: object) -> None:
        await self._drain()
        self.large.close()
        await self._relay.__aexit__(*exc_info)
        await self.reader.__aexit__(*exc_info)
        await self.intake.__aexit__(*exc_info)
        logger.info("node %s has stopped", self.name)

    @property
    def port(self) -> int:
        """The port it listens on, also when it was asked for any."""
        return _port_of(self._server)

    @property
    def tls_port(self) -> int:
        """The port it listens on with TLS."""
        assert self._tls_server is not None
        return _port_of(self._tls_server)

    @property
    def _servers(self) -> list[WebSocketServer]:
        return [server for server in (self._server, self._tls_server) if server is not None]

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work beside everything else; what it raises is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("work beside the connections failed", exc_info=error)

    # The handshake.

    async def _process_request(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Answer health checks, identify the station and choose the version. None lets it in."""
        path = request.path.partition("?")[0]
        if path == "/healthz":
            return self._health()
        if path == "/metrics":
            return _response(http.HTTPStatus.OK, metrics.render(), "text/plain; version=0.0.4; charset=utf-8")
        assert isinstance(websocket, StationSocket)
        if "Sec-WebSocket-Key" not in request.headers:
            # A browser or a crawler, which must not become a station by asking.
            refusal = _refusal(http.HTTPStatus.UPGRADE_REQUIRED, "this is a WebSocket server for charging stations")
            refusal.headers["Upgrade"] = "websocket"
            return refusal
        if request.method != "GET" or request.headers.get_all("Sec-WebSocket-Version") != ["13"]:
            # websockets refuses it; nobody is registered for that.
            return None
        response, result = await self._admit(websocket, request)
        metrics.HANDSHAKES.labels(result).inc()
        return response

    async def _admit(self, websocket: StationSocket, request: Request) -> tuple[Response | None, str]:
        if self._draining:
            return _refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, "the server restarts"), "draining"
        username, password = credentials_of(request.headers)
        try:
            identity = identity_of(request.path, username)
        except BadIdentity as error:
            return _refusal(http.HTTPStatus.NOT_FOUND, str(error)), "bad identity"
        logcontext.chargepoint_id.set(identity)
        misnamed = password is not None and identity_key(username.strip()) != identity_key(identity)
        if misnamed and settings.OCPP_VALIDATION == "strict":
            # The key of somebody else, so none of this station (A00.FR.204).
            password = None
        lookup = self._lookup(websocket, request.headers, identity, password)
        client = websocket.count_for(lookup.address)
        # Who takes the place of its own older connection needs none.
        if identity not in self._stations and (refused := self._refuse_without_room(client)):
            return refused
        pair = self.attempts.pair(lookup.address, identity)
        if seconds := await self.attempts.turn(pair):
            refusal = _refusal(http.HTTPStatus.TOO_MANY_REQUESTS, "too many failed attempts")
            refusal.headers["Retry-After"] = str(seconds)
            return refusal, "too many attempts"
        try:
            with self.attempts.under_way(pair):
                (websocket.profile,) = await self.intake.submit((stations.lookup, lookup))
        except (UnknownStation, NotAuthenticated) as error:
            return await self._refuse(websocket, request.headers, lookup, error)
        except IntakeUnavailable:
            return _refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, "the platform cannot tell stations now"), "unavailable"
        self.attempts.passed(pair)
        if seconds := self._seconds_to_wait(websocket.profile.chargepoint_id):
            refusal = _refusal(http.HTTPStatus.TOO_MANY_REQUESTS, "too many messages and connections of this station")
            refusal.headers["Retry-After"] = str(seconds)
            return refusal, "too fast"
        if complete_upgrade(request.headers):
            metrics.DEVIATIONS.labels("upgrade-header-missing").inc()
            self.count_deviation(websocket.profile.chargepoint_id, Note("upgrade-header-missing", request.path))
        if misnamed:
            metrics.DEVIATIONS.labels("user-name-differs").inc()
            self.count_deviation(websocket.profile.chargepoint_id, Note("user-name-differs", username))
        websocket.version = self._choose_version(websocket, request.headers)
        return None, "accepted" if websocket.version else "no common version"

    def _refuse_without_room(self, client: str) -> tuple[Response, str] | None:
        """Turn away whom the node has no room for, before anything is looked up."""
        if self.census.is_full:
            status, why = http.HTTPStatus.SERVICE_UNAVAILABLE, "too many connections"
        elif self.census.is_full_for(client):
            status, why = http.HTTPStatus.TOO_MANY_REQUESTS, "too many connections of one address"
        else:
            return None
        if self._seldom.may_tell(f"{why} {client}", asyncio.get_running_loop().time()):
            logger.warning("%s: connections from %s are refused, and not logged for a minute", why, client)
        refusal = _refusal(status, why)
        refusal.headers["Retry-After"] = str(NO_ROOM_SECONDS)
        return refusal, why

    def _pace_of(self, station: str) -> Pace | None:
        """Return the pace that a station has kept up so far, over all its connections."""
        connection = self._stations.get(station)
        if connection is not None:
            return connection.pace
        return self._paces.get(station) or _pace(settings.OCPP_MAX_MESSAGE_RATE, settings.OCPP_MAX_MESSAGE_BURST)

    def _seconds_to_wait(self, station: str) -> int:
        """Return for how many seconds a station may not connect: it would only be read more slowly."""
        pace, now = self._pace_of(station), asyncio.get_running_loop().time()
        return math.ceil(max(pace.room_at() - now, 0)) if pace is not None else 0

    async def _refuse(
        self, websocket: StationSocket, headers: Headers, lookup: Lookup, error: UnknownStation | NotAuthenticated
    ) -> tuple[Response, str]:
        """Turn a station away, the more slowly the more attempts of it or from its address have failed."""
        status, result = REFUSALS[type(error)]
        unknown = isinstance(error, UnknownStation)
        guess = bool(unknown or lookup.password or lookup.certificate or lookup.certificate_flaw)
        failure = self.attempts.failed(self.attempts.pair(lookup.address, lookup.identity), guess=guess)
        self._log_refusal(websocket, headers, lookup, error, failure)
        if failure.delay and await self.attempts.hold(failure.delay):
            metrics.SLOWED.inc()
        refusal = _refusal(status, str(error))
        if status is http.HTTPStatus.UNAUTHORIZED:
            refusal.headers["WWW-Authenticate"] = 'Basic realm="O-V2X-MP", charset="UTF-8"'
        return refusal, result

    def _log_refusal(
        self,
        websocket: StationSocket,
        headers: Headers,
        lookup: Lookup,
        error: UnknownStation | NotAuthenticated,
        failure: Failure,
    ) -> None:
        identity, address = lookup.identity, lookup.address
        if failure.to_log <= MOST_LOGGED:
            reason = "it is unknown" if isinstance(error, UnknownStation) else error.reason
            unheard = not websocket.origin.forwarded and proxies.sent(headers.get_all)
            hint = "; it sent headers of a proxy, which it is not (OV2XMP_TRUSTED_PROXIES)" if unheard else ""
            logger.warning("station %r from %s refused: %s%s", identity, address, reason, hint)
            if failure.shut_out:
                logger.warning(
                    "station %r from %s is refused without a look, for up to %d seconds",
                    identity,
                    address,
                    failure.shut_out,
                )
        elif failure.to_log == MOST_LOGGED + 1:
            logger.warning("more stations from %s are refused; they are counted, and not logged for now", address)

    def _lookup(self, websocket: StationSocket, headers: Headers, identity: str, password: bytes | None) -> Lookup:
        """Gather what a station proves its identity with, on its own connection or through a trusted proxy."""
        websocket.origin = origin = proxies.origin(websocket.peer, websocket.tls, headers.get_all)
        certificate, flaw = None, ""
        if not origin.forwarded:
            certificate = websocket.certificate
        elif self._proxied is not None:
            try:
                certificate = self._proxied.read(origin.certificate, origin.chain)
            except CertificateRefused as error:
                flaw = str(error)
        if certificate is not None and not origin.secure:
            certificate, flaw = None, f"{proxies.CLIENT_CERT} came without TLS ({proxies.PROTO})"
        return Lookup(
            identity,
            password,
            datetime.now(UTC),
            origin.address,
            tls=origin.secure,
            certificate=certificate,
            certificate_flaw=flaw,
        )

    def _choose_version(self, websocket: StationSocket, headers: Headers) -> Version | None:
        """Choose the version that the station prefers; one that names none speaks the one on record, else 1.6 (TR-02).

        It offers them in the order of its preference (OCPP-J 2.0.1 section 3.1.2).

        The version belongs to the connection: some stations change it from one to the next (TR-04).
        """
        offered = offered_versions(headers)
        # websockets refuses what it cannot parse, so it does not see the header; _name_version answers it.
        if "Sec-WebSocket-Protocol" in headers:
            del headers["Sec-WebSocket-Protocol"]
        assert websocket.profile is not None
        if not offered:
            if settings.OCPP_VALIDATION == "strict":
                return None
            self.count_deviation(websocket.profile.chargepoint_id, Note("subprotocol-missing", ""))
            return VERSIONS.get(websocket.profile.ocpp_version, V16)
        for each in offered:
            if version := VERSIONS.get(each.casefold()):
                # The station's own spelling: it compares.
                websocket.chosen_subprotocol = each
                return version
        return None

    def _health(self) -> Response:
        healthy = self.intake.available and not self._draining
        state = {
            "status": "ok" if healthy else "draining" if self._draining else "database unavailable",
            "node": self.name,
            "connections": len(self._stations),
        }
        status = http.HTTPStatus.OK if healthy else http.HTTPStatus.SERVICE_UNAVAILABLE
        return _response(status, orjson.dumps(state), "application/json")

    # A connection's life.

    async def _serve_station(self, websocket: ServerConnection) -> None:
        """Own a connection from its handshake to its end."""
        assert isinstance(websocket, StationSocket)
        websocket.in_service = True
        try:
            await self._serve(websocket)
        finally:
            websocket.end_service()

    async def _serve(self, websocket: StationSocket) -> None:
        assert websocket.profile is not None
        if websocket.version is None:
            # The handshake is completed without a subprotocol, then closed (OCPP-J 1.6 section 3.2).
            await websocket.close(CloseCode.PROTOCOL_ERROR, "no OCPP version in common")
            return
        if self._draining:
            # Its handshake ended just after the drain had begun.
            await websocket.close(CloseCode.SERVICE_RESTART, "the server restarts")
            return
        station = websocket.profile.chargepoint_id
        connection = Connection(websocket, self, websocket.profile, websocket.version, self._begin(websocket, station))
        websocket.forget_handshake()
        # Once for the connection's task: all that it starts inherits it.
        logcontext.chargepoint_id.set(station)
        older = self._stations.get(station)
        self._stations[station] = connection
        metrics.CONNECTIONS.set(len(self._stations))
        try:
            if older is not None:
                self._take_over(older)
            if not await self._connect(connection):
                await connection.close(CloseCode.TRY_AGAIN_LATER, "the platform cannot register stations now")
                return
            if settings.OCPP_GREETING_GRACE:
                self._ungreeted.add(connection)
            logger.info(
                "%s connected from %s, %s, security profile %d",
                station,
                connection.address,
                connection.version.name,
                connection.profile.security_profile,
            )
            await connection.run()
        finally:
            error = websocket.protocol.parser_exc
            if error is not None and not isinstance(error, EOFError):
                # RFC 6455 leaves no choice but to close; the station may come back at once (TR-11).
                self.count_deviation(station, Note("websocket-broken", str(error)))
            self._ungreeted.discard(connection)
            if self._stations.get(station) is connection:
                del self._stations[station]
                if connection.pace is not None:
                    self._paces[station] = connection.pace
            metrics.CONNECTIONS.set(len(self._stations))
            await self._disconnect(connection)
            logger.info("%s disconnected (%s)", station, websocket.close_code)

    def _begin(self, websocket: StationSocket, station: str) -> Pace | None:
        """Count a connection among its station's messages, and set a limit to its pings."""
        pace = self._pace_of(station)
        if pace is not None:
            pace.take(CONNECTION_COUNT, websocket.last_frame_at)
            websocket.control_pace = _pace(settings.OCPP_MAX_MESSAGE_RATE, settings.OCPP_MAX_MESSAGE_BURST)
            websocket.on_flood = self._on_flood
        return pace

    def _end_flood(self, websocket: StationSocket) -> None:
        """Close a connection whose pings come too fast, and refuse the station for a while.

        They are answered before anybody could wait, so reading more slowly does not help.
        """
        assert websocket.profile is not None
        station = websocket.profile.chargepoint_id
        metrics.FLOODS.inc()
        logger.warning("%s floods its connection with pings, closing", station)
        if (pace := self._pace_of(station)) is not None:
            pace.fill(websocket.last_frame_at + settings.OCPP_ATTEMPT_WINDOW)
        now = datetime.now(UTC)
        self.spawn(websocket.close(CloseCode.POLICY_VIOLATION, "too many pings"))
        self.spawn(self._store_event(SecurityEventReport(station, FLOODED, "a flood of pings: closed", now, now)))

    async def _store_event(self, event: SecurityEventReport) -> None:
        try:
            await self.intake.submit((security.record, event))
        except IntakeUnavailable:
            logger.warning("%s: a security event was not stored", event.station)

    def note_slowed(self, station: str, *, alone: bool) -> None:
        """Count that a station is not read for a while; `alone` where it is its own messages that are too many."""
        metrics.PAUSES.labels("station" if alone else "total").inc()
        if alone:
            self.count_deviation(station, Note("messages-too-fast", f"more than {settings.OCPP_MAX_MESSAGE_RATE:g}/s"))
        subject = station if alone else "this node"
        if self._seldom.may_tell(f"slowed {subject}", asyncio.get_running_loop().time()):
            whose = "of its" if alone else "of all"
            logger.warning("%s is read more slowly: too many %s messages come a second", station, whose)

    def _take_over(self, older: Connection) -> None:
        """Close a station's older connection; it may be half open, so nobody waits for it (TR-10)."""
        metrics.TAKEOVERS.inc()
        extra = {"chargepoint_id": older.station}
        logger.info("%s connected anew, its older connection is closed", older.station, extra=extra)
        self.spawn(older.close(CloseCode.NORMAL_CLOSURE, "the station connected anew"))

    async def _connect(self, connection: Connection) -> bool:
        """Make a connection its station's only one in the database; False when that is away."""
        now = datetime.now(UTC)
        version = connection.version.name
        profile = connection.profile.security_profile
        value = Connected(connection.station, connection.id, self.node_id, version, connection.address, now, profile)
        try:
            (held,) = await self.intake.submit((stations.connect, value))
        except IntakeUnavailable:
            return False
        if held is not None and held[0] != self.node_id:
            self.spawn(self._relay.tell_taken_over(*held))
        connection.registered = True
        return True

    async def _disconnect(self, connection: Connection) -> None:
        """Mark the station offline, unless another connection of it has taken over by now."""
        value = Disconnected(connection.station, connection.id, datetime.now(UTC))
        try:
            await self.intake.submit((stations.disconnect, value))
        except IntakeUnavailable:
            self._unstored_ends.append(value)

    def _close_taken_over(self, connection_id: UUID) -> None:
        """Close a connection whose station has connected to another node."""
        for connection in self._stations.values():
            if connection.id == connection_id:
                self._take_over(connection)
                return

    # Commands.

    def _deliver(self, command_id: UUID) -> None:
        self.spawn(self._queue_command(command_id))

    async def _queue_command(self, command_id: UUID) -> None:
        """Put a command on its station's call lane, or end it where it has none."""
        logcontext.command_id.set(command_id)
        try:
            (command,) = await self.intake.submit((commands.take, command_id))
        except IntakeUnavailable:
            logger.warning("command %s cannot be read; the sweep will end it", command_id)
            return
        if command is None:
            return
        connection = self._stations.get(command.chargepoint_id)
        if connection is None:
            await self._end_command(command_id, CommandStatus.OFFLINE, "the station is not connected to this node")
        elif not connection.enqueue(command):
            await self._end_command(command_id, CommandStatus.TIMEOUT, "too many commands wait for the station")

    async def _end_command(self, command_id: UUID, status: CommandStatus, reason: str) -> None:
        error = {"code": status.value, "description": reason, "details": {}}
        outcome = commands.Outcome(command_id, status, datetime.now(UTC), error=error)
        try:
            await self.intake.submit((commands.finish, outcome))
        except IntakeUnavailable:
            return
        await self.tell_ended(command_id, status)

    async def tell_ended(self, command_id: UUID, status: str) -> None:
        await self._relay.tell_ended(command_id, status)

    # What a node does beside its connections.

    def count_deviation(self, station: str, note: Note) -> None:
        """Count a deviation; the counts are stored with the node's next report."""
        self._deviations[station, note.kind] += 1
        self._deviation_examples[station, note.kind] = note.example

    async def _watch(self) -> None:
        """Ping stations, close dead peers and greet silent ones, for all connections at once."""
        loop = asyncio.get_running_loop()
        tick = min(TICK_SECONDS, settings.OCPP_PING_TIMEOUT / 2, settings.OCPP_PING_INTERVAL / 2 or TICK_SECONDS)
        next_ping = loop.time() + settings.OCPP_PING_INTERVAL
        while True:
            await asyncio.sleep(tick)
            now = loop.time()
            self.lease.note_life()
            try:
                self._greet(now)
                self._close_dead(now)
                self._paces = {station: pace for station, pace in self._paces.items() if pace.empty_at > now}
                self._make_room(now)
                metrics.OPEN_SOCKETS.set(self.census.total)
            except Exception:
                # Whatever it was: without this watch dead peers would stay connected for ever.
                logger.exception("the watch over the connections failed")
            if settings.OCPP_PING_INTERVAL and now >= next_ping:
                next_ping = now + settings.OCPP_PING_INTERVAL
                for connection in list(self._stations.values()):
                    self.spawn(connection.ping())

    def _greet(self, now: float) -> None:
        due = [each for each in self._ungreeted if now - each.opened_at >= settings.OCPP_GREETING_GRACE]
        for connection in due:
            self._ungreeted.discard(connection)
            self.spawn(connection.greet())

    def _close_dead(self, now: float) -> None:
        """Close connections without a sign of life.

        Any frame is one. A station that has answered a ping must go on answering; one that never
        has is given three heartbeats (TR-08, TR-09).
        """
        patient = 3.0 * settings.OCPP_HEARTBEAT_INTERVAL
        strict = settings.OCPP_PING_INTERVAL + settings.OCPP_PING_TIMEOUT
        for connection in list(self._stations.values()):
            limit = strict if connection.answers_pings and settings.OCPP_PING_INTERVAL else patient
            if now - connection.last_frame_at > limit and not connection.unread:
                metrics.DEAD_PEERS.inc()
                extra = {"chargepoint_id": connection.station}
                logger.warning("%s gives no sign of life, its connection is closed", connection.station, extra=extra)
                del self._stations[connection.station]
                self.spawn(connection.close(CloseCode.GOING_AWAY, "no sign of life"))

    def _make_room(self, now: float) -> None:
        """Read those again for whom there is room, and close who has long kept others from it."""
        self.large.give_back()
        self.unanswered.let_go_on(now)
        for each in self.unanswered.stalled(now):
            metrics.STALLED.inc()
            each.give_up()
        metrics.UNANSWERED.set(self.unanswered.total)

    async def _report_when_possible(self) -> None:
        """Announce the node; without a database it waits, as no station could be served anyway."""
        while True:
            try:
                await self.report()
                return
            except IntakeUnavailable:
                logger.error("the database is away, waiting")
                await asyncio.sleep(TICK_SECONDS)

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(settings.NODE_LEASE / 3)
            try:
                await self.report()
            except IntakeUnavailable:
                logger.error("the node's report was not stored")
            except Exception:
                # Whatever it was: what the next ones tell is wanted.
                logger.exception("the node's report failed")

    async def report(self) -> None:
        """Store what was counted since the last report; that renews the node's lease as well."""
        now = datetime.now(UTC)
        since = asyncio.get_running_loop().time() - settings.NODE_LEASE / 3
        seen = [each.station for each in self._stations.values() if each.last_frame_at >= since]
        report = NodeReport(self.node_id, self.name, now, lease.lasting(), seen)
        counted, self._deviations = self._deviations, Counter()
        notes = [
            (
                stations.note_deviations,
                DeviationNote(station, kind, self._deviation_examples[station, kind], now, count),
            )
            for (station, kind), count in counted.items()
        ]
        self._deviation_examples.clear()
        unseen, self.attempts.unseen = self.attempts.unseen, Counter()
        refusals = [
            (stations.note_refusals, Refusal(pair.station, UNSEEN, pair.address, now, count))
            for pair, count in unseen.items()
        ]
        ends, self._unstored_ends = self._unstored_ends, []
        try:
            # The ends first: what is held is counted after them.
            *_, held = await self.intake.submit(
                *[(stations.disconnect, end) for end in ends], *notes, *refusals, (lease.report, report)
            )
        except IntakeUnavailable:
            self._unstored_ends += ends
            self._deviations.update(counted)
            self.attempts.unseen.update(unseen)
            for note in notes:
                self._deviation_examples.setdefault((note[1].station, note[1].kind), note[1].example)
            raise
        registered = {each.station: each for each in self._stations.values() if each.registered}
        if held != len(registered):
            await self._reconcile(registered)

    async def _reconcile(self, connections: dict[str, Connection]) -> None:
        """Bring the connections in line with the database, where they differ.

        A node that was paused for longer than its lease finds its stations marked offline and
        claims them again. A station that was deleted, or that another node holds, is let go.
        """
        (current,) = await self.intake.submit((stations.current_connections, tuple(connections)))
        for station, connection in connections.items():
            if self._stations.get(station) is not connection:
                continue
            extra = {"chargepoint_id": station}
            if station not in current:
                logger.info("%s was deleted, its connection is closed", station, extra=extra)
                self.spawn(connection.close(CloseCode.POLICY_VIOLATION, "the station is not registered"))
            elif current[station] is None:
                logger.warning("%s was marked offline, it is claimed again", station, extra=extra)
                await self._connect(connection)
            elif current[station] != connection.id:
                self._take_over(connection)

    async def _drain(self) -> None:
        """Stop in order: no new stations, running handlers finish, stations are told to come back (1012)."""
        self._draining = True
        self.attempts.release()
        for task in (self._watcher, self._reporter):
            task.cancel()
        for server in self._servers:
            server.close(close_connections=False)
        logger.info("draining %d connections", len(self._stations))
        try:
            async with asyncio.timeout(settings.OCPP_DRAIN_TIMEOUT):
                await asyncio.gather(*[each.drain() for each in list(self._stations.values())])
                for server in self._servers:
                    await server.wait_closed()
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            logger.warning("%d connections did not end in time", len(self._stations))
        await asyncio.to_thread(self.lease.stop)
        try:
            await self.intake.submit((stations.leave_node, self.node_id))
        except IntakeUnavailable:
            logger.warning("the node's end was not stored; its lease will run out")


def _pace(rate: float, burst: float) -> Pace | None:
    return Pace(rate, burst) if rate else None


def _name_version(websocket: ServerConnection, request: Request, response: Response) -> None:
    """Name the chosen version in the handshake's answer."""
    assert isinstance(websocket, StationSocket)
    chosen = websocket.chosen_subprotocol
    if chosen and response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers["Sec-WebSocket-Protocol"] = Subprotocol(chosen)


def _port_of(server: WebSocketServer) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def _refusal(status: http.HTTPStatus, reason: str) -> Response:
    return _response(status, f"{reason}\n".encode(), "text/plain; charset=utf-8")


def _response(status: http.HTTPStatus, body: bytes, content_type: str) -> Response:
    headers = Headers(
        [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("X-Content-Type-Options", "nosniff"),
        ]
    )
    return Response(status.value, status.phrase, headers, body)
