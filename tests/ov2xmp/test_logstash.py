"""Logstash as the platform's processes meet it: there, away, slow, silent, and back."""

import logging
import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any

import pytest

from csms import metrics
from ov2xmp.logformat import FIELDS, ContextFilter, LogstashFormatter
from ov2xmp.logstash import LogstashHandler
from tasks import logcontext
from tests.e2e.launcher import free_ports
from tests.logstash import Listener

ROOT = Path(__file__).parents[2]

Ship = Callable[..., LogstashHandler]

logger = logging.getLogger("tests.shipped")


@pytest.fixture
def ship() -> Iterator[Ship]:
    """Return a function that sends what `logger` says to a port."""
    with ExitStack() as stack:

        def ship(port: int, **options: Any) -> LogstashHandler:
            options = {"host": "127.0.0.1", "timeout": 5, "stall_timeout": 5, "queue_size": 1024 * 1024, **options}
            handler = LogstashHandler(port=port, **options)
            handler.setFormatter(LogstashFormatter())
            handler.addFilter(ContextFilter())
            logger.addHandler(handler)
            stack.callback(handler.close)
            stack.callback(logger.removeHandler, handler)
            return handler

        logger.setLevel(logging.INFO)
        logger.propagate = False
        stack.callback(setattr, logger, "propagate", True)
        yield ship


def messages(listener: Listener, count: int) -> list[str]:
    return [listener.next()["message"] for _ in range(count)]


def test_a_line_arrives_as_one_json_object_with_what_it_belongs_to(ship: Ship) -> None:
    with Listener() as listener:
        ship(listener.port)
        with logcontext.bound(chargepoint_id="CP1", request_id="17"):
            logger.info("two\nlines and %s", "more", extra={"password": "hunter2"})
        line = listener.next()
    assert line.keys() <= set(FIELDS)
    assert (line["message"], line["level"], line["logger"]) == ("two\nlines and more", "INFO", "tests.shipped")
    assert (line["chargepoint_id"], line["request_id"], line["pid"]) == ("CP1", "17", os.getpid())
    assert "hunter2" not in str(line)


@pytest.fixture
def told() -> Iterator["queue.SimpleQueue[logging.LogRecord]"]:
    """Yield what the platform says about Logstash on the console."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = QueueHandler(records)
    logging.getLogger("ov2xmp.logstash").addHandler(handler)
    yield records
    logging.getLogger("ov2xmp.logstash").removeHandler(handler)


def test_what_is_logged_while_logstash_is_away_arrives_when_it_is_back(
    ship: Ship, told: "queue.SimpleQueue[logging.LogRecord]"
) -> None:
    (port,) = free_ports(1)
    handler = ship(port)
    for number in range(5):
        logger.info("line %d", number)
    assert f"Logstash at 127.0.0.1:{port} does not take log lines: " in told.get(timeout=10).message
    with Listener(port) as listener:
        assert messages(listener, 5) == [f"line {number}" for number in range(5)]
        assert told.get(timeout=10).message == f"Logstash at 127.0.0.1:{port} takes log lines again"
        logger.info("line 5")
        # What the platform says about Logstash is for the console alone.
        assert messages(listener, 1) == ["line 5"]
    assert handler.dropped == 0


def test_what_is_sent_after_logstash_was_restarted_is_not_lost(ship: Ship) -> None:
    with Listener() as listener:
        ship(listener.port)
        for number in range(10):
            logger.info("line %d", number)
            assert messages(listener, 1) == [f"line {number}"]
            listener.hang_up()


def test_a_line_that_a_broken_connection_tore_is_sent_again_whole(ship: Ship) -> None:
    long = "x" * 5_000_000
    with Listener(reading=False) as listener:
        ship(listener.port, queue_size=10_000_000)
        logger.info(long)
        assert listener.accepted.acquire(timeout=10)
        listener.hang_up()
        listener.reading.set()
        assert messages(listener, 1) == [long]


def test_a_logstash_that_reads_nothing_holds_nobody_up_and_gets_whole_lines_later(ship: Ship) -> None:
    count = 3000
    with Listener(reading=False) as listener:
        handler = ship(listener.port, queue_size=64 * 1024)
        for number in range(count):
            logger.info("%d %s", number, "x" * 2000)
        # Nothing was read so far, and all of this has returned.
        dropped = handler.dropped
        assert 0 < dropped < count
        listener.reading.set()
        numbers = [int(message.split()[0]) for message in messages(listener, count - dropped)]
    assert numbers == sorted(numbers)
    assert listener.torn.empty()


def test_a_logstash_that_takes_nothing_for_too_long_is_connected_to_anew(ship: Ship) -> None:
    with Listener(reading=False) as listener:
        ship(listener.port, stall_timeout=0.1, queue_size=30_000_000)
        logger.info("x" * 20_000_000)
        assert listener.accepted.acquire(timeout=10)
        assert listener.accepted.acquire(timeout=10)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """Yield a port whose connections are neither accepted nor refused, as behind a firewall."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        while True:
            # Until its queue of connections is full.
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            try:
                client.connect(server.getsockname())
            except TimeoutError:
                break
        yield server.getsockname()[1]


