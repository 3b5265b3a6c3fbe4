"""On SQLite, whoever waits to write is the next to do so."""

import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction

from ov2xmp.sqlite import DOOR
from tests.e2e.launcher import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL locks rows"),
]


@pytest.fixture
def door() -> Path:
    return Path(f"{connection.settings_dict['NAME']}{DOOR}")


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run something in a thread with a connection of its own; wait for its end at the end of the test."""
    threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                connection.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def somebody_stands_in(door: Path) -> bool:
    with door.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def write_in_a_transaction(name: str) -> None:
    with transaction.atomic():
        Group.objects.create(name=name)


def write_by_a_statement(name: str) -> None:
    Group.objects.create(name=name)


@pytest.mark.parametrize("write", [write_in_a_transaction, write_by_a_statement])
def test_whoever_writes_all_the_time_lets_another_in_between(
    write: Callable[[str], None], door: Path, beside: Callable[[Callable[[], None]], None]
) -> None:
    names = [f"{name} {write.__name__}" for name in ("first", "between")]
    with transaction.atomic():
        Group.objects.create(name=names[0])
        beside(lambda: write(names[1]))
        wait_until(lambda: somebody_stands_in(door), 10, lambda: "nobody wants to write")
    with transaction.atomic():
        assert Group.objects.filter(name__in=names).count() == 2


def test_a_database_that_stays_locked_is_given_up_after_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.2)
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"), transaction.atomic():
            pass
        holder.execute("ROLLBACK")
    with transaction.atomic():
        Group.objects.create(name="later")
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA busy_timeout").fetchone() == (200,)


def test_a_door_that_cannot_be_made_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ov2xmp.sqlite.DOOR", "-turn/in/no/folder")
    with transaction.atomic():
        Group.objects.create(name="all the same")
    assert Group.objects.filter(name="all the same").exists()
