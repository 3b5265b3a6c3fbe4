"""A small fleet for a platform without stations: ``make demo``, or ``python -m tests.simulator.demo``.

Some connectors are busy from the start, the others wait for an operator's RemoteStartTransaction.
All but one speak OCPP 1.6, that one 2.0.1.
The stations react to every command of their version: to a ReserveNow, its holder comes after a while; logs
are uploaded and firmware is fetched where the command says. By themselves they now and then report a security event, keep a connector that a driver has reserved on
the spot, or get along with less power for some minutes. Ctrl-C ends the charging sessions properly.
"""

import argparse
import asyncio
import contextlib
import functools
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import websockets

from tests.simulator.station import Answer, Call, CallError, Disconnected, Payload, dumps
from tests.simulator.transfer import Transfer, TransferFailed
from tests.simulator.v2.demo import DemoStation201
from tests.simulator.v16 import Connector, Station16, timestamp
from tests.simulator.v16.files import without_account
from tests.simulator.vehicle import Vehicle

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "admin"
# Seconds: for an answer of the platform, between attempts to reconnect at least and at most, for
# a driver to leave and the next one to come, and for the stations to end their sessions.
HTTP_TIMEOUT = 10
BACKOFF = (1, 8)
NEXT_DRIVER = (20, 60)
STOP_TIMEOUT = 15
# Seconds: between what a station does by itself, until the holder of a reservation comes, and until
# he leaves.
NEXT_DEED = (60, 180)
ARRIVAL = (10, 30)
STAY = (60, 120)
# How long a station keeps a connector, and gets along with less power.
KEPT = timedelta(minutes=5)
SAVING = timedelta(minutes=2)

LOCATION = {
    "name": "Demo car park",
    "address": "Harbour Street 1",
    "city": "Piraeus",
    "postal_code": "18531",
    "country": "GRC",
    "coordinates": {"latitude": "37.942000", "longitude": "23.646500"},
    "parking_type": "PARKING_LOT",
    "time_zone": "Europe/Athens",
}


class DemoError(Exception):
    """The demo cannot run; the text says what to do."""


@dataclass(frozen=True)
class Kind:
    """A model of station and the cars that come to it. Power in W, capacity in Wh; no phases means DC."""

    vendor: str
    model: str
    firmware: str
    power: float
    phases: int
    connectors: int = 1
    busy: int = 0
    capacity: float = 60_000


FLEET = {
    "DEMO-AC-1": Kind("Elektra", "Wall 11", "2.4.1", 11_000, 3, busy=1),
    "DEMO-AC-2": Kind("Elektra", "Wall 11", "2.4.1", 11_000, 3),
    "DEMO-AC-3": Kind("Norrstrom", "Post 22 Duo", "1.18.0", 22_000, 3, connectors=2, busy=1, capacity=80_000),
    "DEMO-AC-4": Kind("Norrstrom", "Post 22 Duo", "1.17.3", 22_000, 3, connectors=2, capacity=80_000),
    "DEMO-AC-5": Kind("Homeload", "Mini 7", "0.9.12", 7_400, 1, busy=1, capacity=40_000),
    "DEMO-DC-1": Kind("Voltaris", "HPC 150", "5.1.0", 150_000, 0, connectors=2, busy=1, capacity=77_000),
}
SECURITY_EVENTS = (
    ("MemoryExhaustion", "log partition 93 % full"),
    ("SettingSystemTime", "clock set forward by 3 s"),
    ("TamperDetectionActivated", "door open for 12 s"),
)
DRIVERS = ("Amber", "Blue", "Coral", "Green", "Indigo", "Olive", "Red", "Silver", "White")
# The station of OCPP 2.0.1, and who charges there.
DEMO_201 = "DEMO-201-1"
DRIVER_201 = "Yellow"


Placer = Callable[[str], Awaitable[None]]


def say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S}  {text}", flush=True)


def tag_of(driver: str) -> str:
    return f"DEMO-{driver.upper()}"


