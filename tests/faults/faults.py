"""What is done to the platform: a row a fault, which it is entered with and left healed."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass

import websockets

from tests.faults.load import Load
from tests.faults.network import Network
from tests.faults.platform import LEASE, Platform
from tests.faults.servers import Server, Sqlite
from tests.simulator.station import Station

# Bytes of log that a flood of frames may bring, and seconds that stations may wait for an answer meanwhile.
MAX_FLOOD_LOG = 256 * 1024
MAX_FLOOD_WAIT = 4.0
# Bytes that a station which reads nothing may cost the csms.
MAX_UNREAD = 64 * 1024 * 1024
CONNECT_TIMEOUT = 30.0
# Almost 4 MiB, and seconds in which they must be answered.
SAMPLE = {"value": 1.5, "measurand": "voltage", "unit": "W"}
LARGE = json.dumps(
    [
        2,
        "large",
        "MeterValues",
        {"connectorId": 1, "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [SAMPLE] * 85_000}]},
    ],
    separators=(",", ":"),
)
LARGE_TIMEOUT = 120.0
MALFORMED = ("x", "[]", "[2]", '[2,"1"]', "{", "\u0000", '[9,"1","Heartbeat",{}]', "[" * 100)
CLOCKS = (3600.0, -3600.0, 86400.0, -400 * 86400.0, 30.0, -30.0, "1970-01-01T00:00:00Z", "2099-12-31T23:59:59Z")


@dataclass(frozen=True)
class Scene:
    """What a fault may touch."""

    platform: Platform
    load: Load
    network: Network


Inject = Callable[[Scene], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """A row of the table: `seconds` is how long it lasts under load before it is healed."""

    name: str
    inject: Inject
    seconds: float = 0.5
    # Says why it cannot be done here; nothing where it can.
    hindrance: Callable[[Scene], str] = lambda _: ""

    async def happen(self, scene: Scene) -> None:
        async with self.inject(scene):
            await asyncio.sleep(self.seconds)


def killed(name: str) -> Inject:
    @asynccontextmanager
    async def inject(scene: Scene) -> AsyncIterator[None]:
        scene.platform.kill(name)
        yield

    return inject


@asynccontextmanager
async def killed_children(scene: Scene) -> AsyncIterator[None]:
    await scene.platform.kill_children()
    yield


def terminated(name: str) -> Inject:
    @asynccontextmanager
    async def inject(scene: Scene) -> AsyncIterator[None]:
        scene.platform.terminate(name)
        yield

    return inject


def stopped(name: str) -> Inject:
    @asynccontextmanager
    async def inject(scene: Scene) -> AsyncIterator[None]:
        with scene.platform.stopped(name):
            yield

    return inject


def server(scene: Scene, name: str) -> Server:
    found: Server | None = getattr(scene.platform, name)
    assert found is not None
    return found


def restarted(name: str, *, crash: bool) -> Inject:
    @asynccontextmanager
    async def inject(scene: Scene) -> AsyncIterator[None]:
        it = server(scene, name)
        await asyncio.to_thread(it.kill if crash else it.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(it.start)

    return inject


def paused(name: str) -> Inject:
    @asynccontextmanager
    async def inject(scene: Scene) -> AsyncIterator[None]:
        it = server(scene, name)
        it.pause()
        try:
            yield
        finally:
            it.resume()

    return inject


@asynccontextmanager
async def full_disk(scene: Scene) -> AsyncIterator[None]:
    assert scene.platform.disk is not None
    if isinstance(scene.platform.database, Sqlite):
        await asyncio.to_thread(scene.platform.database.shrink)
    await asyncio.to_thread(scene.platform.disk.fill)
    try:
        yield
    finally:
        await asyncio.to_thread(scene.platform.disk.free)
        if scene.platform.postgres is not None:
            # It gives up where it cannot write its log, and is started again as its container is.
            await asyncio.to_thread(scene.platform.postgres.start)


@asynccontextmanager
async def silence(scene: Scene) -> AsyncIterator[None]:
    scene.network.cut()
    try:
        yield
    finally:
        scene.network.heal()


def lost(name: str) -> Inject:
    """Let nothing arrive that the platform sends to a server, nor what that sends."""

    @asynccontextmanager
    async def inject(scene: Scene) -> AsyncIterator[None]:
        way = server(scene, name).way
        assert way is not None
        way.cut()
        try:
            yield
        finally:
            way.heal()

    return inject


def replaced(name: str) -> Inject:
    """Put another server in the place of one that the network has lost: nobody is told that it has gone."""

    @asynccontextmanager
    async def inject(scene: Scene) -> AsyncIterator[None]:
        it = server(scene, name)
        try:
            async with lost(name)(scene):
                await asyncio.to_thread(it.kill)
                yield
        finally:
            await asyncio.to_thread(it.start)

    return inject


@asynccontextmanager
async def clock_jumps(scene: Scene) -> AsyncIterator[None]:
    for station in scene.load.stations:
        station.clock = random.choice(CLOCKS)
    yield
    for station in scene.load.stations:
        station.clock = 0.0


@asynccontextmanager
async def connected(scene: Scene, identity: str) -> AsyncIterator[Station]:
    """Connect a station that means no good, as soon as the platform takes it."""
    station = Station(scene.platform.ocpp["csms"], identity, subprotocols=("ocpp1.6",))
    async with asyncio.timeout(CONNECT_TIMEOUT):
        while not station.online.is_set():
            try:
                await station.connect()
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(0.1)
    try:
        yield station
    finally:
        with suppress(OSError):
            await station.drop()


@asynccontextmanager
async def malformed_flood(scene: Scene) -> AsyncIterator[None]:
    """Send what nobody can understand, as fast as the server takes it."""
    log = scene.platform.log_size()
    scene.load.ledger.take_slowest()
    async with connected(scene, "FAULT-FLOOD") as station:
        flood = asyncio.create_task(send_for_ever(station.connection, MALFORMED))
        reading = asyncio.create_task(forget_what_comes(station))
        yield
        for task in (flood, reading):
            task.cancel()
        await asyncio.gather(flood, reading, return_exceptions=True)
    slowest = scene.load.ledger.take_slowest()
    assert slowest < MAX_FLOOD_WAIT, f"others waited {slowest:.1f} seconds during a flood of malformed frames"
    written = scene.platform.log_size() - log
    assert written < MAX_FLOOD_LOG, f"a flood of malformed frames wrote {written} bytes of log"


async def send_for_ever(connection: websockets.ClientConnection | None, frames: tuple[str, ...]) -> None:
    assert connection is not None
    while True:
        for frame in frames:
            await connection.send(frame)
        # It does not wait as long as there is room; the other stations live in this loop as well.
        await asyncio.sleep(0)


async def forget_what_comes(station: Station) -> None:
    while True:
        for kept in (station.frames, station._unclaimed):
            kept.clear()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def deaf_station(scene: Scene) -> AsyncIterator[None]:
    """Send without ever reading, messages whose answers are long."""
    scene.load.ledger.take_slowest()
    before = scene.platform.memory()["csms"]
    # A CALLERROR names what is unknown.
    frames = tuple(json.dumps([2, f"{number}", "x" * 1000, {"x": "y" * 10_000}]) for number in range(10))
    async with connected(scene, "FAULT-DEAF") as station:
        station.freeze()
        sending = asyncio.create_task(send_for_ever(station.connection, frames))
        yield
        after = scene.platform.memory()["csms"]
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    if after[0] == before[0]:
        assert after[1] - before[1] < MAX_UNREAD, f"a deaf station cost {(after[1] - before[1]) >> 20} MiB"
    slowest = scene.load.ledger.take_slowest()
    assert slowest < MAX_FLOOD_WAIT, f"others waited {slowest:.1f} seconds for a deaf station"


@asynccontextmanager
async def large_messages(scene: Scene) -> AsyncIterator[None]:
    """Send messages of the largest size that consist of nothing but what must be mended."""
    scene.load.ledger.take_slowest()
    async with connected(scene, "FAULT-LARGE-1") as one, connected(scene, "FAULT-LARGE-2") as another:
        for station in (one, another):
            await station.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
            assert station.connection is not None
            await station.connection.send(LARGE)
        yield
        for station in (one, another):
            answer = await station.next_frame(LARGE_TIMEOUT)
            assert str(answer.data).startswith('[3,"large"'), str(answer.data)[:200]
    slowest = scene.load.ledger.take_slowest()
    assert slowest < MAX_FLOOD_WAIT, f"others waited {slowest:.1f} seconds for large messages"


def needs_postgres(scene: Scene) -> str:
    return "" if scene.platform.postgres else "SQLite has no server"


def needs_way(scene: Scene) -> str:
    return "" if scene.platform.ways else "only root may lay a network to the servers"


def needs_postgres_and_way(scene: Scene) -> str:
    return needs_postgres(scene) or needs_way(scene)


def needs_disk(scene: Scene) -> str:
    return "" if scene.platform.disk else "only root may mount a disk to fill"


FAULTS: tuple[Fault, ...] = (
    Fault("csms killed", killed("csms")),
    Fault("web killed", killed("web")),
    Fault("worker killed", killed("worker")),
    Fault("worker's children killed", killed_children),
    Fault("csms ended", terminated("csms")),
    Fault("web ended", terminated("web")),
    Fault("worker ended", terminated("worker")),
    Fault("csms paused beyond its lease", stopped("csms"), 2.5 * LEASE),
    Fault("redis killed", restarted("redis", crash=True), 1.0),
    Fault("redis restarted", restarted("redis", crash=False), 1.0),
    Fault("redis paused", paused("redis"), 4.0),
    Fault("database killed", restarted("postgres", crash=True), 1.0, needs_postgres),
    Fault("database restarted", restarted("postgres", crash=False), 1.0, needs_postgres),
    Fault("database paused", paused("postgres"), 2.5 * LEASE, needs_postgres),
    Fault("disk full", full_disk, 3.0, needs_disk),
    Fault("network silent", silence, 2.5 * LEASE),
    Fault("network silent for a moment", silence, 1.0),
    Fault("redis lost by the network", lost("redis"), 2.5 * LEASE, needs_way),
    Fault("database lost by the network", lost("postgres"), 3.5 * LEASE, needs_postgres_and_way),
    Fault("redis replaced while the network is silent", replaced("redis"), 2.5 * LEASE, needs_way),
    Fault("database replaced while the network is silent", replaced("postgres"), 2.5 * LEASE, needs_postgres_and_way),
    Fault("clocks jump", clock_jumps, 2.0),
    Fault("flood of malformed frames", malformed_flood, 2.0),
    Fault("large messages in need of repair", large_messages),
    Fault("station that reads nothing", deaf_station, 4.0),
)
BY_NAME: dict[str, Fault] = {fault.name: fault for fault in FAULTS}
