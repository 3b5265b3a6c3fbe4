"""Repeats, reorderings and crashes: whatever happens between a station and the database, the same rows are left."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chargers.models import ChargePoint, IdTag
from tests.csms import sessions
from tests.csms.sessions import Station

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("OV2XMP_FUZZ_EXAMPLES", "20"))


@pytest.fixture(autouse=True)
def known(db: None) -> None:
    for index in range(3):
        ChargePoint.objects.create(chargepoint_id=f"CP{index}")
    # Who is one too many depends on who came first.
    IdTag.objects.create(id_token=sessions.TAG, max_active_transactions=None)


def left_by(tell: Callable[[], None]) -> dict[str, list[Any]]:
    """Return the rows that are left once everything is told, and take them back."""
    with transaction.atomic():
        tell()
        left = sessions.rows()
        transaction.set_rollback(True)
    return left


def differences(left: dict[str, list[Any]], expected: dict[str, list[Any]]) -> list[str]:
    """Name the rows that are there and should not be, and the other way around."""
    return [
        f"{kind} {what}: {row}"
        for kind in expected
        for what, has, lacks in (("too many", left, expected), ("missing", expected, left))
        for row in has[kind]
        if has[kind].count(row) > lacks[kind].count(row)
    ]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data(), fleet=sessions.fleets())
def test_any_schedule_leaves_the_rows_of_the_one_without_faults(data: st.DataObject, fleet: Sequence[Station]) -> None:
    expected = left_by(lambda: sessions.tell_in_order(fleet))
    left = left_by(lambda: sessions.tell_somehow(fleet, data.draw))
    found = differences(left, expected)
    assert not found, "\n".join(found)
