"""Log lines on their way to Logstash, as JSON over TCP.

Whoever logs only queues a line; a thread sends it with python-logstash. The queue is bounded by
its bytes: while Logstash is away, or slower than what is logged, further lines are dropped and
counted. The console has them all.

A line is sent again when its connection breaks, so Logstash may get one twice. What the operating
system has taken over is lost if Logstash dies before it reads that: TCP does not tell.
"""

import logging
import os
import queue
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from logging.handlers import QueueHandler, QueueListener

from logstash import TCPLogstashHandler
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

# Seconds between two attempts, twice as many each time.
FIRST_PAUSE, LAST_PAUSE = 0.1, 10.0
# Seconds between two lines about lines that were dropped.
TELL_INTERVAL = 60.0
# Bytes that the operating system may hold: what is lost with a Logstash that dies.
SEND_BUFFER = 64 * 1024

_handlers: "weakref.WeakSet[LogstashHandler]" = weakref.WeakSet()


class Backlog(queue.Queue[bytes | None]):
    """The lines that wait, at most `maxsize` bytes and one line; a None ends them."""

    def _init(self, maxsize: int) -> None:
        self._lines: deque[bytes | None] = deque()
        self._size = 0

    def _qsize(self) -> int:
        return self._size

    def _put(self, item: bytes | None) -> None:
        self._lines.append(item)
        self._size += _weight(item)

    def _get(self) -> bytes | None:
        item = self._lines.popleft()
        self._size -= _weight(item)
        return item

    def end(self) -> None:
        """Let whoever takes the lines stop behind the last one, however full it is."""
        with self.not_empty:
            self._put(None)
            self.unfinished_tasks += 1
            self.not_empty.notify()

    def count(self) -> int:
        """Return how many lines wait."""
        with self.mutex:
            return sum(line is not None for line in self._lines)


def _weight(item: bytes | None) -> int:
    return 1 if item is None else len(item)


