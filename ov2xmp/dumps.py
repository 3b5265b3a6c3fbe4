"""The database as one file: taken while the platform runs, and put back whole or not at all."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

SQLITE, POSTGRESQL = "sqlite", "postgresql"

# Everything in the schema that Django uses, whatever release it is of. The schema itself stays: it
# may have an owner and grants of the operator's. What waits for a lock must not wait for ever.
EMPTY_SCHEMA = """
SET lock_timeout = '10s';
DO $$
DECLARE relation record;
BEGIN
  FOR relation IN
    SELECT c.relname, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                                     WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    ORDER BY c.relkind = 'S'
  LOOP
    EXECUTE format('DROP %s IF EXISTS public.%I CASCADE', relation.kind, relation.relname);
  END LOOP;
END
$$;
"""


class DumpError(Exception):
    """The database could not be dumped or put back; the text says why and what to do."""


def engine() -> str:
    """Return which of the two databases the platform uses."""
    return POSTGRESQL if connection.vendor == "postgresql" else SQLITE


def take(path: Path, timeout: float) -> None:
    """Write the database as it is at one moment to `path`, which must not exist; the platform may go on.

    Raises DumpError: it cannot be done, or took longer than `timeout` seconds.
    """
    if engine() == POSTGRESQL:
        tool = postgresql_tool("pg_dump")
        check_version(tool)
        run([tool, "--format=custom", "--no-owner", "--no-privileges", f"--file={path}"], timeout)
        return
    try:
        with open_sqlite(database_file()) as source, open_sqlite(path) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise DumpError(f"SQLite cannot copy {database_file()}: {error}") from error


def check(path: Path, timeout: float) -> None:
    """Make sure that a dump is whole, and one of the database that the platform uses.

    Raises DumpError: it is not.
    """
    if engine() == POSTGRESQL:
        run([postgresql_tool("pg_restore"), "--list", str(path)], timeout)
        return
    try:
        with open_sqlite(path) as copy:
            problems = [row[0] for row in copy.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        raise DumpError(f"the archive's database cannot be read: {error}") from error
    if problems != ["ok"]:
        raise DumpError(f"the archive's database is damaged: {'; '.join(problems[:3])}")


def put_back(path: Path, timeout: float) -> None:
    """Replace the whole database by a dump, in one transaction.

    Raises DumpError: it could not be done; the database is as it was.
    """
    connection.close()
    if engine() == POSTGRESQL:
        put_back_postgresql(path, timeout)
        return
    database_file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with open_sqlite(path) as source, open_sqlite(database_file()) as target:
            # SQLite writes the copy in one transaction, which a crash undoes.
            source.backup(target)
    except sqlite3.Error as error:
        raise DumpError(f"SQLite cannot write {database_file()}: {error}") from error


def put_back_postgresql(path: Path, timeout: float) -> None:
    psql, pg_restore = postgresql_tool("psql"), postgresql_tool("pg_restore")
    script, clearing = path.with_suffix(".sql"), path.with_suffix(".clear.sql")
    clearing.write_text(EMPTY_SCHEMA, encoding="utf-8")
    run([pg_restore, "--no-owner", "--no-privileges", f"--file={script}", str(path)], timeout)
    options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    run([psql, *options, f"--file={clearing}", f"--file={script}"], timeout)


def others() -> list[str]:
    """Return who else is connected to the database; only PostgreSQL knows."""
    if engine() != POSTGRESQL:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(nullif(application_name, ''), 'unnamed') || ' at ' || coalesce(host(client_addr), 'socket')"
            " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' ORDER BY 1"
        )
        return [row[0] for row in cursor.fetchall()]


def database_file() -> Path:
    return Path(str(connection.settings_dict["NAME"]))


def open_sqlite(path: Path) -> Any:
    """Return a context with a connection of its own, closed at the end."""
    return contextlib.closing(sqlite3.connect(path, timeout=settings.DATABASE_TIMEOUT))


def postgresql_tool(name: str) -> str:
    """Return the path of a program of PostgreSQL's client.

    Raises DumpError: it is not installed.
    """
    if found := shutil.which(name):
        return found
    raise DumpError(
        f"{name} is not installed. Install PostgreSQL's client of the server's version or newer "
        "(Debian, Ubuntu: apt install postgresql-client; macOS: brew install libpq)."
    )


def check_version(pg_dump: str) -> None:
    """Make sure that pg_dump knows the server.

    Raises DumpError: it is older.
    """
    told = subprocess.run([pg_dump, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout  # noqa: S603
    match = re.search(r"(\d+)(?:\.\d+)?", told)
    client = int(match[1]) if match else 0
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        server = int(cursor.fetchone()[0]) // 10000
    if client < server:
        raise DumpError(
            f"pg_dump {client} is older than the server, which is {server}. "
            f"Install PostgreSQL's client {server} or newer (Debian, Ubuntu: apt install postgresql-client-{server})."
        )


def run(command: list[str], timeout: float) -> None:
    """Run a program of PostgreSQL's client on the platform's database.

    Raises DumpError: it failed, or took longer than `timeout` seconds.
    """
    try:
        subprocess.run(  # noqa: S603
            command, env={**os.environ, **environment()}, capture_output=True, text=True, check=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise DumpError(f"{Path(command[0]).name} did not end within {timeout:g} seconds") from error
    except subprocess.CalledProcessError as error:
        raise DumpError(f"{Path(command[0]).name} failed: {error.stderr.strip()}") from error


def environment() -> dict[str, str]:
    """Return the variables that lead PostgreSQL's client to the database; a command line would show the password."""
    database: dict[str, Any] = connection.settings_dict
    options = database.get("OPTIONS", {})
    variables = {
        "PGHOST": database["HOST"],
        "PGPORT": str(database["PORT"] or ""),
        "PGDATABASE": database["NAME"],
        "PGUSER": database["USER"],
        "PGPASSWORD": database["PASSWORD"],
        "PGCONNECT_TIMEOUT": str(settings.DATABASE_TIMEOUT),
        "PGSSLMODE": options.get("sslmode", ""),
        "PGSSLROOTCERT": options.get("sslrootcert", ""),
    }
    return {name: value for name, value in variables.items() if value}
