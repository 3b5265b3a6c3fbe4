"""What must be true when a fault is over and the platform has come to rest."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import websockets

from tests.faults.ledger import compare
from tests.faults.load import Load
from tests.faults.network import Network
from tests.faults.platform import LEASE, Platform
from tests.simulator.v16 import Station16

# Seconds in which the platform must come to rest by itself, commands must be over, and news must arrive.
REST_TIMEOUT = 60.0
COMMAND_TIMEOUT = 30.0
NEWS_TIMEOUT = 15.0
POLL_INTERVAL = 0.1
FINAL = {"answered", "error", "timeout", "offline", "cancelled"}
COMMANDS = "SELECT task_id, status, finished_at FROM tasks_command"
# How much more memory a process may have than after it came to rest first.
GROWTH, SLACK = 1.3, 40 * 1024 * 1024
VISITOR = "FAULT-VISITOR"


@dataclass
class Audit:
    """Looks at a platform again and again; each look returns what is wrong, or that it needed a hand."""

    platform: Platform
    load: Load
    way: Network
    looks: int = 0
    stored: int = 0
    ended: dict[str, tuple[str, str]] = field(default_factory=dict)
    # Process id and bytes of each process when it had come to rest; 0 bytes while it may still be starting.
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)
    growth: dict[str, int] = field(default_factory=dict)
    # The longest that the platform took to come to rest, and to tell right who is connected.
    longest_rest: float = 0.0
    longest_wrong: float = 0.0

    async def look(self) -> list[str]:
        """Wait until everything has come to rest, and compare; let the load go on afterwards."""
        self.looks += 1
        wrong: list[str] = []
        started = time.monotonic()
        for step in (self._at_rest, self._commands_over, self._live, self._online):
            try:
                await step(wrong)
            except TimeoutError:
                wrong.append(f"{step.__name__.strip('_')}: not in time; {await self._state()}")
            except (httpx.HTTPError, OSError, websockets.WebSocketException) as error:
                wrong.append(f"{step.__name__.strip('_')}: {error!r}")
            if step == self._at_rest:
                self.longest_rest = max(self.longest_rest, time.monotonic() - started)
        if not wrong:
            await asyncio.to_thread(self._compare, wrong)
        wrong += [f"{name} died by itself" for name in self.platform.died.elements()]
        self.platform.died.clear()
        self._weigh(wrong)
        self.load.go_on()
        return wrong

    async def _state(self) -> str:
        offline = [each.identity for each in self.load.stations if not each.online.is_set()]
        serving = await asyncio.to_thread(self.platform.serving)
        return f"offline: {offline}, all serve: {serving}"

    async def _at_rest(self, wrong: list[str]) -> None:
        async with asyncio.timeout(REST_TIMEOUT):
            while not await asyncio.to_thread(self.platform.serving):
                await asyncio.sleep(POLL_INTERVAL)
            await self.load.quiet()
            await self.load.online()

    async def _commands_over(self, wrong: list[str]) -> None:
        await self._until(self._no_command_is_open, COMMAND_TIMEOUT)

    async def _no_command_is_open(self) -> bool:
        for status in ("queued", "sent"):
            answer = await self._get("/api/task/", status=status, limit=1)
            if answer is None or answer["count"]:
                return False
        return True

    async def _get(self, path: str, **params: Any) -> Any:
        answer = await self.load.operator.client.get(path, params=params)
        if answer.status_code == 401:
            await self.load.operator.log_in()
        return answer.json() if answer.status_code == 200 else None

    async def _until(self, condition: Callable[[], Awaitable[bool]], timeout: float) -> float:
        """Wait until a condition is true; return how long it took."""
        started = time.monotonic()
        async with asyncio.timeout(timeout):
            while not await condition():
                await asyncio.sleep(POLL_INTERVAL)
        return time.monotonic() - started

    async def _online(self, wrong: list[str]) -> None:
        """Hold what REST tells of every station against the truth, of one that comes and goes as well."""
        visitor = Station16(next(iter(self.platform.ocpp.values())), VISITOR)
        async with visitor:
            await visitor.boot()
            took = await self._until(lambda: self._tells({VISITOR: True}), 2 * LEASE)
            self.longest_wrong = max(self.longest_wrong, took)
            # As a power cut does.
            await visitor.drop()
        truth = {each.identity: each.online.is_set() for each in self.load.stations}
        took = await self._until(lambda: self._tells({**truth, VISITOR: False}), 2 * LEASE)
        self.longest_wrong = max(self.longest_wrong, took)

    async def _tells(self, truth: dict[str, bool]) -> bool:
        page = await self._get("/api/chargepoint/", limit=1000)
        told = {each["chargepoint_id"]: each["connected"] for each in page["results"]} if page else {}
        return truth.items() <= told.items()

    async def _live(self, wrong: list[str]) -> None:
        """Make sure that a listener hears of what happens now."""
        async with asyncio.timeout(NEWS_TIMEOUT), self._listening() as socket:
            station = self.load.stations[0]
            while True:
                # Live updates are best effort: what was sent before is not sent again.
                await station.call("Heartbeat", {})
                status = {"connectorId": 1, "status": "Available", "errorCode": "NoError", "timestamp": station.now()}
                await station.call("StatusNotification", status)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        while json.loads(await socket.recv())["topic"] != "connector":
                            pass
                        return

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[websockets.ClientConnection]:
        token = self.load.operator.client.headers["Authorization"].removeprefix("Bearer ")
        async with websockets.connect(f"{self.platform.parts.live}/all/?token={token}", proxy=None) as socket:
            yield socket

    def _compare(self, wrong: list[str]) -> None:
        ledger = self.load.ledger
        with self.platform.database.connected() as connection:
            found = compare(ledger, connection)
            cursor = connection.cursor()
            cursor.execute(COMMANDS)
            commands = {spelled(key): (status, str(finished)) for key, status, finished in cursor.fetchall()}
        self.stored = found.stored
        for name, entries in (("lost", found.lost), ("twice", found.twice), ("misnumbered", found.misnumbered)):
            if entries:
                wrong.append(f"{len(entries)} {name}, such as {entries[:3]}")
        if open_ones := {key: state for key, (state, _) in commands.items() if state not in FINAL}:
            wrong.append(f"commands without an end: {open_ones}")
        if missing := self.load.operator.taken.keys() - commands.keys():
            wrong.append(f"commands that were taken and are not there: {missing}")
        if changed := {key for key, end in self.ended.items() if commands.get(key) != end}:
            wrong.append(f"commands with another end than before: {changed}")
        self.ended = commands
        for station in self.load.stations:
            if again := [key for key, count in station.asked.items() if count > 1]:
                wrong.append(f"{station.identity} was asked more than once for {again}")
            if station.failures:
                wrong.append(f"{station.identity} failed: {station.failures}")
                station.failures.clear()

    def _weigh(self, wrong: list[str]) -> None:
        """Hold each process's memory against what it had when it was first looked at."""
        for name, (pid, used) in self.platform.memory().items():
            before = self.memory.get(name)
            if before is None or before[0] != pid:
                # It may still be starting: the next look counts.
                self.memory[name] = (pid, 0)
                continue
            if not before[1]:
                self.memory[name] = (pid, used)
                continue
            self.growth[name] = max(self.growth.get(name, 0), used - before[1])
            if used > before[1] * GROWTH + SLACK:
                wrong.append(f"{name} grew from {before[1] >> 20} to {used >> 20} MiB")
                self.memory[name] = (pid, used)


def spelled(key: Any) -> str:
    """Spell a command's id as REST does; SQLite keeps the digits only."""
    text = str(key)
    return text if "-" in text else "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
