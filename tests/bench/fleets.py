"""Fleets of stations: load generators beside the benchmark, each a process of its own."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.bench.processes import BenchError, Process, module, running


class Reachable(Protocol):
    """Something that stations connect to, and the WebSocket subprotocol they speak there."""

    @property
    def port(self) -> int: ...

    @property
    def speaks(self) -> str: ...


def load_command(target: Reachable, *arguments: str) -> list[str]:
    return module("tests.bench.load", "--port", str(target.port), "--speaks", target.speaks, *arguments)


def read_event(load: Process, event: str) -> dict[str, Any]:
    """Read the load generator's output up to an event."""
    assert load.popen.stdout is not None
    for line in load.popen.stdout:
        message: dict[str, Any] = json.loads(line)
        if message["event"] == event:
            return message
    load.popen.wait()
    raise BenchError(f"{load.name} ended before it was {event}:\n{load.tail()}")


class Fleet:
    """Stations that do what they do until the end of the context, and what is asked of them meanwhile."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def ask(self, what: str, event: str) -> dict[str, Any]:
        """Say what is to be done and wait until it is."""
        self.tell(what)
        return read_event(self.process, event)

    def tell(self, what: str) -> None:
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.write(f"{what}\n")
        self.process.popen.stdin.flush()

    def begin(self) -> None:
        """Measure from now on."""
        self.ask("begin", "measuring")

    def report(self) -> dict[str, Any]:
        """Return what was measured since."""
        return self.ask("report", "result")


@contextlib.contextmanager
def fleet(target: Reachable, play: str, stations: int, prefix: str, log: Path, *more: str) -> Iterator[Fleet]:
    """Keep stations connected; the block is entered once all have booted."""
    command = load_command(target, "--play", play, "--prefix", prefix, "--stations", str(stations), *more)
    with running(f"the load generator ({play})", command, log, talks=True) as load:
        read_event(load, "ready")
        yield Fleet(load)
