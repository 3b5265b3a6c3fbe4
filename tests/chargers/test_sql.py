"""Statements of our own, on either database."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from chargers.models import ChargePoint, CsmsNode
from chargers.sql import insert_rows, update_rows

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 2000


@pytest.fixture
def few_parameters() -> Iterator[None]:
    """Let SQLite take as few parameters as its oldest builds do; PostgreSQL has no limit."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    before = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
    yield
    connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, before)


@pytest.mark.usefixtures("few_parameters")
def test_more_rows_than_a_database_takes_parameters_for_are_all_written() -> None:
    rows = [(str(number), f"node {number}", START, START) for number in range(MANY)]
    insert_rows(CsmsNode, ("node_id", "name", "started_at", "lease_until"), rows)
    nodes = list(CsmsNode.objects.all())
    for node in nodes:
        node.lease_until = START + timedelta(seconds=int(node.node_id))
    update_rows(nodes, ("lease_until",))
    written = dict(CsmsNode.objects.values_list("node_id", "lease_until"))
    assert written == {str(number): START + timedelta(seconds=number) for number in range(MANY)}


def test_no_rows_write_nothing() -> None:
    insert_rows(ChargePoint, ("chargepoint_id",), [])
    update_rows([], ("lease_until",))
