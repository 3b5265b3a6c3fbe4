"""Commands from REST to a station and back: at rest, under load, and while many stations are silent."""

import threading
from dataclasses import dataclass

from tests.bench import report
from tests.bench.bench import Bench, Outcome, say
from tests.bench.fleets import fleet, load_command, read_event
from tests.bench.load import percentile
from tests.bench.measure import cpu_seconds, spent
from tests.bench.processes import running
from tests.bench.rest import Commands, all_at_once, identities, operating
from tests.bench.targets import Platform

STATIONS, SECONDS, WARM_UP = 500, 10, 3
# Stations that are sent commands, and those that answer none.
ANSWERING = SILENT = 200
# What a command that its station never answered is answered with.
TIMED_OUT = 504
# How much slower a command may be while others wait for silent stations.
MAX_SLOWDOWN = 2.0


@dataclass(frozen=True)
class Figures:
    """What came of commands in each phase; seconds and statuses of those to silent stations.

    `cpu` is the CPU time in s that each process spent while commands were sent at rest.
    """

    at_rest: Commands
    cpu: dict[str, float]
    under_load: Commands
    beside_silent: Commands
    silent: list[tuple[float, int, str]]
    load_errors: dict[str, int]

    @property
    def slowdown(self) -> float:
        return self.beside_silent.p50_ms / self.at_rest.p50_ms


def run(bench: Bench) -> Outcome:
    stations = bench.option("stations", STATIONS)
    bench.allow_files(stations)
    found: dict[str, Figures] = {}
    for name in bench.databases():
        with bench.platform(name, relays=True) as target:
            say(f"{target.name}: commands")
            found[target.name] = measure(bench, target, stations)
    outcome = Outcome([figures(found)])
    for name, each in found.items():
        phases = (each.at_rest, each.under_load, each.beside_silent)
        outcome.count(f"{name}: commands that failed", [text for phase in phases for text in phase.failures])
        unlike = [f"{status} after {seconds:.1f} s: {text}" for seconds, status, text in each.silent if status != 504]
        outcome.count(f"{name}: commands to silent stations that were not answered {TIMED_OUT}", unlike)
        outcome.count(
            f"{name}: errors of the load", [f"{count} times {kind}" for kind, count in each.load_errors.items()]
        )
        slower = f"{name}: median beside silent stations against that at rest"
        outcome.goals.append(report.at_most(slower, MAX_SLOWDOWN, each.slowdown))
    return outcome


def measure(bench: Bench, target: Platform, stations: int) -> Figures:
    seconds, warm_up = bench.option("seconds", SECONDS), bench.option("warm_up", WARM_UP)
    answering = identities("ANSWERING-", ANSWERING)
    with (
        target.serving() as server,
        fleet(target, "idle", ANSWERING, "ANSWERING-", bench.log),
        operating(target.web_port, answering) as operators,
    ):
        # The first ones find everything cold.
        operators.during(warm_up)
        before = cpu_seconds(target, server)
        at_rest = operators.during(seconds)
        cpu = spent(before, cpu_seconds(target, server))
        with fleet(target, "idle", SILENT, "SILENT-", bench.log, "--silent"):
            silent: list[tuple[float, int, str]] = []
            waiting = threading.Thread(
                target=lambda: silent.extend(all_at_once(target.web_port, identities("SILENT-", SILENT)))
            )
            waiting.start()
            # Until all are on their way.
            operators.during(2)
            beside_silent = operators.during(seconds)
            waiting.join()
        command = load_command(
            target,
            *("--prefix", "LOAD-", "--stations", str(stations)),
            *("--warm-up", str(warm_up), "--seconds", str(seconds)),
        )
        with running("the load generator", command, bench.log, talks=True) as load:
            read_event(load, "measuring")
            operators.take()
            read_event(load, "measured")
            under_load = operators.take()
            errors = read_event(load, "result")["errors"]
    return Figures(at_rest, cpu, under_load, beside_silent, silent, errors)


def figures(found: dict[str, Figures]) -> str:
    columns = list(found.values())

    def phase(label: str, name: str) -> list[list[str]]:
        commands: list[Commands] = [getattr(each, name) for each in columns]
        return [
            [f"{label}, median (ms)", *(report.number(each.p50_ms, 1) for each in commands)],
            [f"{label}, 99th percentile (ms)", *(report.number(each.p99_ms, 1) for each in commands)],
            [f"{label}, commands answered", *(report.number(len(each.seconds)) for each in commands)],
        ]

    processes = {
        "web": "web",
        "worker": "worker",
        "server": "csms",
        "postgres": "PostgreSQL backends",
        "redis": "redis",
    }
    silent = [sorted(seconds for seconds, _, _ in each.silent) for each in columns]
    rows = [
        *phase("at rest", "at_rest"),
        *(
            [
                f"at rest, CPU of {label} (ms a command)",
                *(report.number(1000 * each.cpu[name] / max(1, len(each.at_rest.seconds)), 1) for each in columns),
            ]
            for name, label in processes.items()
            if all(name in each.cpu for each in columns)
        ),
        *phase(f"while {SILENT} others wait for silent stations", "beside_silent"),
        *phase("under load", "under_load"),
        [
            "commands to silent stations: seconds, shortest to longest",
            *(f"{each[0]:.1f} to {percentile(each, 1):.1f}" if each else "-" for each in silent),
        ],
    ]
    return report.table(["", *found], rows)
