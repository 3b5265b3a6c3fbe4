"""Measure a target: its rate, latencies and CPU under load, its memory with idle stations, its hot functions."""

import collections
import contextlib
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench.fleets import fleet, load_command, read_event
from tests.bench.processes import BenchError, Process, running
from tests.bench.targets import Target

# Stations that connect before the memory of idle ones is measured: what is imported and opened
# once must not count as theirs.
FIRST_STATIONS = 100
# Seconds until freed memory and late work have settled.
SETTLE = 3
# Of the profile: samples a second, and seconds beyond its duration until it must be written.
SAMPLES_PER_SECOND = 200
PROFILE_TIMEOUT = 60


@dataclass(frozen=True)
class Round:
    """One run of the load.

    CPU in s spent while `messages` were answered, by process, and `elsewhere` on the machine, as a
    share of all its cores; latencies in ms.
    """

    messages: int
    seconds: float
    p50: float
    p99: float
    cpu: dict[str, float]
    elsewhere: float
    acknowledged: int
    stored: int | None
    heard: int | None
    errors: dict[str, int]
    examples: dict[str, str]


@dataclass
class Result:
    """All rounds of a target."""

    rounds: list[Round] = field(default_factory=list)
    bytes_per_station: float | None = None

    @property
    def messages(self) -> int:
        return sum(each.messages for each in self.rounds)

    @property
    def rate(self) -> float:
        return self.messages / sum(each.seconds for each in self.rounds)

    @property
    def p50(self) -> float:
        return statistics.mean(each.p50 for each in self.rounds)

    @property
    def worst_p99(self) -> float:
        return max(each.p99 for each in self.rounds)

    @property
    def elsewhere(self) -> float:
        return max(each.elsewhere for each in self.rounds)

    @property
    def acknowledged(self) -> int:
        return sum(each.acknowledged for each in self.rounds)

    @property
    def stored(self) -> int | None:
        counts = [each.stored for each in self.rounds if each.stored is not None]
        return sum(counts) if counts else None

    @property
    def heard(self) -> int | None:
        counts = [each.heard for each in self.rounds if each.heard is not None]
        return sum(counts) if counts else None

    @property
    def errors(self) -> collections.Counter[str]:
        return sum((collections.Counter(each.errors) for each in self.rounds), collections.Counter())

    def cpu_us(self, process: str) -> float | None:
        """Return the CPU time of a process per message in µs; None where it took no part."""
        if not any(process in each.cpu for each in self.rounds):
            return None
        return sum(each.cpu.get(process, 0) for each in self.rounds) / max(1, self.messages) * 1e6


@dataclass(frozen=True)
class LoadOptions:
    stations: int
    warm_up: float
    seconds: float
    # What the stations do in their closed loop.
    play: str = "readings"


def measure_round(target: Target, options: LoadOptions, prefix: str, log: Path) -> Round:
    """Put a fresh server of the target under load."""
    stored_before, heard_before = target.stored(), target.heard()
    command = load_command(
        target,
        *("--play", options.play, "--prefix", prefix, "--stations", str(options.stations)),
        *("--warm-up", str(options.warm_up), "--seconds", str(options.seconds)),
    )
    with target.serving() as server, running("the load generator", command, log, talks=True) as load:
        read_event(load, "measuring")
        before = cpu_seconds(target, server)
        read_event(load, "measured")
        after = cpu_seconds(target, server)
        result = read_event(load, "result")
        stored, heard = target.stored(), target.heard()
    cpu = spent(before, after)
    cpu["load"] = result["cpu_us"] * result["messages"] / 1e6
    machine = cpu.pop("machine")
    elsewhere = (machine - cpu.total()) / (psutil.cpu_count() or 1) / result["seconds"]
    return Round(
        messages=result["messages"],
        seconds=result["seconds"],
        p50=result["p50_ms"],
        p99=result["p99_ms"],
        cpu={name: seconds for name, seconds in cpu.items() if name != "bench"},
        elsewhere=elsewhere,
        acknowledged=result["acknowledged"],
        stored=None if stored is None or stored_before is None else stored - stored_before,
        heard=None if heard is None or heard_before is None else heard - heard_before,
        errors=result["errors"],
        examples=result["examples"],
    )


def cpu_seconds(target: Target, server: Process) -> dict[str, float]:
    """Return the CPU seconds spent so far by each process, by the benchmark itself and by the whole machine."""
    own = psutil.Process().cpu_times()
    total = psutil.cpu_times()
    idle = total.idle + getattr(total, "iowait", 0)
    return {
        "server": server.cpu_seconds(),
        **target.helpers(),
        "bench": own.user + own.system,
        # Guests are counted in user, too.
        "machine": sum(total) - idle - getattr(total, "guest", 0) - getattr(total, "guest_nice", 0),
    }


def spent(before: dict[str, float], after: dict[str, float]) -> collections.Counter[str]:
    """Return the CPU seconds that each process spent between two looks; PostgreSQL's backends count as one."""
    seconds = collections.Counter[str]()
    for name, at_last in after.items():
        seconds[name.partition(" ")[0]] += at_last - before.get(name, 0)
    return seconds


def measure_memory(target: Target, stations: int, log: Path) -> float:
    """Return the bytes that the target's server needs for each of `stations` idle ones."""
    with target.serving() as server, idle_stations(target, FIRST_STATIONS, "FIRST-", log):
        time.sleep(SETTLE)
        before = server.memory()
        with idle_stations(target, stations, "IDLE-", log):
            time.sleep(SETTLE)
            return (server.memory() - before) / stations


@contextlib.contextmanager
def idle_stations(target: Target, stations: int, prefix: str, log: Path) -> Iterator[None]:
    """Keep stations connected that have booted and say nothing."""
    with fleet(target, "idle", stations, prefix, log):
        yield


def profile(target: Target, options: LoadOptions, directory: Path) -> collections.Counter[str]:
    """Sample the target's server under load; return the samples by stack, frames joined by ``;``."""
    recorder = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if recorder is None:
        raise BenchError("py-spy is not installed, and the profile needs it")
    output = directory / "profile.txt"
    command = load_command(
        target,
        *("--prefix", "PROFILE-", "--stations", str(options.stations)),
        # Stopped when the profile is complete, which takes longer than its samples.
        *("--warm-up", str(options.warm_up), "--seconds", str(options.seconds + PROFILE_TIMEOUT)),
    )
    with target.serving() as server, running("the load generator", command, directory / "load.log", talks=True) as load:
        read_event(load, "measuring")
        record = [
            *(recorder, "record", "--pid", str(server.pid), "--duration", str(round(options.seconds))),
            # Threads that wait for the interpreter's lock would count as busy.
            *("--rate", str(SAMPLES_PER_SECOND), "--format", "raw", "--function", "--threads", "--gil"),
            *("--output", str(output)),
        ]
        with running("py-spy", record, directory / "py-spy.log") as spy:
            spy.finish(options.seconds + PROFILE_TIMEOUT)
    return parse_stacks(output.read_text())


def parse_stacks(text: str) -> collections.Counter[str]:
    """Read collapsed stacks: one a line, its number of samples after the last blank."""
    stacks = collections.Counter[str]()
    for line in text.splitlines():
        stack, _, samples = line.rpartition(" ")
        stacks[stack] += int(samples)
    return stacks
