"""What is left on a PostgreSQL of clients that the network has lost without a word."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ov2xmp import settings as project
from tests.e2e.launcher import wait_until
from tests.faults.network import Namespace, namespaces_work
from tests.faults.servers import Postgres, postgres_hindrance

TIMEOUT = 1
Connect = Callable[[], Any]


@pytest.fixture
def way() -> Iterator[Namespace]:
    if not namespaces_work():
        pytest.skip("only root may lay a network to the server")
    way = Namespace(3)
    yield way
    way.close()


@pytest.fixture
def connect(way: Namespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that connects as every process of the platform does."""
    if why := postgres_hindrance():
        pytest.skip(why)
    with server(way) as postgres:
        monkeypatch.setenv("OV2XMP_DATABASE_URL", postgres.url)
        monkeypatch.setattr(project, "DATABASE_TIMEOUT", TIMEOUT)
        options: Any = project.database()["OPTIONS"]
        yield lambda: psycopg2.connect(postgres.url, **options)


@contextmanager
def server(way: Namespace) -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="ov2xmp-lost-") as directory:
        # PostgreSQL's account must get to its own below.
        Path(directory).chmod(0o755)
        postgres = Postgres(Path(directory) / "postgres", way)
        try:
            postgres.start()
            yield postgres
        finally:
            postgres.kill()


def test_a_client_gives_up_a_server_that_it_has_lost_and_its_locks_are_not_kept(
    way: Namespace, connect: Connect
) -> None:
    with closing(connect()) as first, first.cursor() as cursor:
        cursor.execute("CREATE TABLE rows (key int PRIMARY KEY, value int)")
        cursor.execute("INSERT INTO rows VALUES (1, 1)")
        first.commit()
    lost = connect()
    with lost.cursor() as cursor:
        cursor.execute("UPDATE rows SET value = 2 WHERE key = 1")
        # What is not confirmed yet would be sent again, and tell the server that nobody is there.
        time.sleep(0.5)
        way.cut()
        started = time.monotonic()
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    assert time.monotonic() - started < 10 * TIMEOUT
    with pytest.raises(psycopg2.OperationalError):
        connect()
    way.heal()

    def is_free() -> bool:
        with closing(connect()) as later, later.cursor() as cursor:
            try:
                cursor.execute("UPDATE rows SET value = 3 WHERE key = 1")
            except psycopg2.errors.QueryCanceled:
                return False
            later.commit()
            return True

    wait_until(is_free, 10 * TIMEOUT, lambda: "the lock of a client that is gone is still held")
