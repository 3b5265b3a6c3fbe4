"""Measure what the size of the database costs: ``python -m tests.bench.growth``.

The platform serves the same stations and clients with 100 stored readings and with 10,000,000, on
PostgreSQL, and with fewer on SQLite. Years of history are made up for that (`tests.bench.history`);
everything is in scratch databases and gone afterwards. PostgreSQL is the one of `tests.bench`. The
10,000,000 readings need 15 GB of disk while the run lasts, PostgreSQL's log included.
"""

import argparse
import contextlib
import http.client
import json
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import databases, measure, report
from tests.bench.__main__ import Interrupter
from tests.bench.bench import OTHER_FILES, postgres_url, say
from tests.bench.databases import Database
from tests.bench.measure import LoadOptions, Round
from tests.bench.messages import QUIET
from tests.bench.processes import BenchError, module, raise_file_limit, running
from tests.bench.targets import ADMIN, PASSWORD, Platform, platform

MAX_LIST_MS = 100
# Readings from which on it matters how a table is read, and what removing old ones costs.
LARGE = 100_000
# How many times each list is asked for; the first time is not counted.
REQUESTS = 15
# Seconds.
FILL_TIMEOUT = 3600
PLANS_TIMEOUT = 900
HTTP_TIMEOUT = 60
# What lets the oldest readings go, a tenth of them, and nothing else.
PRUNE = {
    "OV2XMP_RETENTION_METER_VALUES": "900",
    **dict.fromkeys(
        (
            "OV2XMP_RETENTION_TRANSACTION_EVENTS",
            "OV2XMP_RETENTION_STATUSES",
            "OV2XMP_RETENTION_EVENTS",
            "OV2XMP_RETENTION_SECURITY_EVENTS",
            "OV2XMP_RETENTION_COMMANDS",
        ),
        "0",
    ),
}
DJANGO = "import django; django.setup(); from tests.bench import {0}; {0}.main()"


@dataclass
class Measured:
    """What came of one size: seconds to fill, bytes, rounds without and with a prune beside, ms of lists, plans."""

    filled: Mapping[str, float]
    alone: Round
    lists: dict[str, list[float]]
    plans: Mapping[str, Mapping[str, Any]]
    beside: Round | None = None
    removed: int = 0
    removing: float = 0
    problems: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, action="append", help="stored ones; may be repeated")
    parser.add_argument("--sqlite-readings", type=int, action="append", help="the same on SQLite; 0 leaves it out")
    parser.add_argument("--stations", type=int, default=200, help="that send messages")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds that are not measured, in each round")
    parser.add_argument("--seconds", type=float, default=8, help="that are measured, in each round")
    options = parser.parse_args(arguments)
    options.readings = options.readings or [100, 10_000_000]
    options.sqlite_readings = [each for each in options.sqlite_readings or [100, 1_000_000] if each]
    return options


def main() -> int:
    """Print the report on standard output and the progress on standard error; return the exit code."""
    interrupter = Interrupter()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupter)
    try:
        with tempfile.TemporaryDirectory(prefix="ov2xmp-growth-") as directory:
            return run(parse(), Path(directory))
    except BenchError as error:
        say(f"growth: {error}")
        return 1
    except KeyboardInterrupt:
        say("growth: stopped")
        return 130


def run(options: argparse.Namespace, directory: Path) -> int:
    raise_file_limit(options.stations + OTHER_FILES)
    load = LoadOptions(options.stations, options.warm_up, options.seconds)
    url = postgres_url()
    if problem := databases.answers(url):
        say(f"No PostgreSQL, so only SQLite is measured (OV2XMP_BENCH_DATABASE_URL names one): {problem}")
        options.readings = []
    found: dict[str, Measured] = {}
    for readings in options.readings:
        with databases.scratch_postgres(url) as database:
            found[f"PostgreSQL, {readings:,}"] = measure_size(database, readings, load, directory / f"p{readings}")
    for readings in options.sqlite_readings:
        file = databases.Sqlite(directory / "growth.sqlite3")
        found[f"SQLite, {readings:,}"] = measure_size(file, readings, load, directory / f"s{readings}")
        for path in directory.glob("growth.sqlite3*"):
            path.unlink()
    print(f"{report.machine(databases.version(url))}\n")
    print(tables(found))
    problems = [f"{name}: {problem}" for name, each in found.items() for problem in each.problems]
    for problem in problems:
        say(problem)
    return 1 if problems else 0


