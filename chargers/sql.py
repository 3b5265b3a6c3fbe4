"""SQL that the ORM has no word for, the same on SQLite and on PostgreSQL."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connection, models

Row = Sequence[Any]


def insert_rows(model: type[models.Model], fields: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows of values in the order of `fields`, in one statement; JSON comes as text.

    It costs a third of `bulk_create`, which makes, prepares and inspects an object for each row.
    """
    columns = _columns(model, fields)
    if connection.vendor == "sqlite":
        # Its driver knows neither times nor decimals; PostgreSQL's knows both.
        text = [isinstance(column, models.JSONField) for column in columns]
        rows = [
            [
                value if as_it_is else column.get_db_prep_save(value, connection)
                for value, column, as_it_is in zip(row, columns, text, strict=True)
            ]
            for row in rows
        ]
    names = ", ".join(connection.ops.quote_name(column.column) for column in columns)
    table = connection.ops.quote_name(model._meta.db_table)
    _execute(f"INSERT INTO {table} ({names}) VALUES {{rows}}", rows)  # noqa: S608 - names of our own


def update_rows(rows: Iterable[models.Model], fields: Sequence[str]) -> None:
    """Write `fields` of rows that exist, in one statement.

    It costs a tenth of `bulk_update`, which builds a CASE expression for each row and field.
    """
    rows = list(rows)
    if not rows:
        return
    meta = rows[0]._meta
    columns = _columns(type(rows[0]), fields)
    names = [f"v{index}" for index in range(len(columns))]
    # PostgreSQL takes untyped values for text; SQLite's casts would change them.
    cast = "CAST(v.{name} AS {type})" if connection.vendor == "postgresql" else "v.{name}"
    assignments = ", ".join(
        f"{connection.ops.quote_name(field.column)} = {cast.format(name=name, type=field.db_type(connection))}"
        for name, field in zip(names, columns, strict=True)
    )
    assert meta.pk is not None
    table, key = connection.ops.quote_name(meta.db_table), connection.ops.quote_name(meta.pk.attname)
    statement = (
        f"WITH v(k, {', '.join(names)}) AS (VALUES {{rows}}) "  # noqa: S608 - names of our own
        f"UPDATE {table} SET {assignments} FROM v WHERE {table}.{key} = v.k"
    )
    values = [
        (
            meta.pk.get_db_prep_save(row.pk, connection),
            *(field.get_db_prep_save(getattr(row, field.attname), connection) for field in columns),
        )
        for row in rows
    ]
    _execute(statement, values)


def _columns(model: type[models.Model], fields: Sequence[str]) -> list[Any]:
    return [model._meta.get_field(name) for name in fields]


def _execute(statement: str, rows: Sequence[Row]) -> None:
    """Execute a statement with all rows at once, or with as many as the database takes parameters for."""
    with connection.cursor() as cursor:
        for part in _parts(rows):
            placeholders = ", ".join([f"({', '.join(['%s'] * len(part[0]))})"] * len(part))
            cursor.execute(statement.format(rows=placeholders), [value for row in part for value in row])


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    if not rows:
        return
    size = len(rows)
    if connection.vendor == "sqlite":
        # It has a limit, and a station may tell a whole session's readings with its stop.
        size = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(rows[0])
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
