"""Statements of our own, on either database."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from django.db import IntegrityError, connection
from django.db.transaction import atomic

from chargers.models import ChargePoint, CsmsNode, MeterValue, Transaction
from chargers.services import metervalues
from chargers.sql import insert_rows, update_rows

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 2000
ODD_TEXTS = [
    "",
    "NULL",
    "null",
    r"\N",
    "a\tb\nc\rd",
    r"\t \\ \x41",
    '"',
    '{"a"}',
    "a,b",
    " ",
    "µ 漢字 🔌",
    "%s {rows}",
    "'; --",
]


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


def test_texts_are_stored_as_they_are_whatever_they_contain() -> None:
    """What stands for something in PostgreSQL's own notations is only text here."""
    for text in ODD_TEXTS:
        samples = [{"value": text, "unit": text}]
        values = ("CP1", None, 1, 1, START, text, START, orjson.dumps(samples).decode(), None, Decimal("1.5"), None)
        insert_rows(MeterValue, metervalues.FIELDS, [(*values, -0.25, None, 1e-7, None)])
        row = MeterValue.objects.get()
        assert (row.timestamp_raw, row.samples, row.timestamp) == (text, samples, START)
        assert (row.energy_wh, row.energy_export_wh, row.power_w, row.voltage_v) == (Decimal("1.5"), None, -0.25, 1e-7)
        row.delete()

        transaction = Transaction.objects.create(chargepoint_id="CP1", received_at=START, reservation_id=7)
        transaction.stop_id_tag, transaction.flags, transaction.reservation_id = text, [text], None
        update_rows([transaction], ("stop_id_tag", "flags", "stop_transaction_timestamp", "reservation_id"))
        transaction.refresh_from_db()
        assert (transaction.stop_id_tag, transaction.flags) == (text, [text])
        assert (transaction.stop_transaction_timestamp, transaction.reservation_id) == (None, None)


def test_a_text_that_no_database_takes_is_an_error_of_the_database_or_of_the_value() -> None:
    rows = [("1", "half a pair \ud800", START, START)]
    with pytest.raises(ValueError, match="surrogates"):
        insert_rows(CsmsNode, ("node_id", "name", "started_at", "lease_until"), rows)


def test_a_row_that_stands_already_is_the_error_that_the_orm_has_for_it() -> None:
    rows = [("1", "node", START, START)] * 2
    with pytest.raises(IntegrityError), atomic():
        insert_rows(CsmsNode, ("node_id", "name", "started_at", "lease_until"), rows)
