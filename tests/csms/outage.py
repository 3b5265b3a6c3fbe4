"""Take the database away and give it back."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from typing import Any

import pytest
from django.db import connections
from psycopg2 import connect, sql

LOCK_WAIT = 0.05


def shorten_lock_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite wait for a lock no longer than tests want to; connections opened from now on do."""
    if connections["default"].vendor == "sqlite":
        monkeypatch.setitem(connections["default"].settings_dict["OPTIONS"], "timeout", LOCK_WAIT)


def server_connection(database: str = "postgres") -> Any:
    """Open a connection of the test's own, to the database that every PostgreSQL server has."""
    settings = connections["default"].settings_dict
    connection = connect(
        host=settings["HOST"],
        port=settings["PORT"] or None,
        user=settings["USER"],
        password=settings["PASSWORD"],
        dbname=database,
    )
    connection.autocommit = True
    return connection


@contextmanager
def locked() -> Iterator[None]:
    """Hold SQLite's write lock."""
    name = connections["default"].settings_dict["NAME"]
    # The event loop may let go of it in another thread than it was taken in.
    with closing(sqlite3.connect(name, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


@contextmanager
def gone() -> Iterator[None]:
    """End every session of a PostgreSQL database and let none begin."""
    name = connections["default"].settings_dict["NAME"]
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with closing(server_connection()) as server, server.cursor() as cursor:
        cursor.execute(allow.format(sql.Identifier(name), sql.Literal(False)))
        try:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            cursor.execute(allow.format(sql.Identifier(name), sql.Literal(True)))


@asynccontextmanager
async def database_away() -> AsyncIterator[None]:
    """Take the database away: no session is left on PostgreSQL, nobody can write to SQLite."""
    outage = gone() if connections["default"].vendor == "postgresql" else locked()
    await asyncio.to_thread(outage.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(outage.__exit__, None, None, None)


@contextmanager
def held_table(table: str) -> Iterator[None]:
    """Let whoever writes to a table wait: a lock on PostgreSQL, the write lock on SQLite."""
    if connections["default"].vendor == "sqlite":
        with locked():
            yield
        return
    name = connections["default"].settings_dict["NAME"]
    with closing(server_connection(name)) as server, server.cursor() as cursor:
        server.autocommit = False
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
        yield
        server.rollback()


@asynccontextmanager
async def database_hangs(table: str) -> AsyncIterator[None]:
    """Let whoever writes to a table wait, for as long as the database lets them."""
    hold = held_table(table)
    await asyncio.to_thread(hold.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(hold.__exit__, None, None, None)
