"""SQLite's one writer at a time, in turns.

Whoever finds the database locked looks again after a while, by SQLite's own doing after a tenth of a
second in the end. A csms under load leaves it unlocked for less than a millisecond at a time, so a
request of web's may find it locked until its time is over. So whoever wants to write passes a door,
one process or thread at a time, and looks often while it stands there: it is the next to write.
"""

import contextlib
import fcntl
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3.base import DatabaseWrapper

# Seconds between two looks.
PAUSE = 0.002
WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
# What is added to the name of the database's file.
DOOR = "-turn"

_begin = DatabaseWrapper._start_transaction_under_autocommit


def take_turns() -> None:
    """Let whatever this process writes take turns with what others write."""
    DatabaseWrapper._start_transaction_under_autocommit = begin
    connection_created.connect(watch)


def begin(connection: DatabaseWrapper) -> None:
    """Begin a transaction. Raises OperationalError: the database is still locked after the connection's timeout."""
    if connection.transaction_mode != "IMMEDIATE" or connection.is_in_memory_db():
        _begin(connection)
        return
    door, deadline = turn(connection)
    connection.ensure_connection()
    raw = connection.connection
    with passing(door, deadline):
        raw.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    _begin(connection)
                    return
                except OperationalError as error:
                    if not is_busy(error) or time.monotonic() > deadline:
                        raise
                time.sleep(PAUSE)
        finally:
            raw.execute(f"PRAGMA busy_timeout={int(timeout(connection) * 1000)}")


def write_in_turn(
    execute: Callable[..., Any], statement: str, parameters: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Let a statement that writes without a transaction pass the door."""
    connection = context["connection"]
    if connection.in_atomic_block or not WRITES.match(statement) or connection.is_in_memory_db():
        return execute(statement, parameters, many, context)
    with passing(*turn(connection)):
        return execute(statement, parameters, many, context)


def watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Have a new connection's statements looked at."""
    if connection.vendor == "sqlite" and write_in_turn not in connection.execute_wrappers:
        connection.execute_wrappers.append(write_in_turn)


def timeout(connection: DatabaseWrapper) -> float:
    seconds: float = connection.settings_dict["OPTIONS"]["timeout"]
    return seconds


def turn(connection: DatabaseWrapper) -> tuple[str, float]:
    """Return the path of a database's door, and the moment until which to wait for it."""
    return f"{connection.settings_dict['NAME']}{DOOR}", time.monotonic() + timeout(connection)


def is_busy(error: OperationalError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


@contextlib.contextmanager
def passing(door: str, deadline: float) -> Iterator[None]:
    """Stand in the door inside; where it is not free in time, or there is none, without it."""
    try:
        file = os.open(door, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        # A full or read-only disk: what the database says of that is what counts.
        yield
        return
    try:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(PAUSE)
        yield
    finally:
        os.close(file)