class Connection(TCPLogstashHandler):
    """The connection to Logstash: python-logstash's, except that whoever sends learns whether it worked."""

    def __init__(self, host: str, port: int, *, timeout: float, stall_timeout: float) -> None:
        super().__init__(host, port)
        self.timeout = timeout
        self.stall_timeout = stall_timeout
        self.failure = ""

    def deliver(self, line: bytes) -> bool:
        """Give a whole line to a connection that stands; False, with `failure`, where there is none."""
        try:
            sock = self.sock
            if sock is None or self._has_ended(sock):
                self.hang_up()
                sock = self.sock = self.makeSocket(self.timeout)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
                sock.settimeout(self.stall_timeout)
            rest = memoryview(line)
            # Not sendall, whose time limit is for all of it: a Logstash that is slow is no reason to begin anew.
            while rest:
                rest = rest[sock.send(rest) :]
        except (OSError, ValueError, OverflowError) as error:
            # ValueError and OverflowError: a host or a port that can be none.
            self.failure = str(error) or type(error).__name__
            self.hang_up()
            return False
        return True

    def _has_ended(self, sock: socket.socket) -> bool:
        """Tell whether Logstash has closed the connection: what is sent into that is lost without an error."""
        sock.settimeout(0)
        try:
            return sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        finally:
            sock.settimeout(self.stall_timeout)

    def hang_up(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class Shipper(QueueListener):
    """The thread that sends what waits, one line after the other, each until it has arrived or all is over."""

    def __init__(self, backlog: Backlog, connection: Connection) -> None:
        super().__init__(backlog)
        self.connection = connection
        self.closing = threading.Event()
        # Lines that the queue had no room for, counted by whoever logs, and lines that nobody took, by the thread.
        self.refused = 0
        self._undelivered = 0
        self._told = 0
        self._told_at = time.monotonic()
        self._away = False
        self._given_up = False

    def handle(self, record: bytes) -> None:
        pause = FIRST_PAUSE
        while not self._given_up:
            if self.connection.deliver(record):
                self._tell_of_return()
                self._tell_of_drops()
                return
            # The last attempt has begun before or with the end.
            self._given_up = self.closing.is_set()
            self._tell_of_absence()
            self._tell_of_drops()
            self.closing.wait(pause)
            pause = min(2 * pause, LAST_PAUSE)
        self._undelivered += 1

    @property
    def dropped(self) -> int:
        return self.refused + self._undelivered

    def _tell_of_absence(self) -> None:
        if not self._away:
            self._away = True
            logger.warning("%s does not take log lines: %s", self._logstash, self.connection.failure)

    def _tell_of_return(self) -> None:
        if self._away:
            self._away = False
            logger.warning("%s takes log lines again", self._logstash)

    def _tell_of_drops(self) -> None:
        if self.dropped > self._told and time.monotonic() - self._told_at >= TELL_INTERVAL:
            self._told_at = time.monotonic()
            self.tell_dropped()

    def tell_dropped(self) -> None:
        """Say how many lines were dropped since that was said last."""
        dropped = self.dropped
        logger.warning("%d log lines were dropped: %s did not take them", dropped - self._told, self._logstash)
        self._told = dropped

    @property
    def _logstash(self) -> str:
        return f"Logstash at {self.connection.host}:{self.connection.port}"

    @property
    def started(self) -> bool:
        return self._thread is not None

    def finish(self, seconds: float) -> None:
        """Send what waits, for so long at most, but wait for no Logstash that is away."""
        thread = self._thread
        if thread is None or self.closing.is_set():
            return
        self.closing.set()
        self.queue.end()
        thread.join(seconds)
        self._undelivered += self.queue.count() + thread.is_alive()
        if self.dropped > self._told:
            self.tell_dropped()


class LogstashHandler(QueueHandler):
    """Queues lines for Logstash; it never waits and never fails.

    `timeout` is in seconds for a connection, and for what waits at the end of the process;
    `stall_timeout` in seconds that Logstash may take nothing before it is connected to anew;
    `queue_size` in bytes.
    """

    def __init__(self, host: str, port: int, *, timeout: float, stall_timeout: float, queue_size: int) -> None:
        # Made first: at the end of the process logging closes what was made last first.
        self._connection = Connection(host, port, timeout=timeout, stall_timeout=stall_timeout)
        super().__init__(Backlog(queue_size))
        self._shipper = Shipper(self.queue, self._connection)
        _handlers.add(self)

    @property
    def dropped(self) -> int:
        """How many lines were dropped since the process began."""
        return self._shipper.dropped

    def setFormatter(self, fmt: logging.Formatter | None) -> None:
        super().setFormatter(fmt)
        self._connection.setFormatter(fmt)

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        # What is told of Logstash itself is for the console: the thread must not wait for this handler.
        return record.name != __name__ and super().filter(record)

    def prepare(self, record: logging.LogRecord) -> bytes:
        # Here and not in the thread: arguments may change, and a line is smaller than what it tells of.
        return self._connection.makePickle(record)

    def enqueue(self, record: bytes) -> None:
        shipper = self._shipper
        try:
            if not shipper.started:
                shipper.start()
            self.queue.put_nowait(record)
        except (queue.Full, RuntimeError):
            # RuntimeError: no thread can be started, as at the end of the interpreter.
            shipper.refused += 1

    def close(self) -> None:
        """Send what waits, within `timeout`."""
        self._shipper.finish(self._connection.timeout)
        self._connection.close()
        super().close()

    def start_anew(self) -> None:
        """Begin with nothing in a process that was forked: the lines that wait are its parent's, and so is the thread."""
        self._connection.hang_up()
        self.queue = Backlog(self.queue.maxsize)
        self._shipper = Shipper(self.queue, self._connection)


def _start_anew() -> None:
    for handler in list(_handlers):
        handler.start_anew()


os.register_at_fork(after_in_child=_start_anew)


class _Dropped(Collector):
    """The metric of dropped lines; prometheus_client's own counters take a lock that a fork may leave taken."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        lines = CounterMetricFamily("log_lines_dropped", "Log lines that Logstash did not take")
        lines.add_metric([], sum(handler.dropped for handler in list(_handlers)))
        yield lines


REGISTRY.register(_Dropped())
