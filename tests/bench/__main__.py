"""Measure the platform: ``make bench``, or ``python -m tests.bench <name> ...`` for some of the benches.

Everything is started for the purpose, on free ports and scratch databases, and gone afterwards.
PostgreSQL is used when one answers at OV2XMP_BENCH_DATABASE_URL (the URL of a database from which
others may be created); redis is the embedded one unless OV2XMP_REDIS_URL names another.
"""

import argparse
import math
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import commands, databases, idle, live, messages, nodes, report, sessions, storm
from tests.bench.bench import Bench, Outcome, postgres_url, say
from tests.bench.processes import BenchError

INTERRUPT_AGAIN_AFTER = 60  # seconds
TARGETS = ("postgres", "postgres-201", "sqlite", "bare")

# Each by its name: the title of its report, and what runs it.
BENCHES: dict[str, tuple[str, Callable[[Bench], Outcome]]] = {
    "messages": ("Messages", messages.run),
    "sessions": ("Charging sessions", sessions.run),
    "idle": ("Idle stations", idle.run),
    "storm": ("Reconnect storm", storm.run),
    "commands": ("Commands", commands.run),
    "live": ("Live updates", live.run),
    "nodes": ("Several csms processes", nodes.run),
}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(BENCHES)
    parser.add_argument("bench", nargs="*", metavar="name", help=f"what to measure: {names}; all if none is named")
    parser.add_argument("--only", action="append", choices=TARGETS, help="measure just this one; may be repeated")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--stations", type=int, help="instead of what a bench has by itself")
    parser.add_argument("--warm-up", type=float, help="seconds that are not measured, in each round")
    parser.add_argument("--seconds", type=float, help="that are measured, in each round")
    parser.add_argument("--idle-stations", type=int, help="whose memory `messages` measures; 0 leaves it out")
    parser.add_argument("--profile", action="store_true", help="say where the server spends its time with `messages`")
    parser.add_argument("--bare-uvloop", action="store_true", help="give the bare server uvloop as well")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.bench if name not in BENCHES]:
        parser.error(f"there is no bench {unknown[0]}; there are {names}")
    return options


def main() -> int:
    """Print the reports on standard output and the progress on standard error; return the exit code."""
    interrupter = Interrupter()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupter)
    try:
        return run(parse())
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


def run(options: argparse.Namespace) -> int:
    """Run the benches, one after the other; return 1 for wrong answers or lost rows, not for a missed target."""
    code = 0
    print(report.machine(databases.version(postgres_url())), flush=True)
    for name in options.bench or BENCHES:
        title, run_bench = BENCHES[name]
        say(f"{title} ({name})")
        with tempfile.TemporaryDirectory(prefix="ov2xmp-bench-") as directory:
            outcome = run_bench(Bench(options, Path(directory)))
        print(f"\n### {title}\n\n{outcome.text()}", flush=True)
        for problem in outcome.problems:
            code = 1
            say(f"{name}: {problem}")
    return code


if __name__ == "__main__":
    sys.exit(main())
