"""Measure the OCPP server, side by side with a bare one: ``make bench``, or ``python -m tests.bench``.

The targets take turns, round after round, so that whatever else the machine does hits all of them.
Everything is started for the purpose, on free ports and scratch databases, and gone afterwards.
PostgreSQL is used when one answers at OV2XMP_BENCH_DATABASE_URL (the URL of a database from which
others may be created); redis is the embedded one unless OV2XMP_REDIS_URL names another.
"""

import argparse
import contextlib
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import databases, measure, report
from tests.bench.measure import LoadOptions, Result
from tests.bench.processes import BenchError, raise_file_limit
from tests.bench.targets import Bare, In201, Target, platform

POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/postgres"
INTERRUPT_AGAIN_AFTER = 60  # seconds
# The share of all cores beyond which the machine is too busy; network and database need some of it.
QUIET = 0.2
TARGETS = ("postgres", "postgres-201", "sqlite", "bare")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=TARGETS, help="measure just this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stations", type=int, default=500, help="that send messages")
    parser.add_argument("--warm-up", type=float, default=3, help="seconds that are not measured, in each round")
    parser.add_argument("--seconds", type=float, default=10, help="that are measured, in each round")
    parser.add_argument("--idle-stations", type=int, default=2000, help="whose memory is measured; 0 leaves it out")
    parser.add_argument("--profile", action="store_true", help="say where this platform's server spends its time")
    parser.add_argument("--bare-uvloop", action="store_true", help="give the bare server uvloop as well")
    return parser.parse_args(arguments)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Print the report on standard output and the progress on standard error; return the exit code."""
    interrupter = Interrupter()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupter)
    try:
        with tempfile.TemporaryDirectory(prefix="ov2xmp-bench-") as directory:
            return run(parse(), Path(directory))
    except BenchError as error:
        say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        say("bench: stopped")
        return 130


class Interrupter:
    """Turns a signal into KeyboardInterrupt, once in a while: another one must not disturb the cleaning up."""

    def __init__(self) -> None:
        self._raised_at = -math.inf

    def __call__(self, *_: object) -> None:
        if time.monotonic() - self._raised_at > INTERRUPT_AGAIN_AFTER:
            self._raised_at = time.monotonic()
            raise KeyboardInterrupt


def run(options: argparse.Namespace, directory: Path) -> int:
    wanted = options.only or TARGETS
    load = LoadOptions(options.stations, options.warm_up, options.seconds)
    if raise_file_limit() < options.idle_stations + 500:
        raise BenchError("too few open files are allowed (ulimit -n) for that many idle stations")
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(scratch_postgres(wanted))
        built: dict[str, Target] = {}
        if postgres is not None:
            on_postgres = stack.enter_context(platform(postgres, directory / "postgres"))
            built |= {"postgres": on_postgres} if "postgres" in wanted else {}
            built |= {"postgres-201": In201(on_postgres)} if "postgres-201" in wanted else {}
        if "sqlite" in wanted or ("postgres" in wanted and postgres is None):
            database = databases.Sqlite(directory / "bench.sqlite3")
            built["sqlite"] = stack.enter_context(platform(database, directory / "sqlite"))
        if "bare" in wanted:
            built["bare"] = Bare(directory, uvloop=options.bare_uvloop)
        results = {name: Result() for name in built}
        measure_memory(built, results, options.idle_stations, directory)
        measure_rounds(built, results, options.rounds, load, directory)
        print(f"{report.machine(postgres.version if postgres else None)}\n")
        print(report.figures({built[name].name: result for name, result in results.items()}))
        own = next((results[name] for name in ("postgres", "sqlite") if name in results), None)
        if own is not None and "bare" in results:
            print("\n" + report.targets(own, results["bare"]))
        if options.profile:
            print("\n" + profile(built, load, directory))
    return tell_errors(results)


def scratch_postgres(wanted: Sequence[str]) -> contextlib.AbstractContextManager[databases.Postgres | None]:
    """Create a scratch database, or say why SQLite has to do."""
    url = os.environ.get("OV2XMP_BENCH_DATABASE_URL") or POSTGRES_URL
    if not {"postgres", "postgres-201"} & set(wanted):
        return contextlib.nullcontext()
    if problem := databases.answers(url):
        say(f"No PostgreSQL, so only SQLite is measured (OV2XMP_BENCH_DATABASE_URL names one): {problem}")
        return contextlib.nullcontext()
    return databases.scratch_postgres(url)


def measure_memory(built: dict[str, Target], results: dict[str, Result], stations: int, directory: Path) -> None:
    """Measure idle stations, for one database only: they are all in the OCPP server."""
    if not stations:
        return
    for name, target in built.items():
        if (name == "sqlite" and "postgres" in built) or target.speaks != "ocpp1.6":
            continue
        say(f"{target.name}: {stations} idle stations")
        results[name].bytes_per_station = measure.measure_memory(target, stations, directory / "load.log")


def measure_rounds(
    built: dict[str, Target], results: dict[str, Result], rounds: int, load: LoadOptions, directory: Path
) -> None:
    for number in range(1, rounds + 1):
        for name, target in built.items():
            round_ = measure.measure_round(target, load, f"BENCH-{name}-{number}-", directory / "load.log")
            results[name].rounds.append(round_)
            say(
                f"{target.name}: round {number} of {rounds}, {round_.messages / round_.seconds:,.0f} messages a second, "
                f"median {round_.p50:.0f} ms"
            )
            if round_.elsewhere > QUIET:
                say(f"{round_.elsewhere:.0%} of the machine was busy with something else: rates and latencies suffer.")


def profile(built: dict[str, Target], load: LoadOptions, directory: Path) -> str:
    name = next((name for name in ("postgres", "sqlite", "bare") if name in built), None)
    if name is None:
        return ""
    say(f"{built[name].name}: profile")
    return report.hot_functions(measure.profile(built[name], load, directory))


def tell_errors(results: dict[str, Result]) -> int:
    """Say what went wrong; return the exit code: 1 for wrong answers or lost values, not for a missed target."""
    code = 0
    for name, result in results.items():
        for round_ in result.rounds:
            for kind, count in round_.errors.items():
                code = 1
                say(f"{name}: {count} times {kind}, such as {round_.examples.get(kind, '')}")
        if result.stored is not None and result.stored != result.acknowledged:
            code = 1
            say(f"{name}: {result.acknowledged} readings were acknowledged, {result.stored} are stored")
    return code


if __name__ == "__main__":
    sys.exit(main())
