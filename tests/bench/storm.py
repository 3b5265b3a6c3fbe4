"""A reconnect storm: all stations lose their connections and come back at once, with Basic authentication.

Others send MeterValues and are sent commands meanwhile, and should notice little.
"""

import time
from dataclasses import dataclass
from typing import Any

from tests.bench import report
from tests.bench.bench import Bench, Outcome, say
from tests.bench.fleets import fleet
from tests.bench.rest import Commands, identities, operating
from tests.bench.targets import Platform

STATIONS, SECONDS = 5000, 15
OTHERS = 100
SOURCES = 4
KEY = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Figures:
    """What a storm did: to who came back, and to the messages of others and the commands, before and during it."""

    served: dict[str, Any]
    cpu_seconds: float
    before: dict[str, Any]
    during: dict[str, Any]
    commands_before: Commands
    commands_during: Commands


def run(bench: Bench) -> Outcome:
    stations = bench.option("stations", STATIONS)
    bench.allow_files(stations + OTHERS)
    found: dict[str, Figures] = {}
    for name in bench.databases():
        with bench.platform(name, relays=True) as target:
            say(f"{target.name}: {stations} stations come back at once")
            found[target.name] = measure(bench, target, stations)
    outcome = Outcome([figures(found, stations)])
    for name, each in found.items():
        failed = [f"{count} times {kind}" for kind, count in each.during["errors"].items()]
        outcome.goals.append(report.none(f"{name}: stations that had to try again", each.served["retries"]))
        outcome.count(f"{name}: stations that never came back", ["a station"] * each.served["never"])
        outcome.count(f"{name}: errors of others' messages", failed)
        outcome.count(f"{name}: commands that failed", each.commands_before.failures + each.commands_during.failures)
    return outcome


def measure(bench: Bench, target: Platform, stations: int) -> Figures:
    target.register("STORM-", stations, KEY)
    storm = ("--key", KEY, "--sources", str(SOURCES))
    with (
        target.serving() as server,
        fleet(target, "paced", OTHERS, "OTHER-", bench.log) as others,
        fleet(target, "idle", stations, "STORM-", bench.log, *storm) as stormy,
        operating(target.web_port, identities("OTHER-", OTHERS)) as operators,
    ):
        others.begin()
        commands_before = operators.during(bench.option("seconds", SECONDS))
        before = others.report()
        others.begin()
        cpu = server.cpu_seconds()
        served = stormy.ask("storm", "served")
        commands_during = operators.take()
        # Some of their messages are still on their way.
        time.sleep(1)
        during = others.report()
        cpu = server.cpu_seconds() - cpu
        if served["retries"]:
            say(f"a station had to try again: {served['example']}")
    return Figures(served, cpu, before, during, commands_before, commands_during)


def figures(found: dict[str, Figures], stations: int) -> str:
    columns = list(found.values())

    def pair(label: str, key: str) -> list[str]:
        return [label, *(f"{each.before[key]:,.1f} / {each.during[key]:,.1f}" for each in columns)]

    def command(label: str, name: str) -> list[str]:
        cells = [
            f"{getattr(each.commands_before, name):,.1f} / {getattr(each.commands_during, name):,.1f}"
            for each in columns
        ]
        return [label, *cells]

    rows = [
        ["stations that come back at once", *(report.number(stations) for _ in columns)],
        ["seconds until all were served", *(report.number(each.served["seconds"], 1) for each in columns)],
        ["seconds until one was served, median", *(report.number(each.served["p50_s"], 1) for each in columns)],
        ["seconds, 99th percentile", *(report.number(each.served["p99_s"], 1) for each in columns)],
        ["attempts that failed", *(report.number(each.served["retries"]) for each in columns)],
        ["CPU of the csms (ms a station)", *(report.number(each.cpu_seconds / stations * 1000, 2) for each in columns)],
        pair("MeterValues of others, median (ms): before / during", "p50_ms"),
        pair("MeterValues of others, 99th percentile (ms): before / during", "p99_ms"),
        command("commands to others, median (ms): before / during", "p50_ms"),
        command("commands to others, 99th percentile (ms): before / during", "p99_ms"),
    ]
    return report.table(["", *found], rows)