class DemoStation(Station16):
    """A station that tells what happens to it, and whose busy connectors never stay empty for long."""

    def __init__(self, url: str, identity: str, kind: Kind, drivers: Sequence[str], **options: Any) -> None:
        noise = random.Random(identity)
        super().__init__(
            url,
            identity,
            connectors=kind.connectors,
            vendor=kind.vendor,
            model=kind.model,
            boot={
                "chargePointSerialNumber": f"{kind.model[:3].upper()}{noise.randrange(10**6):06d}",
                "firmwareVersion": kind.firmware,
            },
            autonomous=True,
            max_power=kind.power,
            transfer_time=3,
            transfer=Transfer(),
            **options,
        )
        self.kind = kind
        self.drivers = drivers
        self.noise = noise
        self.ready = asyncio.Event()
        for connector in self.connectors.values():
            connector.energy = noise.uniform(500_000, 9_000_000)

    def say(self, text: str, connector: Connector | None = None) -> None:
        place = f"{self.identity}/{connector.number}" if connector else self.identity
        say(f"{place:<12} {text}")

    async def live(self) -> None:
        """Stay connected, whatever happens to the connection, until cancelled."""
        wait, longest = BACKOFF
        while True:
            try:
                await self.connect()
                self.say("connected")
                wait = BACKOFF[0]
                await self.start_up()
                self.ready.set()
                self.invite_drivers()
                await self.ended()
                self.say("disconnected")
            except (OSError, TimeoutError, CallError, websockets.WebSocketException) as error:
                self.say(f"cannot connect: {error}")
                await self.disconnect()
                self.fall_back()
            await asyncio.sleep(wait * self.noise.uniform(0.8, 1.2))
            wait = min(wait * 2, longest)

    def invite_drivers(self) -> None:
        """Let a driver come to each busy connector that has none."""
        for connector, driver in zip(self.connectors.values(), self.drivers, strict=True):
            if connector.number <= self.kind.busy and not connector.busy and connector.operative:
                self.begin_session(connector, tag_of(driver))

    async def keep_busy(self) -> None:
        """Do now and then what a station does by itself, until cancelled."""
        await self.ready.wait()
        await self._attempt(self.tell_event("StartupOfTheDevice", f"firmware {self.kind.firmware}"))
        while True:
            await asyncio.sleep(self.noise.uniform(*NEXT_DEED))
            deed = self.noise.choice((self.notice, self.keep_connector, self.save_power))
            await self._attempt(deed())

    async def _attempt(self, deed: Awaitable[None]) -> None:
        """Do something that may as well fail: the connection or the platform may be away."""
        with contextlib.suppress(Disconnected, TimeoutError, CallError):
            await deed

    async def notice(self) -> None:
        await self.tell_event(*self.noise.choice(SECURITY_EVENTS))

    async def tell_event(self, kind: str, detail: str) -> None:
        await self.security_event(kind, detail)
        self.say(f"security event {kind}: {detail}")

    async def keep_connector(self) -> None:
        """Reserve a connector for one of its drivers, who has asked for it on the spot: the platform knows no id."""
        for connector, driver in zip(self.connectors.values(), self.drivers, strict=True):
            request = {
                "reservationId": -connector.number,
                "connectorId": connector.number,
                "idTag": tag_of(driver),
                "expiryDate": timestamp(self.clock() + KEPT),
            }
            if connector.number > self.kind.busy and self.on_reserve_now(request) == {"status": "Accepted"}:
                self.say(f"kept for {tag_of(driver)}", connector)
                await self.do_reserve_now(request)
                return

    async def save_power(self) -> None:
        """Limit the whole station to half of its power for a while, unless the platform limits it already."""
        if self.profiles.installed:
            return
        now, watts = self.clock(), round(self.kind.power * self.kind.connectors / 2)
        profile = {
            "chargingProfileId": -1,
            "stackLevel": 0,
            "chargingProfilePurpose": "ChargePointMaxProfile",
            "chargingProfileKind": "Absolute",
            "validTo": timestamp(now + SAVING),
            "chargingSchedule": {
                "startSchedule": timestamp(now),
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}],
            },
        }
        if self.on_set_charging_profile({"connectorId": 0, "csChargingProfiles": profile}) == {"status": "Accepted"}:
            self.say(f"limited to {watts / 1000:.1f} kW for {SAVING.total_seconds():.0f} s")
            await asyncio.sleep(SAVING.total_seconds())
            self.profiles.remove(lambda held: held.profile is profile)

    async def do_reserve_now(self, payload: Payload) -> None:
        await super().do_reserve_now(payload)
        self.spawn(self._arrive(payload["reservationId"]))

    async def _arrive(self, number: int) -> None:
        """Let the holder of a reservation come, unless it has ended before, and leave after a while."""
        await asyncio.sleep(self.noise.uniform(*ARRIVAL))
        reservation = self.reservations.get(number)
        connector = reservation and self.free_connector(reservation.connector, reservation.id_tag)
        if not reservation or not connector:
            return
        self.say(f"{reservation.id_tag} comes for the reservation", connector)
        if number < 0:
            self.drop_reservation(number)
        self.begin_session(connector, reservation.id_tag)
        session = connector.session
        await asyncio.sleep(self.noise.uniform(*STAY))
        if connector.session is session:
            self.end_session(connector, "Local")

    def begin_session(self, connector: Connector, id_tag: str, **options: Any) -> None:
        connector.vehicle = Vehicle(
            capacity=self.kind.capacity,
            soc=self.noise.uniform(15, 60),
            max_power=self.kind.power * self.noise.uniform(0.9, 1),
            phases=self.kind.phases,
            noise=self.noise,
        )
        super().begin_session(connector, id_tag, **options)

    async def come_back(self) -> None:
        """Leave it to `live`, which waits for the end of the connection."""

    def answered(self, call: Call, answer: Answer) -> None:
        self.say(f"{call.action} {without_account(dumps(call.payload))}: {outcome(answer)}")
        super().answered(call, answer)

    def transferred(self, what: str, size: int) -> None:
        self.say(f"transferred: {what}, {size} bytes")

    def transfer_failed(self, error: TransferFailed) -> None:
        self.say(f"not transferred: {error}")

    def session_refused(self, connector: Connector, id_tag: str) -> None:
        self.say(f"{id_tag} may not charge", connector)

    def session_started(self, connector: Connector) -> None:
        self.say(f"transaction {connector.transaction_id} started by {connector.id_tag}", connector)

    def metered(self, connector: Connector, power: float) -> None:
        limit = self.limit_of(connector)
        limited = f"   limited to {limit / 1000:.1f} kW" if limit is not None else ""
        self.say(
            f"{power / 1000:6.1f} kW   {connector.energy / 1000:10.3f} kWh on the meter   "
            f"battery {connector.vehicle.soc:.0f} %{limited}",
            connector,
        )

    def session_ended(self, connector: Connector, reason: str) -> None:
        self.say(f"transaction ended: {reason}", connector)
        if connector.number <= self.kind.busy:
            self.spawn(self._next_driver())

    async def _next_driver(self) -> None:
        await asyncio.sleep(self.noise.uniform(*NEXT_DRIVER))
        if self.online.is_set():
            self.invite_drivers()

    def task_failed(self, error: BaseException) -> None:
        if not isinstance(error, Disconnected):
            self.say(f"{type(error).__name__}: {error}")


