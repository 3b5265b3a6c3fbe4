"""Ten thousand stations on one csms process that do little: their memory, their CPU time, and a command to one."""

import time
from dataclasses import dataclass

from tests.bench import report
from tests.bench.bench import Bench, Outcome, say
from tests.bench.fleets import fleet
from tests.bench.measure import FIRST_STATIONS, SETTLE
from tests.bench.rest import Commands, identities, operating
from tests.bench.targets import Platform

STATIONS, SECONDS = 10_000, 45
# Seconds between two heartbeats of a station.
EVERY = 60
# Loopback addresses: one has ports for twenty-eight thousand connections, and none to spare.
SOURCES = 4
MAX_KIB_PER_STATION = 20


@dataclass(frozen=True)
class Figures:
    bytes_per_station: float
    connected_after: float
    cpu_share: float
    heartbeats: float
    heartbeat_p99_ms: float
    commands: Commands
    errors: dict[str, int]


def run(bench: Bench) -> Outcome:
    stations = bench.option("stations", STATIONS)
    bench.allow_files(stations)
    found: dict[str, Figures] = {}
    for name in bench.databases():
        with bench.platform(name, relays=True) as target:
            say(f"{target.name}: {stations} idle stations")
            found[target.name] = measure(bench, target, stations)
    outcome = Outcome([figures(found, stations)])
    for name, each in found.items():
        kib = each.bytes_per_station / 1024
        outcome.goals.append(report.at_most(f"{name}: KiB per station", MAX_KIB_PER_STATION, kib, 1))
        outcome.count(f"{name}: commands that failed", each.commands.failures)
        outcome.count(f"{name}: errors", [f"{count} times {kind}" for kind, count in each.errors.items()])
    return outcome


def measure(bench: Bench, target: Platform, stations: int) -> Figures:
    seconds = bench.option("seconds", SECONDS)
    more = ("--sources", str(SOURCES), "--every", str(EVERY))
    with target.serving() as server, fleet(target, "idle", FIRST_STATIONS, "FIRST-", bench.log):
        time.sleep(SETTLE)
        before, began = server.memory(), time.perf_counter()
        with fleet(target, "heartbeats", stations, "IDLE-", bench.log, *more) as idle:
            connected_after = time.perf_counter() - began
            time.sleep(SETTLE)
            memory = server.memory() - before
            idle.begin()
            cpu, began = server.cpu_seconds(), time.perf_counter()
            time.sleep(seconds)
            cpu_share = (server.cpu_seconds() - cpu) / (time.perf_counter() - began)
            beats = idle.report()
            with operating(target.web_port, identities("IDLE-", stations)) as operators:
                commands = operators.during(max(seconds / 4, 2))
            errors = idle.report()["errors"]
    return Figures(
        bytes_per_station=memory / stations,
        connected_after=connected_after,
        cpu_share=cpu_share,
        heartbeats=beats["rate"],
        heartbeat_p99_ms=beats["p99_ms"],
        commands=commands,
        errors=errors,
    )


def figures(found: dict[str, Figures], stations: int) -> str:
    columns = list(found.values())
    rows = [
        ["stations on one csms process", *(report.number(stations) for _ in columns)],
        ["seconds until all had booted", *(report.number(each.connected_after, 1) for each in columns)],
        ["memory of a station (KiB)", *(report.number(each.bytes_per_station / 1024, 1) for each in columns)],
        ["heartbeats a second", *(report.number(each.heartbeats, 1) for each in columns)],
        [
            "latency of a heartbeat, 99th percentile (ms)",
            *(report.number(each.heartbeat_p99_ms, 1) for each in columns),
        ],
        ["CPU of the csms, share of one core", *(f"{each.cpu_share:.1%}" for each in columns)],
        ["command to one of them, median (ms)", *(report.number(each.commands.p50_ms, 1) for each in columns)],
        ["command to one of them, 99th percentile (ms)", *(report.number(each.commands.p99_ms, 1) for each in columns)],
        ["commands answered", *(report.number(len(each.commands.seconds)) for each in columns)],
    ]
    return report.table(["", *found], rows)
