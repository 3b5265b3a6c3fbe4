"""Tables in Markdown, ready for docs/benchmarks.md."""

import collections
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.bench.measure import Result

# Of this platform on PostgreSQL against the bare server.
MAX_CPU_RATIO = 0.30
MIN_RATE_RATIO = 3.0
MAX_KIB_PER_STATION = 20

PROCESSES = {
    "server": "CPU, OCPP server (µs a message)",
    "postgres": "CPU, PostgreSQL backends (µs a message)",
    "web": "CPU, web with one listener (µs a message)",
    "caddy": "CPU, Caddy (µs a message)",
    "redis": "CPU, redis (µs a message)",
    "load": "CPU, load generator (µs a message)",
}
TOP_FUNCTIONS = 30
OWN_PACKAGES = ("csms", "chargers", "tasks")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table: text in the first column, numbers in the others."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def figures(results: Mapping[str, Result]) -> str:
    """Format everything measured, a column for each target."""
    columns = list(results.values())
    rows = [
        ["messages a second", *(number(each.rate) for each in columns)],
        ["latency, median (ms)", *(number(each.p50) for each in columns)],
        ["latency, 99th percentile of the worst round (ms)", *(number(each.worst_p99) for each in columns)],
        *(
            [label, *(number(each.cpu_us(process)) for each in columns)]
            for process, label in PROCESSES.items()
            if any(each.cpu_us(process) is not None for each in columns)
        ),
        ["CPU, everything else on the machine (worst round)", *(f"{each.elsewhere:.0%}" for each in columns)],
        ["memory of an idle station (KiB)", *(number(kib(each), 1) for each in columns)],
        ["readings acknowledged", *(number(each.acknowledged) for each in columns)],
        ["meter values stored", *(number(each.stored) for each in columns)],
        ["live updates heard", *(number(each.heard) for each in columns)],
        ["errors", *(number(sum(each.errors.values())) for each in columns)],
    ]
    return table(["", *results], rows)


def kib(result: Result) -> float | None:
    return None if result.bytes_per_station is None else result.bytes_per_station / 1024


@dataclass(frozen=True)
class Goal:
    """A promise, what came of it, and whether it is kept."""

    name: str
    target: str
    reached: str
    met: bool


def goals(rows: Iterable[Goal]) -> str:
    """Format promises and whether they are kept."""
    cells = [[each.name, each.target, each.reached, "met" if each.met else "**missed**"] for each in rows]
    return table(["", "target", "reached", ""], cells)


def none(name: str, count: float) -> Goal:
    """Promise that something never happens."""
    return Goal(name, "0", number(count), not count)


def at_most(name: str, limit: float, reached: float, digits: int = 2) -> Goal:
    return Goal(name, f"≤ {limit:,.{digits}f}", number(reached, digits), reached <= limit)


def at_least(name: str, limit: float, reached: float, digits: int = 2) -> Goal:
    return Goal(name, f"≥ {limit:,.{digits}f}", number(reached, digits), reached >= limit)


def targets(platform_result: Result, bare_result: Result) -> list[Goal]:
    """Compare this platform with the bare server."""
    cpu = (platform_result.cpu_us("server") or 0) / (bare_result.cpu_us("server") or 1)
    rate = platform_result.rate / bare_result.rate
    memory = kib(platform_result)
    rows = [
        at_most("CPU per message against the bare server's", MAX_CPU_RATIO, cpu),
        at_least("messages a second against the bare server's", MIN_RATE_RATIO, rate),
    ]
    if memory is not None:
        rows.append(at_most("KiB per idle station", MAX_KIB_PER_STATION, memory, 1))
    lost = platform_result.acknowledged - (platform_result.stored or 0)
    rows.append(none("acknowledged MeterValues that are not stored", lost))
    return rows


def machine(postgres: str | None) -> str:
    """Describe the machine in one sentence, without its name."""
    memory = round(psutil.virtual_memory().total / 2**30)
    packages = ", ".join(f"{name} {version(name)}" for name in ("websockets", "uvloop", "ocpp", "Django"))
    database = f", PostgreSQL {postgres}" if postgres else ""
    return (
        f"{psutil.cpu_count()} cores ({processor()}), {memory} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}{database}."
    )


def processor() -> str:
    """Name the processor's model where Linux tells it."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.machine()


def hot_functions(stacks: collections.Counter[str]) -> str:
    """Format where the samples were: by thread, by package, and the functions with the most time of their own."""
    total = stacks.total()
    threads, packages, functions, callers = (collections.Counter[str]() for _ in range(4))
    for stack, samples in stacks.items():
        thread, *frames = (re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";"))
        threads[thread_name(thread)] += samples
        callers.update(dict.fromkeys((frame for frame in frames if package(frame) in OWN_PACKAGES), samples))
        leaf = frames[-1] if frames else "no Python frame"
        functions[leaf] += samples
        packages[package(leaf)] += samples

    def share(counts: collections.Counter[str], top: int) -> list[list[str]]:
        return [[name, f"{samples / total:.1%}"] for name, samples in counts.most_common(top)]

    return "\n\n".join(
        [
            table(["thread", "share"], share(threads, 10)),
            table(["code in", "own time"], share(packages, 15)),
            table(["function", "own time"], share(functions, TOP_FUNCTIONS)),
            table(["function of the platform", "with all it calls"], share(callers, TOP_FUNCTIONS)),
        ]
    )


def thread_name(frame: str) -> str:
    """Reduce ``thread (0x7f): "writer_0"`` to the name."""
    return frame.rpartition(": ")[2].strip('"')


def package(frame: str) -> str:
    """Name the package of a frame such as ``recv (websockets/asyncio/connection.py)``."""
    match = re.search(r"\((?:.*site-packages/)?([^/()]+?)(?:/.*|\.py)?\)$", frame)
    return match[1] if match else frame
