"""Several csms processes behind Caddy: what they serve together, and that a station's commands and connections find it."""

import contextlib
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import measure, report
from tests.bench.bench import Bench, Outcome, say
from tests.bench.fleets import fleet
from tests.bench.measure import LoadOptions, Result
from tests.bench.processes import Process, accepts, free_port, running, wait_until
from tests.bench.rest import TIMEOUT, all_at_once, identities
from tests.bench.targets import Platform
from tests.caddy import CADDY, GLOBAL

COUNTS = (1, 2, 4)
ROUNDS, STATIONS, SECONDS, WARM_UP = 1, 500, 10, 3
# Stations that are sent commands and that connect anew.
COMMANDED = 100
SITE = """
http://127.0.0.1:{port} {{
	reverse_proxy {nodes} {{
		lb_policy least_conn
	}}
}}
"""


class Group:
    """Processes that are measured as one."""

    def __init__(self, processes: list[Process]) -> None:
        self._processes = processes

    def cpu_seconds(self) -> float:
        return sum(process.cpu_seconds() for process in self._processes)


class Cluster:
    """Several csms processes on one database, behind Caddy."""

    speaks = "ocpp1.6"

    def __init__(self, platform: Platform, nodes: int, directory: Path) -> None:
        self.name = f"{nodes} behind Caddy"
        self.port = free_port()
        self.nodes = [free_port() for _ in range(nodes)]
        self.stored, self.heard = platform.stored, platform.heard
        self._platform = platform
        self._directory = directory
        self._caddy: Process | None = None

    @contextlib.contextmanager
    def serving(self) -> Iterator[Group]:
        config = self._directory / "Caddyfile"
        nodes = " ".join(f"127.0.0.1:{port}" for port in self.nodes)
        config.write_text(GLOBAL + SITE.format(port=self.port, nodes=nodes), encoding="utf-8")
        command = [CADDY, "run", "--config", str(config), "--adapter", "caddyfile"]
        with contextlib.ExitStack() as stack:
            processes = [stack.enter_context(self._platform.node(port)) for port in self.nodes]
            env = {"HOME": str(self._directory)}
            self._caddy = stack.enter_context(running("Caddy", command, self._directory / "caddy.log", env))
            wait_until(lambda: accepts(self.port), self._caddy)
            yield Group(processes)

    def helpers(self) -> dict[str, float]:
        assert self._caddy is not None
        return {**self._platform.helpers(), "caddy": self._caddy.cpu_seconds()}

    def connections(self) -> list[int]:
        """Return how many stations each node has."""
        return [health(port) for port in self.nodes]


def health(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT) as answer:
        count: int = json.load(answer)["connections"]
        return count


@dataclass(frozen=True)
class Node:
    """One csms process, reached past Caddy."""

    port: int
    speaks: str = "ocpp1.6"


@dataclass
class Figures:
    """What was found on one database, by the number of nodes; 0 is one that is reached without Caddy."""

    results: dict[int, Result] = field(default_factory=dict)
    spread: dict[int, list[int]] = field(default_factory=dict)
    lost_commands: list[str] = field(default_factory=list)
    not_taken_over: int = 0
    take_over_seconds: float = 0.0


def run(bench: Bench) -> Outcome:
    load = LoadOptions(
        bench.option("stations", STATIONS), bench.option("warm_up", WARM_UP), bench.option("seconds", SECONDS)
    )
    bench.allow_files(2 * load.stations)
    outcome = Outcome()
    for name in bench.databases():
        with bench.platform(name, relays=True) as target:
            found = measure_all(bench, target, load)
        outcome.tables.append(f"{target.name}:\n\n{figures(found)}")
        results = found.results.values()
        lost = sum(abs(result.acknowledged - (result.stored or 0)) for result in results)
        outcome.count(f"{target.name}: readings that are not stored", ["a reading"] * lost)
        errors = [f"{times} times {kind}" for result in results for kind, times in result.errors.items()]
        outcome.count(f"{target.name}: errors", errors)
        outcome.count(f"{target.name}: commands that did not find their station", found.lost_commands)
        left = ["a connection"] * found.not_taken_over
        outcome.count(f"{target.name}: older connections that another node did not close", left)
    return outcome


def label(count: int) -> str:
    return f"{count} behind Caddy" if count else "one without Caddy"


def measure_all(bench: Bench, target: Platform, load: LoadOptions) -> Figures:
    found = Figures()
    for number in range(bench.option("rounds", ROUNDS)):
        for count in (0, *COUNTS):
            say(f"{target.name}: {label(count)}")
            measured = Cluster(target, count, bench.directory) if count else target
            round_ = measure.measure_round(measured, load, f"NODES-{count}-{number}-", bench.log)
            found.results.setdefault(count, Result()).rounds.append(round_)
    for count in COUNTS[1:]:
        find_stations(bench, Cluster(target, count, bench.directory), target, found)
    return found


def find_stations(bench: Bench, cluster: Cluster, target: Platform, found: Figures) -> None:
    """Send commands to stations on all nodes, let all connect anew to one node, and send commands again."""
    count = len(cluster.nodes)
    prefix = f"FOUND-{count}-"
    with cluster.serving(), fleet(cluster, "idle", COMMANDED, prefix, bench.log) as older:
        found.spread[count] = cluster.connections()
        found.lost_commands += lost(target.web_port, prefix)
        elsewhere = sum(found.spread[count][1:])
        began = time.perf_counter()
        with fleet(Node(cluster.nodes[0]), "idle", COMMANDED, prefix, bench.log):
            # All of them, also on the same node.
            while (closed := older.report()["errors"].get("disconnected", 0)) < COMMANDED:
                if time.perf_counter() - began > TIMEOUT:
                    break
                time.sleep(0.05)
            found.take_over_seconds = max(found.take_over_seconds, time.perf_counter() - began)
            found.not_taken_over += COMMANDED - closed
            say(f"{elsewhere} of {COMMANDED} stations came from another node")
            found.lost_commands += lost(target.web_port, prefix)


def lost(web_port: int, prefix: str) -> list[str]:
    answers = all_at_once(web_port, identities(prefix, COMMANDED))
    return [f"{status} after {seconds:.1f} s: {text[:200]}" for seconds, status, text in answers if status != 200]


def figures(found: Figures) -> str:
    results = list(found.results.values())
    single = results[0].rate
    rows = [
        ["messages a second", *(report.number(each.rate) for each in results)],
        ["against one without Caddy", *(f"{each.rate / single:.2f}" for each in results)],
        ["latency, median (ms)", *(report.number(each.p50) for each in results)],
        ["latency, 99th percentile (ms)", *(report.number(each.worst_p99) for each in results)],
        *(
            [name, *(report.number(each.cpu_us(process)) for each in results)]
            for process, name in report.PROCESSES.items()
            if any(each.cpu_us(process) is not None for each in results)
        ),
        [
            f"where {COMMANDED} stations went",
            *(" + ".join(map(str, found.spread[count])) if count in found.spread else "-" for count in found.results),
        ],
    ]
    took = f"All of {COMMANDED} stations were taken over by another process within {found.take_over_seconds:.1f} s."
    return "\n\n".join(
        [report.table(["", *map(label, found.results)], rows), *([] if found.not_taken_over else [took])]
    )
