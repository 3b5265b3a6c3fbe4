"""Live updates: from a station's frame to a frontend's, with one listener and with many, and with some that read nothing."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.bench import report
from tests.bench.bench import Bench, Outcome, say
from tests.bench.fleets import Fleet, fleet, load_command, read_event
from tests.bench.listeners import STILL_OPEN
from tests.bench.processes import module, running
from tests.bench.targets import Platform, log_in

STATIONS, SECONDS, WARM_UP = 500, 10, 3
# Stations that send a reading a second, listeners to them, and those that read nothing under load.
PACED, LISTENERS, DEAF = 10, 200, 5
# Seconds until all have joined the group of their topic, and within which the last updates must be there.
SETTLE = 2
DELIVERY_TIMEOUT = 60
# Updates that fill the kernel's buffers and the queue of a listener that reads nothing, with room to
# spare, and how often the load is repeated until so many have been sent.
ENOUGH = 15_000
MOST_REPEATS = 6
MAX_SLOWDOWN = 1.5


@dataclass(frozen=True)
class Figures:
    """What listeners heard, of a few stations and under load; `deaf` is how those were closed who read nothing.

    Memory of the web process in bytes: what it grew by under load, without and with them.
    """

    one: dict[str, Any]
    many: dict[str, Any]
    missed: int
    loaded: dict[str, Any]
    loaded_growth: int
    beside_deaf: dict[str, Any]
    deaf_growth: int
    deaf: dict[str, int]

    @property
    def slowdown(self) -> float:
        return float(self.beside_deaf["p50_ms"] / self.loaded["p50_ms"])


def run(bench: Bench) -> Outcome:
    stations = bench.option("stations", STATIONS)
    bench.allow_files(stations)
    found: dict[str, Figures] = {}
    for name in bench.databases():
        with bench.platform(name, listens=False) as target:
            say(f"{target.name}: live updates")
            found[target.name] = measure(bench, target, stations)
    outcome = Outcome([figures(found)])
    for name, each in found.items():
        outcome.count(f"{name}: updates that a listener missed", ["an update"] * each.missed)
        # Those that were dropped long ago have no code any more: Daphne's own pings were not answered.
        outcome.count(f"{name}: listeners that read nothing and stay", ["a listener"] * each.deaf.get(STILL_OPEN, 0))
        slower = f"{name}: median beside listeners that read nothing against that without"
        outcome.goals.append(report.at_most(slower, MAX_SLOWDOWN, each.slowdown))
    return outcome


def measure(bench: Bench, target: Platform, stations: int) -> Figures:
    seconds = bench.option("seconds", SECONDS)
    with target.serving():
        one, missed_by_one = watch(bench, target, 1, seconds)
        many, missed_by_many = watch(bench, target, LISTENERS, seconds)
        with listening(bench, target, 1) as listener:
            loaded, loaded_growth = load(bench, target, listener, stations, "LOAD-")
            with listening(bench, target, DEAF, "--deaf") as deaf:
                beside_deaf, deaf_growth = load(bench, target, listener, stations, "DEAF-0-")
                for number in range(1, MOST_REPEATS):
                    if listener.report()["heard_in_all"] - loaded["heard_in_all"] >= ENOUGH:
                        break
                    load(bench, target, listener, stations, f"DEAF-{number}-")
                codes = deaf.ask("read", "read")["codes"]
    return Figures(
        one=one,
        many=many,
        missed=missed_by_one + missed_by_many,
        loaded=loaded,
        loaded_growth=loaded_growth,
        beside_deaf=beside_deaf,
        deaf_growth=deaf_growth,
        deaf=codes,
    )


def watch(bench: Bench, target: Platform, count: int, seconds: float) -> tuple[dict[str, Any], int]:
    """Return what listeners heard of a few stations, and how many updates they missed."""
    prefix = f"PACED-{count}-"
    with listening(bench, target, count) as listeners, fleet(target, "paced", PACED, prefix, bench.log) as paced:
        time.sleep(SETTLE)
        listeners.begin()
        time.sleep(seconds)
        heard = listeners.report()
        paced.ask("stop", "stopped")
        due = count * paced.report()["acknowledged"]
        deadline = time.monotonic() + DELIVERY_TIMEOUT
        while (missed := due - listeners.report()["heard_in_all"]) > 0 and time.monotonic() < deadline:
            time.sleep(0.1)
    return heard, missed


def load(bench: Bench, target: Platform, listener: Fleet, stations: int, prefix: str) -> tuple[dict[str, Any], int]:
    """Return what a listener heard under load, and what the memory of the web process grew by."""
    command = load_command(
        target,
        *("--prefix", prefix, "--stations", str(stations)),
        *("--warm-up", str(bench.option("warm_up", WARM_UP)), "--seconds", str(bench.option("seconds", SECONDS))),
    )
    with running("the load generator", command, bench.log, talks=True) as generator:
        read_event(generator, "measuring")
        listener.begin()
        before = target.processes["web"].memory()
        read_event(generator, "measured")
        heard = listener.report()
        growth = target.processes["web"].memory() - before
        read_event(generator, "result")
    return heard, growth


@contextlib.contextmanager
def listening(bench: Bench, target: Platform, count: int, *more: str) -> Iterator[Fleet]:
    """Have frontends listen to the meter values."""
    token = log_in(target.web_port)
    arguments = ("--port", str(target.web_port), "--token", token, "--listeners", str(count))
    command = module("tests.bench.listeners", *arguments, *more)
    with running("the listeners", command, bench.log, talks=True) as process:
        read_event(process, "ready")
        time.sleep(SETTLE)
        yield Fleet(process)


def figures(found: dict[str, Figures]) -> str:
    columns = list(found.values())

    def latency(label: str, name: str) -> list[list[str]]:
        heard: list[dict[str, Any]] = [getattr(each, name) for each in columns]
        return [
            [f"{label}, median (ms)", *(report.number(each["p50_ms"], 1) for each in heard)],
            [f"{label}, 99th percentile (ms)", *(report.number(each["p99_ms"], 1) for each in heard)],
            [f"{label}, updates heard", *(report.number(each["heard"]) for each in heard)],
        ]

    def mib(value: float) -> str:
        return report.number(value / 2**20 if not math.isnan(value) else None, 1)

    rows = [
        *latency(f"{PACED} readings a second, one listener", "one"),
        *latency(f"{PACED} readings a second, {LISTENERS} listeners", "many"),
        *latency("under load, one listener", "loaded"),
        *latency(f"under load, one listener beside {DEAF} that read nothing", "beside_deaf"),
        ["memory of web, growth under load (MiB)", *(mib(each.loaded_growth) for each in columns)],
        [f"memory of web, growth beside {DEAF} that read nothing (MiB)", *(mib(each.deaf_growth) for each in columns)],
        [
            "how those were closed",
            *(", ".join(f"{count} x {code}" for code, count in each.deaf.items()) for each in columns),
        ],
    ]
    return report.table(["", *found], rows)