def outcome(answer: Answer) -> str:
    if isinstance(answer, CallError):
        return answer.code
    return str(answer.get("status", "answered")) if answer else "answered"


class Platform:
    """The REST side, as an operator sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.AsyncClient(base_url=url, timeout=HTTP_TIMEOUT, trust_env=False)

    async def log_in(self, password: str) -> None:
        try:
            answer = await self._client.post("/api/token/", json={"username": ADMIN, "password": password})
        except httpx.TransportError as error:
            raise DemoError(f"nothing answers at {self.url} ({error}). Start the platform first: make run") from error
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise DemoError(f"the password of {ADMIN} is refused. Set OV2XMP_ADMIN_PASSWORD to the right one.")
        if answer.is_error:
            raise DemoError(f"cannot log in at {self.url}: {answer.status_code} {answer.text[:200]}")
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access']}"

    async def close(self) -> None:
        await self._client.aclose()

    async def create_tags(self, drivers: Sequence[str]) -> None:
        for driver in drivers:
            tag = {"idToken": tag_of(driver), "friendly_name": driver}
            if (await self._client.get(f"/api/idtag/{tag['idToken']}/")).status_code == httpx.codes.NOT_FOUND:
                self._check(await self._client.post("/api/idtag/", json=tag), f"create the id tag {tag['idToken']}")

    async def create_location(self) -> Any:
        """Return the id of the demo's location, made on its first run."""
        found = self._check(await self._client.get("/api/location/", params={"limit": 1000}), "list the locations")
        for location in found["results"]:
            if location["name"] == LOCATION["name"]:
                return location["id"]
        return self._check(await self._client.post("/api/location/", json=LOCATION), "create a location")["id"]

    async def place(self, identity: str, location: Any) -> None:
        """Put a station at the location; one that is not registered yet has to connect first."""
        answer = await self._client.patch(f"/api/chargepoint/{identity}/", json={"location": location})
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._check(answer, f"place {identity}")

    def _check(self, answer: httpx.Response, purpose: str) -> Any:
        if answer.is_error:
            raise DemoError(f"cannot {purpose}: {answer.status_code} {answer.text[:200]}")
        return answer.json()


