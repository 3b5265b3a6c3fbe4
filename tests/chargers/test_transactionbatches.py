"""Starts and stops of many stations at once: what they leave is what each of them by itself would have left."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.db.transaction import atomic, set_rollback
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargers.changes import Changes
from chargers.models import IdTag, MeterValue, Transaction
from chargers.services import transactionstarts, transactionstops
from tests.chargers import told
from tests.chargers.told import a_start, a_stop, energy, reading

pytestmark = pytest.mark.django_db

STATIONS = [f"S{number}" for number in range(3)]
TAGS = ["TAG1", "tag-1", "TAG2", "NOBODY", ""]

MINUTES = st.integers(0, 5)
STARTS = st.lists(
    st.fixed_dictionaries(
        {
            "station": st.sampled_from(STATIONS),
            "minute": MINUTES,
            "meter": st.none() | st.integers(0, 2),
            "evse_id": st.integers(0, 2),
            "id_token": st.sampled_from(TAGS),
            "knows_time": st.booleans(),
        }
    ),
    max_size=8,
)
STOPS = st.lists(
    st.fixed_dictionaries(
        {
            "station": st.sampled_from(STATIONS),
            "minute": MINUTES,
            "meter": st.none() | st.integers(0, 2),
            # Which of the starts it names: one of another station is none of its own.
            "start": st.none() | st.integers(0, 8),
            "id_token": st.sampled_from(TAGS),
            "reads": st.lists(MINUTES, max_size=2),
        }
    ),
    max_size=8,
)


@pytest.fixture(autouse=True)
def fleet(db: None) -> None:
    for identity in STATIONS:
        told.station(identity)
    IdTag.objects.create(id_token="TAG1", max_active_transactions=1)
    IdTag.objects.create(id_token="TAG2")


def turns(values: Sequence[Any]) -> list[int]:
    """Return the order in which values are served: the first of each station, then the second, and so on."""
    seen: Counter[str] = Counter()
    order = []
    for place, value in enumerate(values):
        order.append((seen[value.station], place))
        seen[value.station] += 1
    return [place for _, place in sorted(order)]


def together(record: Callable[[Sequence[Any], Changes], list[Any]], values: Sequence[Any]) -> list[Any]:
    return record(values, Changes())


def one_by_one(record: Callable[[Sequence[Any], Changes], list[Any]], values: Sequence[Any]) -> list[Any]:
    answers = {place: record([values[place]], Changes())[0] for place in turns(values)}
    return [answers[place] for place in range(len(values))]


def tell(starts: Sequence[Any], stops: Sequence[Any], how: Callable[..., list[Any]]) -> Any:
    """Tell starts and then stops, and return what they were answered and what they left, without our numbers."""
    with atomic():
        began = how(transactionstarts.record, [a_start(**_start(each)) for each in starts])
        numbers = [each.transaction_id for each in began]
        ended = how(transactionstops.record, [a_stop(**_stop(each, numbers)) for each in stops])
        names = {key: index for index, key in enumerate(dict.fromkeys(numbers + [e.transaction_id for e in ended]))}
        rows = {
            names[row.pop("transaction_id")]: row | {"uuid": None if row["uuid"] is None else "its own"}
            for row in Transaction.objects.order_by().values()
        }
        for row in rows.values():
            # Hashed from the number that a stop names; connectors are numbered anew in each try.
            del row["fingerprint"], row["connector_id"]
        readings = sorted(
            (names[key], str(at), str(samples))
            for key, at, samples in MeterValue.objects.values_list("transaction_id", "timestamp", "samples")
        )
        set_rollback(True)
    return (
        [(names[each.transaction_id], each.authorization, each.repeated) for each in began],
        [(names[each.transaction_id], each.authorization) for each in ended],
        rows,
        readings,
    )


def _start(asked: dict[str, Any]) -> dict[str, Any]:
    members = {name: value for name, value in asked.items() if name != "knows_time"}
    return members if asked["knows_time"] else members | {"fingerprint": ""}


def _stop(asked: dict[str, Any], numbers: Sequence[int]) -> dict[str, Any]:
    members = {name: asked[name] for name in ("station", "minute", "meter", "id_token")}
    named = asked["start"]
    number = None if named is None else numbers[named] if named < len(numbers) else 4711 + named
    readings = [reading(minute, energy(minute)) for minute in asked["reads"]]
    # What the number is must not tell two stops apart that are alike but for it.
    print_of_it = f"stop {named} {' '.join(map(str, members.values()))}"
    return members | {"number": number, "readings": readings, "fingerprint": print_of_it}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(starts=STARTS, stops=STOPS)
def test_a_batch_of_starts_and_stops_leaves_what_each_by_itself_leaves(starts: list[Any], stops: list[Any]) -> None:
    assert tell(starts, stops, together) == tell(starts, stops, one_by_one)


def cost(record: Callable[[Sequence[Any], Changes], list[Any]], values: Sequence[Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        record(values, Changes())
    return len(captured)


def test_starts_and_stops_of_twenty_stations_take_as_many_statements_as_those_of_two() -> None:
    for number in range(30):
        told.station(f"T{number}")
        IdTag.objects.create(id_token=f"ITS TAG {number}")

    def starts(stations: range, minute: int) -> list[Any]:
        return [a_start(minute, station=f"T{n}", id_token=f"ITS TAG {n}") for n in stations]

    transactionstarts.record(starts(range(30), 0), Changes())
    # Each ends the transaction before it.
    few, many = (cost(transactionstarts.record, starts(stations, 1)) for stations in (range(2), range(10, 30)))
    assert few == many
    numbers = {
        row.chargepoint_id: row.pk for row in Transaction.objects.filter(stop_transaction_timestamp__isnull=True)
    }

    def stops(stations: range) -> list[Any]:
        return [
            a_stop(numbers[f"T{n}"], 30, station=f"T{n}", id_token=f"ITS TAG {n}", readings=[reading(29, energy(1990))])
            for n in stations
        ]

    few, many = (cost(transactionstops.record, stops(stations)) for stations in (range(2), range(10, 30)))
    assert few == many
