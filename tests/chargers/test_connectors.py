"""Connectors: learnt from what stations report, put in and out of service by operators."""

import pytest
from pytest_django import DjangoAssertNumQueries

from chargers.changes import Changes
from chargers.models import ChargePoint, Connector
from chargers.services import connectors
from chargers.values import AvailabilityChange
from tests.chargers import told
from tests.chargers.told import at

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_stations(db: None) -> list[ChargePoint]:
    """CP1 and CP2, each with the connectors 1 and 2."""
    found = [told.station("CP1"), told.station("CP2")]
    connectors.ensure([(each.pk, evse_id, 1) for each in found for evse_id in (1, 2)], Changes())
    return found


def change(evse_id: int, operative: bool, changes: Changes | None = None) -> None:
    told_change = AvailabilityChange("CP1", evse_id, operative, at(0))
    connectors.set_availability([told_change], changes if changes is not None else Changes())


def out_of_service() -> set[tuple[str, int]]:
    rows = Connector.objects.filter(availability_status="Inoperative")
    return set(rows.values_list("chargepoint_id", "evse_id"))


def test_connectors_are_made_once_and_evse_0_has_none() -> None:
    changes = Changes()
    places = [("CP1", 0, 0), ("CP1", 1, 1), ("CP1", 3, 1), ("CP1", 3, 1), ("CP2", 1, 2)]
    found = connectors.ensure(places, changes)
    assert set(found) == set(places) - {("CP1", 0, 0)}
    assert changes.rows == {"connector": {found[place].pk: "created" for place in (("CP1", 3, 1), ("CP2", 1, 2))}}
    assert connectors.ensure(places, Changes()) == found
    assert Connector.objects.count() == 6


def test_no_places_have_no_connectors_and_cost_nothing(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert connectors.ensure([("CP1", 0, 0)], Changes()) == {}


def test_one_connector_is_put_out_of_service_and_back() -> None:
    changes = Changes()
    change(2, False, changes)
    assert out_of_service() == {("CP1", 2)}
    assert list(changes.rows["connector"].values()) == ["updated"]
    change(2, True)
    assert out_of_service() == set()


def test_evse_0_means_all_connectors_of_the_station_and_of_no_other() -> None:
    change(1, False)
    changes = Changes()
    change(0, False, changes)
    assert out_of_service() == {("CP1", 1), ("CP1", 2)}
    # Of the two only one changed.
    assert len(changes.rows["connector"]) == 1


def test_a_connector_that_has_not_reported_yet_is_put_out_of_service_all_the_same() -> None:
    changes = Changes()
    change(3, False, changes)
    assert out_of_service() == {("CP1", 3)}
    assert list(changes.rows["connector"].values()) == ["created"]


def test_a_status_leaves_what_operators_made_of_a_connector() -> None:
    change(1, False)
    told.status("Available", 1)
    assert out_of_service() == {("CP1", 1)}