def test_a_logstash_that_cannot_be_reached_costs_a_bounded_memory_and_is_told_of(
    ship: Ship, black_hole: int, caplog: pytest.LogCaptureFixture
) -> None:
    handler = ship(black_hole, timeout=0.2, queue_size=10_000)
    for number in range(1000):
        logger.info("line %d", number)
    assert handler.queue.qsize() < 10_000 + 500
    assert 900 < handler.dropped < 1000
    counted = next(
        line for line in metrics.render().decode().splitlines() if line.startswith("log_lines_dropped_total")
    )
    assert float(counted.split()[1]) >= handler.dropped
    handler.close()
    assert handler.dropped >= 999
    assert f"log lines were dropped: Logstash at 127.0.0.1:{black_hole} did not take them" in caplog.text


@pytest.mark.parametrize(("host", "port"), [("x" * 70, 5959), ("127.0.0.1", 99999)])
def test_an_address_that_can_be_none_is_told_and_nothing_else_happens(
    ship: Ship, told: "queue.SimpleQueue[logging.LogRecord]", host: str, port: int
) -> None:
    handler = ship(port, host=host)
    logger.info("line")
    assert f"Logstash at {host}:{port} does not take log lines: " in told.get(timeout=10).message
    handler.close()
    assert handler.dropped == 1


def run(code: str, port: int, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process of the platform that ends by itself."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OV2XMP_", "PYTHON"))}
    settings = {
        "DJANGO_SETTINGS_MODULE": "ov2xmp.settings",
        "OV2XMP_DATA_DIR": str(tmp_path),
        "OV2XMP_LOGSTASH_ENABLE": "1",
        "OV2XMP_LOGSTASH_HOST": "127.0.0.1",
        "OV2XMP_LOGSTASH_PORT": str(port),
        "OV2XMP_LOGSTASH_TIMEOUT": "10",
    }
    begin = "import logging, os, signal, django; django.setup(); log = logging.getLogger('it').info\n"
    return subprocess.run(
        [sys.executable, "-c", begin + code],
        cwd=ROOT,
        env=inherited | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_a_process_that_ends_sends_what_waits(tmp_path: Path) -> None:
    with Listener() as listener:
        ended = run("for number in range(500): log('line %d', number)", listener.port, tmp_path)
        assert messages(listener, 500) == [f"line {number}" for number in range(500)]
    assert ended.returncode == 0
    assert "Logstash" not in ended.stderr


def test_a_process_that_ends_waits_for_no_logstash_that_is_away(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    # Its end must come before the 10 s that it has for a Logstash that is there.
    code = "signal.alarm(8)\nfor number in range(500): log('line %d', number)"
    ended = run(code, port, tmp_path)
    assert ended.returncode != -signal.SIGALRM
    assert "500 log lines were dropped" in ended.stderr


def test_a_forked_process_sends_its_own_lines_and_none_of_its_parent(tmp_path: Path) -> None:
    code = """
for number in range(50): log("parent %d", number)
if child := os.fork():
    os.waitpid(child, 0)
    log("parent 50")
else:
    for number in range(50): log("child %d", number)
    logging.shutdown()
    os._exit(0)
"""
    with Listener() as listener:
        assert run(code, listener.port, tmp_path).returncode == 0
        lines = [listener.next() for _ in range(101)]
        assert listener.lines.empty()
    by_name = {name: [line for line in lines if line["message"].startswith(name)] for name in ("parent", "child")}
    assert [line["message"] for line in by_name["parent"]] == [f"parent {number}" for number in range(51)]
    assert [line["message"] for line in by_name["child"]] == [f"child {number}" for number in range(50)]
    assert {line["pid"] for line in by_name["parent"]}.isdisjoint(line["pid"] for line in by_name["child"])