def measure_size(database: Database, readings: int, load: LoadOptions, directory: Path) -> Measured:
    """Measure everything on an empty database that is filled first."""
    name = f"{database.label}, {readings:,} readings"
    with platform(database, directory) as target:
        say(f"{name}: making up history")
        filled = in_django("history", target, directory, FILL_TIMEOUT, str(readings))
        say(f"{name}: {filled['seconds']:.0f} s, {filled['bytes'] / 2**20:,.0f} MiB; plans")
        plans = in_django("plans", target, directory, PLANS_TIMEOUT)
        lists = measure_lists(target, plans["paths"])
        alone = measure_round(target, load, "ALONE-", name, directory)
        measured = Measured(filled, alone, lists, plans["uses"])
        if readings >= LARGE:
            began = time.monotonic()
            with pruning(target, load, directory) as removed:
                measured.beside = measure_round(target, load, "BESIDE-", f"{name}, old ones go", directory)
            measured.removed, measured.removing = removed[0], time.monotonic() - began
    measured.problems = list(problems_of(measured))
    return measured


def measure_round(target: Platform, load: LoadOptions, prefix: str, name: str, directory: Path) -> Round:
    found = measure.measure_round(target, load, prefix, directory / "load.log")
    say(f"{name}: {found.messages / found.seconds:,.0f} messages a second, median {found.p50:.0f} ms")
    if found.elsewhere > QUIET:
        say(f"{found.elsewhere:.0%} of the machine was busy with something else: rates and latencies suffer.")
    return found


def in_django(name: str, target: Platform, directory: Path, timeout: float, *arguments: str) -> Any:
    """Run `main` of a module of this package with the target's settings; return the JSON that it prints."""
    env = {**target.env, "DJANGO_SETTINGS_MODULE": "ov2xmp.settings"}
    command = [sys.executable, "-c", DJANGO.format(name), *arguments]
    with running(name, command, directory / f"{name}.log", env, talks=True) as process:
        assert process.popen.stdout is not None
        output = process.popen.stdout.read()
        process.finish(timeout)
    return json.loads(output)


@contextlib.contextmanager
def pruning(target: Platform, load: LoadOptions, directory: Path) -> Iterator[list[int]]:
    """Remove old readings meanwhile; the list gets how many went."""
    removed: list[int] = []
    log = directory / "prune.log"
    seconds = str(load.warm_up + load.seconds + 5)
    command = module("manage", "prune", "--seconds", seconds)
    with running("manage.py prune", command, log, {**target.env, **PRUNE}) as process:
        yield removed
        process.finish(PLANS_TIMEOUT)
    found = re.search(r"([\d,]+)  meter values removed", log.read_text())
    removed.append(int(found[1].replace(",", "")) if found else 0)


