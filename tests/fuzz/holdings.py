"""What a platform holds, rows and files, to see whether anybody has changed something."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from tests.e2e.storage import SQLITE

# A node writes its lease there, whatever anybody asks.
OWN = "chargers_csmsnode"
TABLES = {
    sqlite3: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    psycopg2: "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}

# How often each row is in each table, and each path in the folder of files.
Holdings = dict[str, Counter[str]]


def held(data_dir: Path, storage: dict[str, str]) -> Holdings:
    """Look into the database and the folder of a platform of its own."""
    url = storage.get("OV2XMP_DATABASE_URL")
    module: Any = psycopg2 if url else sqlite3
    with closing(module.connect(url or data_dir / SQLITE)) as connection:
        names = [name for [name] in _rows(connection, TABLES[module])]
        return holdings(connection, names, data_dir / "files")


def holdings(connection: Any, tables: Iterable[str], files: Path) -> Holdings:
    """Look into a database and a folder."""
    rows = {name: Counter(map(repr, _rows(connection, f'SELECT * FROM "{name}"'))) for name in tables if name != OWN}
    return {**rows, "files": Counter(path.relative_to(files).as_posix() for path in files.rglob("*"))}


def _rows(connection: Any, statement: str) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def changes(before: Holdings, after: Holdings) -> list[str]:
    """Name what has come and what has gone."""
    return [
        f"{table}: {sign}{row}"
        for table in sorted(before.keys() | after.keys())
        for sign, rows in (
            ("-", before.get(table, Counter()) - after.get(table, Counter())),
            ("+", after.get(table, Counter()) - before.get(table, Counter())),
        )
        for row in rows
    ]
