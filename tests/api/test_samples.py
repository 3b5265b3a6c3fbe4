from typing import Any

import pytest
from rest_framework.test import APIClient

from chargers.models import MeterValue, Transaction
from tests.api import rows

pytestmark = pytest.mark.django_db

READINGS = [
    [{"value": "a", "unit": "Wh"}, {"value": "b", "unit": "W", "measurand": "Power.Active.Import"}],
    [],
    [{"value": "c", "unit": "W", "measurand": "Power.Active.Import"}],
    [{"value": "d"}, {"value": "e", "unit": "Wh", "measurand": "Energy.Active.Import.Register"}, {"value": "f"}],
]


@pytest.fixture
def transaction() -> Transaction:
    """A transaction with readings that arrived in another order than they were taken in."""
    transaction = rows.transaction(rows.station())
    for minute in (2, 0, 3, 1):
        rows.reading(transaction, READINGS[minute], minute)
    rows.reading(rows.transaction(transaction.chargepoint), [{"value": "another's"}])
    return transaction


def found(client: APIClient, transaction: Transaction, **query: Any) -> tuple[int, str]:
    answer = client.get(f"/api/sampledvalue/{transaction.pk}/", query).json()
    return answer["count"], "".join(row["value"] for row in answer["results"])


def test_every_sample_is_an_object_oldest_first(viewer: APIClient, transaction: Transaction) -> None:
    assert found(viewer, transaction) == (6, "abcdef")
    results = viewer.get(f"/api/sampledvalue/{transaction.pk}/").json()["results"]
    assert [row["timestamp"][14:16] for row in results] == ["00", "00", "02", "03", "03", "03"]


@pytest.mark.parametrize("limit", range(1, 7))
def test_a_page_may_begin_and_end_within_a_reading(limit: int, viewer: APIClient, transaction: Transaction) -> None:
    pages = [found(viewer, transaction, limit=limit, offset=offset) for offset in range(0, 6, limit)]
    assert "".join(values for _, values in pages) == "abcdef"
    assert {count for count, _ in pages} == {6}
    assert found(viewer, transaction, limit=limit, offset=6) == (6, "")


def test_samples_are_filtered_by_what_they_show(viewer: APIClient, transaction: Transaction) -> None:
    assert found(viewer, transaction, unit="W") == (2, "bc")
    assert found(viewer, transaction, unit="Wh") == (2, "ae")
    assert found(viewer, transaction, measurand="Power.Active.Import") == (2, "bc")
    # What a station leaves out is this one (OCPP 1.6 section 7.43).
    assert found(viewer, transaction, measurand="Energy.Active.Import.Register") == (4, "adef")
    assert found(viewer, transaction, measurand="Energy.Active.Import.Register", unit="Wh", limit=1, offset=1) == (
        2,
        "e",
    )
    assert found(viewer, transaction, unit="W' OR 1=1 --") == (0, "")


def test_a_page_reads_only_the_readings_it_shows(
    viewer: APIClient, transaction: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    from_db = MeterValue.from_db.__func__
    monkeypatch.setattr(MeterValue, "from_db", classmethod(lambda cls, *row: read.append(row) or from_db(cls, *row)))
    assert found(viewer, transaction, limit=2, offset=1) == (6, "bc")
    assert len(read) == 2


def test_a_transaction_without_readings_has_no_samples(viewer: APIClient) -> None:
    assert found(viewer, rows.transaction(rows.station())) == (0, "")


def test_what_no_sample_can_hold_is_refused_by_name(viewer: APIClient, transaction: Transaction) -> None:
    refused = viewer.get(f"/api/sampledvalue/{transaction.pk}/", {"unit": "\x00"})
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {"unit"}