def measure_lists(target: Platform, paths: Mapping[str, str]) -> dict[str, list[float]]:
    """Return the milliseconds of each request of each list, by its name, over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", int(target.env["OV2XMP_WEB_PORT"]), timeout=HTTP_TIMEOUT)
    with contextlib.closing(connection):
        login = json.dumps({"username": ADMIN, "password": PASSWORD})
        token = json.loads(ask(connection, "POST", "/api/token/", {"Content-Type": "application/json"}, login))[
            "access"
        ]
        headers = {"Authorization": f"Bearer {token}"}
        taken: dict[str, list[float]] = {}
        for name, path in paths.items():
            for _ in range(REQUESTS + 1):
                began = time.perf_counter()
                ask(connection, "GET", path, headers)
                taken.setdefault(name, []).append((time.perf_counter() - began) * 1000)
            del taken[name][0]
    return taken


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: str = ""
) -> bytes:
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise BenchError(f"{method} {path} was answered {answer.status}: {content[:300]!r}")
    return content


def problems_of(measured: Measured) -> Iterator[str]:
    for group, uses in measured.plans.items():
        for name, each in uses.items():
            if each["failure"]:
                yield f"{group}, {name}: {each['failure']}"
    for round_ in (measured.alone, measured.beside):
        for kind, count in (round_.errors if round_ else {}).items():
            yield f"{count} times {kind}"
        if round_ is not None and round_ is measured.alone and round_.stored != round_.acknowledged:
            yield f"{round_.acknowledged} readings were acknowledged, {round_.stored} are stored"


def tables(found: Mapping[str, Measured]) -> str:
    """Format everything measured, a column for each size."""
    columns = list(found.values())
    parts = [
        ("messages", messages(columns)),
        ("REST, median of the milliseconds (the longest)", lists(columns)),
        ("statements", statements(columns)),
    ]
    return "\n\n".join(report.table([title, *found], rows) for title, rows in parts)


def messages(columns: Sequence[Measured]) -> list[list[str]]:
    def row(label: str, *values: str) -> list[str]:
        return [label, *values]

    def rate(round_: Round | None) -> str:
        return report.number(round_ and round_.messages / round_.seconds)

    def cpu(round_: Round, process: str) -> str:
        spent = round_.cpu.get(process)
        return report.number(spent and spent / max(1, round_.messages) * 1e6)

    return [
        row("size of the database (MiB)", *(report.number(each.filled["bytes"] / 2**20) for each in columns)),
        row("made up within (s)", *(report.number(each.filled["seconds"]) for each in columns)),
        row("CPU, OCPP server (µs a message)", *(cpu(each.alone, "server") for each in columns)),
        row("CPU, PostgreSQL backends (µs a message)", *(cpu(each.alone, "postgres") for each in columns)),
        row("messages a second", *(rate(each.alone) for each in columns)),
        row("latency, median (ms)", *(report.number(each.alone.p50) for each in columns)),
        row("latency, 99th percentile (ms)", *(report.number(each.alone.p99) for each in columns)),
        row("messages a second while old readings go", *(rate(each.beside) for each in columns)),
        row(
            "latency while old readings go, 99th percentile (ms)",
            *(report.number(each.beside and each.beside.p99) for each in columns),
        ),
        row(
            "readings removed a second meanwhile",
            *(report.number(each.removed / each.removing if each.removing else None) for each in columns),
        ),
        row("everything else on the machine", *(f"{each.alone.elsewhere:.0%}" for each in columns)),
    ]


def lists(columns: Sequence[Measured]) -> list[list[str]]:
    def spell(taken: Sequence[float]) -> str:
        median = statistics.median(taken)
        text = f"{median:.0f} ({max(taken):.0f})"
        return text if median < MAX_LIST_MS else f"**{text}**"

    return [[f"`{name}`", *(spell(each.lists[name]) for each in columns)] for name in columns[0].lists]


def statements(columns: Sequence[Measured]) -> list[list[str]]:
    """Format how many statements each use takes, and which tables it reads from end to end, once they are large."""

    def spell(each: Mapping[str, Any], *, large: bool) -> str:
        if not large:
            return str(each["statements"])
        whole = "".join(f", **reads all of {table}**" for table in each["whole"])
        counted = "".join(f", counts {table}" for table in each["counted"])
        return f"{each['statements']}{whole}{counted}"

    return [
        [f"{group}: {name}", *(spell(each.plans[group][name], large=each.removing > 0) for each in columns)]
        for group, uses in columns[0].plans.items()
        for name in uses
    ]


if __name__ == "__main__":
    sys.exit(main())
