"""A PostgreSQL and a redis of our own, which may be killed, paused and started again."""

import contextlib
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import redis

from ov2xmp import redis_server
from tests.e2e.launcher import free_ports, wait_until
from tests.faults.network import Namespace

START_TIMEOUT = 60.0
# Whom PostgreSQL runs as where we are root, which it refuses to be.
ACCOUNT = "postgres"


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return a process and all its children, the parent first."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


class Server:
    """A server process that can be started, killed, paused and resumed.

    It is behind `way`, if there is one, else at home.
    """

    def __init__(self, directory: Path, way: Namespace | None = None) -> None:
        self.directory = directory
        self.way = way
        self.host = way.far if way else "127.0.0.1"
        (self.port,) = free_ports(1)
        self.log = directory.with_name(f"{directory.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _account(self) -> str | None:
        """Say as whom the server runs, if not as us."""
        return None

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and wait until it answers; one that gives up meanwhile is started again."""

        def serves() -> bool:
            if self.process is None or self.process.poll() is not None:
                self._launch()
            return self.answers()

        wait_until(serves, START_TIMEOUT, lambda: self.log.read_text("utf-8", "replace")[-3000:], 0.1)

    def _launch(self) -> None:
        with self.log.open("ab") as log, self.way.entered() if self.way else contextlib.nullcontext():
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._account(),
                group=self._account(),
                extra_groups=[] if self._account() else None,
            )

    def kill(self) -> None:
        """End the server and its children as a crash does."""
        if self.process is not None:
            send(family(self.process), signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """End the server in order, whoever is connected."""
        if self.process is not None and self.process.poll() is None:
            # SIGINT is PostgreSQL's fast shutdown; redis takes it as well.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(START_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()

    def pause(self) -> None:
        """Stop every process of the server; the kernel still takes what is sent to it."""
        assert self.process is not None
        send(family(self.process), signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        send(family(self.process), signal.SIGCONT)


class Redis(Server):
    def __init__(self, directory: Path, way: Namespace | None = None) -> None:
        super().__init__(directory, way)
        directory.mkdir()
        self.socket = directory / "redis.sock"
        self.url = f"redis://{self.host}:{self.port}/0"

    def _command(self) -> Sequence[str]:
        server = redis_server.find()
        assert server is not None, "install a redis-server"
        command = redis_server.command(server, self.socket, self.directory)
        return [*command, "--port", str(self.port), "--bind", self.host, "--protected-mode", "no"]

    def answers(self) -> bool:
        try:
            redis_server.ping(f"unix://{self.socket}")
        except (redis.RedisError, OSError):
            return False
        return True


def postgres_hindrance() -> str:
    """Say why there can be no PostgreSQL of our own here; nothing where there can."""
    if postgres_binaries() is None:
        return "PostgreSQL's server programs are not installed"
    if os.getuid() == 0:
        try:
            pwd.getpwnam(ACCOUNT)
        except KeyError:
            return f"PostgreSQL refuses to run as root, and there is no account {ACCOUNT}"
    return ""


def postgres_binaries() -> Path | None:
    """Return the directory of PostgreSQL's server programs, of the newest version that is installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


class Postgres(Server):
    """A cluster of our own, in a directory that may lie on a disk of its own."""

    def __init__(self, directory: Path, way: Namespace | None = None) -> None:
        super().__init__(directory, way)
        binaries = postgres_binaries()
        assert binaries is not None, "install PostgreSQL's server"
        self.binaries = binaries
        self.url = f"postgres://postgres@{self.host}:{self.port}/postgres"
        directory.mkdir(exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(directory, ACCOUNT, ACCOUNT)
        directory.chmod(0o700)
        subprocess.run(
            [
                *(str(binaries / "initdb"), "--pgdata", str(directory / "data"), "--username", "postgres"),
                *("--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"),
            ],
            cwd=directory,
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._account(),
            group=self._account(),
            extra_groups=[] if self._account() else None,
        )
        if way:
            with (directory / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {way.host}/32 trust\n")

    def _account(self) -> str | None:
        return ACCOUNT if os.getuid() == 0 else None

    def _command(self) -> Sequence[str]:
        settings = {
            "port": self.port,
            "listen_addresses": self.host,
            "unix_socket_directories": "",
            "max_connections": 60,
            # No power is cut here: what is written survives every process, and the disk is spared.
            "fsync": "off",
            "max_wal_size": "128MB",
            # One that was killed begins anew at once.
            "restart_after_crash": "on",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.directory / "data"), *options]

    def answers(self) -> bool:
        try:
            psycopg2.connect(self.url, connect_timeout=2).close()
        except psycopg2.Error:
            return False
        return True

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        with contextlib.closing(psycopg2.connect(self.url, connect_timeout=10)) as connection:
            yield connection


class Sqlite:
    """A database file; there is no server that could fail."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def shrink(self) -> None:
        """Give up the room that the write-ahead log has taken before: it must grow with the next commit."""
        with self.connected() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as connection:
            yield connection
