"""Scratch databases: a PostgreSQL one that is dropped at the end, or a SQLite file."""

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import psutil
import psycopg2

_numbers = itertools.count(1)

COUNT = "SELECT count(*) FROM chargers_metervalue"
COUNT_STOPPED = "SELECT count(*) FROM chargers_transaction WHERE stop_transaction_timestamp IS NOT NULL"


class Database(Protocol):
    """Where a platform under test keeps its rows."""

    label: str
    url: str

    def count_meter_values(self) -> int: ...

    def count_stopped_transactions(self) -> int: ...

    def cpu_seconds(self) -> dict[int, float]:
        """Return the CPU time of each server process by its pid; empty where there is none or it is elsewhere."""
        ...


class Sqlite:
    """A file, whose work is done inside the processes of the platform."""

    label = "SQLite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def count_meter_values(self) -> int:
        return self._count(COUNT)

    def count_stopped_transactions(self) -> int:
        return self._count(COUNT_STOPPED)

    def _count(self, statement: str) -> int:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            count: int = connection.execute(statement).fetchone()[0]
            return count

    def cpu_seconds(self) -> dict[int, float]:
        return {}


class Postgres:
    """A database of its own on a server that exists."""

    label = "PostgreSQL"

    def __init__(self, server_url: str, name: str) -> None:
        self.url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
        # libpq spells the scheme either way, but knows no options of Django's.
        self._connection = psycopg2.connect(self.url)
        self._connection.autocommit = True

    def close(self) -> None:
        self._connection.close()

    def count_meter_values(self) -> int:
        return int(self._query(COUNT)[0][0])

    def count_stopped_transactions(self) -> int:
        return int(self._query(COUNT_STOPPED)[0][0])

    def cpu_seconds(self) -> dict[int, float]:
        rows = self._query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return {pid: seconds for (pid,) in rows if (seconds := backend_cpu_seconds(pid)) is not None}

    def _query(self, statement: str) -> list[tuple[int, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()


def backend_cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a backend; None when it has ended or runs on another machine."""
    try:
        process = psutil.Process(pid)
        if not process.name().startswith("postgres"):
            return None
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return None
    return times.user + times.system


def answers(server_url: str) -> str:
    """Return why no PostgreSQL answers at `server_url`, nothing when one does."""
    try:
        psycopg2.connect(server_url, connect_timeout=5).close()
    except psycopg2.Error as error:
        return str(error).strip()
    return ""


def version(server_url: str) -> str | None:
    """Return the version of the PostgreSQL at `server_url`; None when none answers."""
    try:
        with contextlib.closing(psycopg2.connect(server_url, connect_timeout=5)) as connection:
            return f"{connection.server_version // 10000}"
    except psycopg2.Error:
        return None


@contextlib.contextmanager
def scratch_postgres(server_url: str) -> Iterator[Postgres]:
    """Create a database for the time of the context."""
    name = f"ov2xmp_bench_{os.getpid()}_{next(_numbers)}"
    with contextlib.closing(psycopg2.connect(server_url)) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
            try:
                with contextlib.closing(Postgres(server_url, name)) as database:
                    yield database
            finally:
                cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
