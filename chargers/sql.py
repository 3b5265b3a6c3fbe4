"""SQL that the ORM has no word for, the same on SQLite and on PostgreSQL."""

import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from types import NoneType
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS, connections, models

Row = Sequence[Any]


def insert_rows(
    model: type[models.Model], fields: Sequence[str], rows: Sequence[Row], *, ignore_conflicts: bool = False
) -> None:
    """Insert rows of values in the order of `fields`; JSON comes as text.

    With `ignore_conflicts` a row that a unique constraint knows already is left out.
    `bulk_create` would make, prepare and inspect an object for each row. PostgreSQL gets the rows
    by COPY, since parsing a long list of VALUES costs it more than storing them; COPY knows no
    conflicts, so rows that may have some come as a list a column.
    """
    if not rows:
        return
    # The proxy that Django exports looks its thread's connection up for each attribute.
    connection = connections[DEFAULT_DB_ALIAS]
    columns = _columns(model, fields)
    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(connection.ops.quote_name(column.column) for column in columns)
    conflicts = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    if connection.vendor == "sqlite":
        # Its driver knows neither times nor decimals.
        prepare = [_as_it_is if isinstance(column, models.JSONField) else column.get_db_prep_save for column in columns]
        prepared = [[prep(value, connection) for value, prep in zip(row, prepare, strict=True)] for row in rows]
        _execute(f"INSERT INTO {table} ({names}) VALUES {{rows}}{conflicts}", prepared)  # noqa: S608 - names of our own
        return
    with connection.cursor() as cursor, connection.wrap_database_errors:
        if ignore_conflicts:
            lists = [_array(values) for values in zip(*rows, strict=True)]
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT * FROM {_unnest(columns)}{conflicts}",  # noqa: S608
                lists,
            )
        else:
            text = "\n".join(["\t".join([_CELLS.get(type(value), _cell)(value) for value in row]) for row in rows])
            cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN", io.BytesIO(text.encode()))


def update_rows(rows: Iterable[models.Model], fields: Sequence[str]) -> None:
    """Write `fields` of rows that exist, in one statement.

    It costs a tenth of `bulk_update`, which builds a CASE expression for each row and field.
    PostgreSQL gets a list a column, and parses one value for each of them.
    """
    rows = list(rows)
    if not rows:
        return
    connection = connections[DEFAULT_DB_ALIAS]
    meta = rows[0]._meta
    assert meta.pk is not None
    columns = _columns(type(rows[0]), fields)
    names = [f"v{index}" for index in range(len(columns))]
    table, key = connection.ops.quote_name(meta.db_table), connection.ops.quote_name(meta.pk.attname)
    assignments = ", ".join(
        f"{connection.ops.quote_name(field.column)} = v.{name}" for name, field in zip(names, columns, strict=True)
    )
    keyed = f"UPDATE {table} SET {assignments} FROM {{source}} WHERE {table}.{key} = v.k"  # noqa: S608 - names of our own
    if connection.vendor == "postgresql":
        written = [meta.pk, *columns]
        source = f"{_unnest(written)} AS v(k, {', '.join(names)})"
        with connection.cursor() as cursor:
            cursor.execute(keyed.format(source=source), [_column(rows, field) for field in written])
        return
    values = [
        (
            meta.pk.get_db_prep_save(row.pk, connection),
            *(field.get_db_prep_save(getattr(row, field.attname), connection) for field in columns),
        )
        for row in rows
    ]
    _execute(f"WITH v(k, {', '.join(names)}) AS (VALUES {{rows}}) {keyed.format(source='v')}", values)


def delete_rows(rows: models.QuerySet[Any]) -> int:
    """Delete rows in one statement, with no regard to what refers to them; return how many.

    It reads none of them, where the ORM's `delete` would as soon as another table might refer to them.
    """
    return rows._raw_delete(rows.db)


def _columns(model: type[models.Model], fields: Sequence[str]) -> list[Any]:
    return [model._meta.get_field(name) for name in fields]


# How PostgreSQL reads values as text: in a cell of COPY, and in an array.

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _cell_text(value: str) -> str:
    if "\\" in value or "\n" in value or "\t" in value or "\r" in value:
        return value.translate(_ESCAPES)
    return value


def _cell(value: object) -> str:
    return _cell_text(str(value))


_CELLS: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: r"\N",
    str: _cell_text,
    datetime: datetime.isoformat,
    Decimal: str,
    int: str,
    float: str,
    bool: str,
}


def _unnest(columns: Sequence[Any]) -> str:
    """Spell rows that come as a list a column."""
    return f"unnest({', '.join(f'%s::{column.db_type(connections[DEFAULT_DB_ALIAS])}[]' for column in columns)})"


def _column(rows: Sequence[models.Model], field: Any) -> str:
    """Spell what rows have in a field as PostgreSQL's array."""
    name = field.attname
    values = [getattr(row, name) for row in rows]
    if isinstance(field, models.JSONField):
        values = [None if value is None else orjson.dumps(value).decode() for value in values]
    return _array(values)


def _array(values: Iterable[Any]) -> str:
    return f"{{{','.join([_ELEMENTS.get(type(value), _element)(value) for value in values])}}}"


def _element(value: object) -> str:
    escaped = str(value).replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


_ELEMENTS: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: "NULL",
    datetime: datetime.isoformat,
    Decimal: str,
    int: str,
    float: str,
    bool: str,
}


# SQLite.


def _as_it_is(value: object, connection: object) -> object:
    return value


def _execute(statement: str, rows: Sequence[Row]) -> None:
    """Execute a statement with all rows at once, or with as many as the database takes parameters for."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        for part in _parts(rows):
            placeholders = ", ".join([f"({', '.join(['%s'] * len(part[0]))})"] * len(part))
            cursor.execute(statement.format(rows=placeholders), [value for row in part for value in row])


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut rows to what SQLite takes parameters for; a station may tell a whole session's readings with its stop."""
    limit = connections[DEFAULT_DB_ALIAS].connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    size = limit // len(rows[0])
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
