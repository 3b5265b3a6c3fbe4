"""What all benches share: what they were asked for, where they work, and what they hand back."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import databases, report, targets
from tests.bench.processes import BenchError, raise_file_limit

POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/postgres"
# Files of a server or load generator beside the connections of stations.
OTHER_FILES = 500


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Outcome:
    """What a bench found: tables, promises, and problems.

    A problem is a wrong answer or a lost row; a missed promise is none.
    """

    tables: list[str] = field(default_factory=list)
    goals: list[report.Goal] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def count(self, name: str, problems: list[str]) -> None:
        """Promise that there are no such problems."""
        self.goals.append(report.none(name, len(problems)))
        self.problems += [f"{name}: {problem}" for problem in problems[:5]]

    def text(self) -> str:
        return "\n\n".join([*self.tables, *([report.goals(self.goals)] if self.goals else [])])


class Bench:
    """One run of one bench."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self.options = options
        self.directory = directory
        self.log = directory / "load.log"

    def option(self, name: str, default: Any) -> Any:
        """Return what was asked for, or the bench's own default."""
        value = getattr(self.options, name)
        return default if value is None else value

    def wants(self, name: str) -> bool:
        return not self.options.only or name in self.options.only

    def databases(self) -> list[str]:
        """Name the databases to measure on; SQLite alone where there is no PostgreSQL."""
        wanted = [name for name in ("postgres", "sqlite") if self.wants(name)]
        if "postgres" not in wanted:
            return wanted
        if problem := databases.answers(postgres_url()):
            say(f"No PostgreSQL, so only SQLite is measured (OV2XMP_BENCH_DATABASE_URL names one): {problem}")
            return ["sqlite"]
        return wanted

    @contextlib.contextmanager
    def platform(self, name: str, **how: Any) -> Iterator[targets.Platform]:
        """Run everything around the OCPP server on a scratch database."""
        with contextlib.ExitStack() as stack:
            database: databases.Database
            if name == "postgres":
                database = stack.enter_context(databases.scratch_postgres(postgres_url()))
            else:
                database = databases.Sqlite(self.directory / "bench.sqlite3")
            yield stack.enter_context(targets.platform(database, self.directory / name, **how))

    def allow_files(self, stations: int) -> None:
        """Raise the limit of open files for that many stations. Raises BenchError."""
        if raise_file_limit(stations + OTHER_FILES) < stations + OTHER_FILES:
            raise BenchError(f"too few open files are allowed (ulimit -n) for {stations} stations")


def postgres_url() -> str:
    return os.environ.get("OV2XMP_BENCH_DATABASE_URL") or POSTGRES_URL
