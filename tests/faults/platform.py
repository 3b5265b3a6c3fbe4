"""A platform on servers of its own, whose processes are started again when they die, as containers are."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.e2e.launcher import BASE_DIR, free_ports, wait_until
from tests.e2e.parts import Parts
from tests.e2e.storage import PREPARE, SQLITE
from tests.faults import disk, network
from tests.faults.servers import Postgres, Redis, Sqlite, send

NODES = ("csms", "csms2")
PROCESSES = ("web", *NODES, "worker")
# Seconds, short: what is waited for here is waited for many times.
LEASE = 3
SETTINGS = {
    "OV2XMP_OCPP_TIMEOUT": "3",
    "OV2XMP_OCPP_PING_INTERVAL": "1",
    "OV2XMP_OCPP_PING_TIMEOUT": "2",
    "OV2XMP_OCPP_SEND_TIMEOUT": "3",
    "OV2XMP_OCPP_DRAIN_TIMEOUT": "5",
    "OV2XMP_OCPP_GREETING_GRACE": "0",
    "OV2XMP_OCPP_INVENTORY": "0",
    "OV2XMP_OCPP_ACCEPT_NO_TAG": "1",
    "OV2XMP_NODE_LEASE": str(LEASE),
    "OV2XMP_DATABASE_TIMEOUT": "3",
    "OV2XMP_INTAKE_TIMEOUT": "4",
    "OV2XMP_REDIS_TIMEOUT": "2",
}
WATCH_INTERVAL = 0.1
# A soak may share a machine that is busy.
START_TIMEOUT = 240.0


class Platform:
    """Web, two csms nodes and a worker; own PostgreSQL or a SQLite file, on a disk of its own where that can be."""

    def __init__(self, directory: Path, database: str, host: str = "127.0.0.1") -> None:
        self.disk = disk.Disk(directory / "disk") if not disk.reason_not() else None
        place = self.disk.path if self.disk else directory
        # The ways to the servers, which can go silent, where that can be.
        self.ways = [network.Namespace(number) for number in (1, 2)] if network.namespaces_work() else []
        to_redis, to_postgres = self.ways or (None, None)
        self.redis = Redis(directory / "redis", to_redis)
        self.postgres = Postgres(place / "postgres", to_postgres) if database == "postgresql" else None
        data_dir = place / "data"
        data_dir.mkdir(mode=0o700)
        settings = {**SETTINGS, "OV2XMP_REDIS_URL": self.redis.url, "OV2XMP_BIND": host}
        if self.postgres:
            settings["OV2XMP_DATABASE_URL"] = self.postgres.url
        self.parts = Parts(data_dir, **settings)
        # Where there is always room.
        self.parts.output = directory / "output.log"
        self.database: Postgres | Sqlite = self.postgres or Sqlite(data_dir / SQLITE)
        self.ocpp = {"csms": self.parts.ocpp, "csms2": self._add_node()}
        # How often a process died without being asked to, and how often it was ended on purpose.
        self.died: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self._expected: set[int] = set()
        self._watcher: asyncio.Task[None] | None = None

    def _add_node(self) -> str:
        (port,) = free_ports(1)
        self.parts.commands["csms2"] = self.parts.commands["csms"]
        self.parts.settings_of["csms2"] = {"OV2XMP_CSMS_PORT": str(port)}
        self.parts.pages["csms2"] = f"http://127.0.0.1:{port}/healthz"
        return f"ws://127.0.0.1:{port}/ws/ocpp"

    @property
    def is_small(self) -> bool:
        """Whether the database's disk is one that can be filled."""
        return self.disk is not None

    def start(self) -> None:
        self.redis.start()
        if self.postgres:
            self.postgres.start()
        subprocess.run(
            [sys.executable, "-c", PREPARE],
            cwd=BASE_DIR,
            env=self.parts.environment,
            check=True,
            timeout=START_TIMEOUT,
        )
        for name in PROCESSES:
            self.parts.launch(name)
        wait_until(self.serving, START_TIMEOUT, self.parts.text)

    async def __aenter__(self) -> "Platform":
        await asyncio.to_thread(self.start)
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        self.parts.kill_all()

    def close(self) -> None:
        """End whatever is left, however far the start came."""
        self.parts.kill_all()
        for server in (self.postgres, self.redis):
            if server is not None:
                server.kill()
        for way in self.ways:
            way.close()
        if self.disk:
            self.disk.unmount()

    async def _watch(self) -> None:
        """Start again what has ended, as `restart: unless-stopped` does."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            for name in PROCESSES:
                process = self.parts.processes[name]
                if process.poll() is None:
                    continue
                if process.pid not in self._expected:
                    self.died[name] += 1
                with contextlib.suppress(ProcessLookupError):
                    # A container ends with its first process.
                    os.killpg(process.pid, signal.SIGKILL)
                self.parts.launch(name)

    def kill(self, name: str) -> None:
        """End a process as a crash does."""
        self._end(name, signal.SIGKILL)

    async def kill_children(self) -> None:
        """End the worker's children, beat among them, as soon as they are there; the worker should end by itself then."""
        async with asyncio.timeout(START_TIMEOUT):
            while len(children := self._children()) < 2:
                await asyncio.sleep(WATCH_INTERVAL)
        self._expected.add(children[0].ppid())
        self.ended["worker's children"] += 1
        send(children, signal.SIGKILL)

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.parts.processes["worker"].pid).children()
        except psutil.NoSuchProcess:
            return []

    def terminate(self, name: str) -> None:
        """Ask a process to end."""
        self._end(name, signal.SIGTERM)

    def _end(self, name: str, number: signal.Signals) -> None:
        process = self.parts.processes[name]
        self._expected.add(process.pid)
        self.ended[name] += 1
        process.send_signal(number)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Pause a process and its children."""
        process = psutil.Process(self.parts.processes[name].pid)
        family = [process, *process.children(recursive=True)]
        send(family, signal.SIGSTOP)
        try:
            yield
        finally:
            send(family, signal.SIGCONT)

    def serving(self) -> bool:
        """Tell whether every process answers."""
        return all(
            # One that was asked to end, and has not yet, is about to be replaced.
            process.pid not in self._expected and process.poll() is None and self.parts.serves(name)
            for name, process in self.parts.processes.items()
        )

    def memory(self) -> dict[str, tuple[int, int]]:
        """Return the process id and the bytes that each process has for itself, its children's included."""
        used = {}
        for name, process in self.parts.processes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                total = sum(each.memory_full_info().uss for each in [parent, *parent.children(recursive=True)])
                used[name] = (process.pid, total)
        return used

    def log_size(self) -> int:
        """Return how many bytes the processes have written so far."""
        return self.parts.output.stat().st_size


@contextlib.contextmanager
def made(database: str, host: str = "127.0.0.1") -> Iterator[Platform]:
    """Make a platform in a temporary directory; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="ov2xmp-faults-") as directory:
        # PostgreSQL's account must get to its own below.
        Path(directory).chmod(0o755)
        platform = Platform(Path(directory), database, host)
        try:
            yield platform
        finally:
            platform.close()
