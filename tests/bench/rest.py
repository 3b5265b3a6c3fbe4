"""The REST side of a benchmark: operators who send commands and wait for the stations' answers."""

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.load import percentile
from tests.bench.targets import log_in

# Longer than the platform lets anybody wait for a station.
TIMEOUT = 60
ANSWERED = 200


class Operator:
    """A client with one connection and one token."""

    def __init__(self, web_port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", web_port, timeout=TIMEOUT)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def close(self) -> None:
        self._connection.close()

    def clear_cache(self, station: str) -> tuple[int, str]:
        """Send a command to a station and wait for its answer; return the status and what was answered."""
        body = json.dumps({"chargepoint_id": station})
        try:
            self._connection.request("POST", "/api/ocpp16/clearcache/", body, self._headers)
            response = self._connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return 0, repr(error)


@dataclass
class Commands:
    """What came of commands: seconds of each that was answered, and why others were not."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p50_ms(self) -> float:
        return percentile(sorted(self.seconds), 0.5) * 1000

    @property
    def p99_ms(self) -> float:
        return percentile(sorted(self.seconds), 0.99) * 1000

    def note(self, seconds: float, status: int, text: str) -> None:
        if status == ANSWERED:
            self.seconds.append(seconds)
        else:
            self.failures.append(f"{status} after {seconds:.1f} s: {text[:200]}")


class Operators:
    """Operators who send one command after the other, each in a thread, to stations in turn."""

    def __init__(self, web_port: int, stations: Sequence[str], count: int, pause: float) -> None:
        self._token = log_in(web_port)
        self._web_port = web_port
        self._pause = pause
        self._ended = threading.Event()
        self._stations = itertools.cycle(stations)
        self._lock = threading.Lock()
        self._commands = Commands()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def take(self) -> Commands:
        """Return what came of the commands since the last time."""
        with self._lock:
            taken, self._commands = self._commands, Commands()
            return taken

    def during(self, seconds: float) -> Commands:
        """Return what comes of the commands of the next seconds."""
        self.take()
        time.sleep(seconds)
        return self.take()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with contextlib.closing(Operator(self._web_port, self._token)) as operator:
            while not self._ended.wait(self._pause):
                with self._lock:
                    station = next(self._stations)
                began = time.perf_counter()
                status, text = operator.clear_cache(station)
                with self._lock:
                    self._commands.note(time.perf_counter() - began, status, text)


@contextlib.contextmanager
def operating(web_port: int, stations: Sequence[str], *, count: int = 1, pause: float = 0.05) -> Iterator[Operators]:
    """Have operators send commands for the time of the context, each again after a `pause` in s."""
    with contextlib.closing(Operators(web_port, stations, count, pause)) as operators:
        yield operators


def all_at_once(web_port: int, stations: Sequence[str]) -> "list[tuple[float, int, str]]":
    """Send a command to each station at once; return seconds, status and text of each answer."""
    token = log_in(web_port)
    answers: list[tuple[float, int, str]] = []

    def one(station: str) -> None:
        began = time.perf_counter()
        with contextlib.closing(Operator(web_port, token)) as operator:
            status, text = operator.clear_cache(station)
        answers.append((time.perf_counter() - began, status, text))

    threads = [threading.Thread(target=one, args=(station,), daemon=True) for station in stations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def identities(prefix: str, count: int) -> list[str]:
    """Name the stations of a fleet."""
    return [f"{prefix}{number:05d}" for number in range(count)]