def admin_password() -> str:
    """Find the administrator's password where the launcher got or left it."""
    if password := os.environ.get("OV2XMP_ADMIN_PASSWORD"):
        return password
    path = Path(os.environ.get("OV2XMP_DATA_DIR") or ROOT / "var") / "admin-password"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        raise DemoError(
            f"no administrator's password: {path} does not exist. Start the platform first: make run. "
            "If it runs already, set OV2XMP_ADMIN_PASSWORD, or OV2XMP_DATA_DIR to its data directory."
        ) from None


Member = DemoStation | DemoStation201


def build_fleet(url: str, interval: float) -> list[Member]:
    drivers = iter(DRIVERS)
    fleet: list[Member] = [DemoStation201(url, DEMO_201, tag_of(DRIVER_201), say, meter_interval=interval)]
    for identity, kind in FLEET.items():
        of_station = [next(drivers) for _ in range(kind.connectors)]
        fleet.append(DemoStation(url, identity, kind, of_station, meter_interval=interval))
    return fleet


async def run(host: str, interval: float) -> None:
    """Run the fleet until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    platform = Platform(f"http://{host}:{os.environ.get('OV2XMP_WEB_PORT') or 8000}")
    try:
        await platform.log_in(admin_password())
        await platform.create_tags((*DRIVERS, DRIVER_201))
        location = await platform.create_location()
        fleet = build_fleet(f"ws://{host}:{os.environ.get('OV2XMP_CSMS_PORT') or 9000}/ws/ocpp", interval)
        await run_fleet(fleet, functools.partial(platform.place, location=location), stopping)
    finally:
        await platform.close()


async def run_fleet(fleet: Sequence[Member], place: Placer, stopping: asyncio.Event) -> None:
    lives = [asyncio.create_task(station.live()) for station in fleet]
    around = [asyncio.create_task(place_when_ready(station, place)) for station in fleet]
    around += [asyncio.create_task(station.keep_busy()) for station in fleet]
    say(f"{len(fleet)} stations start. Ctrl-C ends them.")
    await stopping.wait()
    say("ending the sessions")
    await cancel([*lives, *around])
    await asyncio.gather(*(leave(station) for station in fleet))


async def place_when_ready(station: Member, place: Placer) -> None:
    await station.ready.wait()
    try:
        await place(station.identity)
    except (DemoError, httpx.HTTPError) as error:
        station.say(f"not placed: {error}")


async def leave(station: Member) -> None:
    """End the station's sessions if it is online, then hang up."""
    if station.online.is_set():
        with contextlib.suppress(TimeoutError, Disconnected, CallError):
            async with asyncio.timeout(STOP_TIMEOUT):
                await station.end_sessions("Local")
    await station.stop_tasks()
    await station.disconnect()


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="where the platform runs")
    parser.add_argument("--interval", type=float, default=5, help="seconds between MeterValues")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.host, options.interval))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
