"""Variables: what stations tell of their settings is kept as they last told it."""

from collections.abc import Sequence

import pytest
from pytest_django import DjangoAssertNumQueries

from chargers.changes import Changes
from chargers.choices import Mutability
from chargers.models import Variable
from chargers.services import variables
from chargers.values import VariableName, VariableReport, VariablesReport
from tests.chargers import told
from tests.chargers.told import at

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def stations(db: None) -> None:
    told.station("CP1")
    told.station("CP2")


def tell(minute: float, *told_now: VariableReport, unknown: Sequence[str] = (), station: str = "CP1") -> None:
    assert variables.record(
        [VariablesReport(station, told_now, [VariableName(name) for name in unknown], at(minute))], Changes()
    ) == [None]


def setting(variable: str, value: str | None, mutability: str = Mutability.READ_WRITE) -> VariableReport:
    return VariableReport(variable, value, mutability)


def kept(station: str = "CP1") -> dict[str, str | None]:
    return dict(Variable.objects.filter(chargepoint=station).values_list("variable", "value"))


def test_what_a_station_tells_is_kept() -> None:
    tell(0, setting("NumberOfConnectors", "2", Mutability.READ_ONLY), setting("Empty", ""), setting("Unset", None))
    assert kept() == {"NumberOfConnectors": "2", "Empty": "", "Unset": None}
    row = Variable.objects.get(variable="NumberOfConnectors")
    assert (row.mutability, row.read_at, row.component, row.attribute) == ("ReadOnly", at(0), "", "Actual")


def test_what_it_tells_again_replaces_what_it_told_and_leaves_the_rest() -> None:
    tell(0, setting("HeartbeatInterval", "300"), setting("ResetRetries", "1"))
    tell(1, setting("HeartbeatInterval", "60", Mutability.READ_ONLY))
    assert kept() == {"HeartbeatInterval": "60", "ResetRetries": "1"}
    row = Variable.objects.get(variable="HeartbeatInterval")
    assert (row.mutability, row.read_at) == ("ReadOnly", at(1))


def test_a_name_is_the_same_in_any_case() -> None:
    tell(0, setting("HeartbeatInterval", "300"))
    tell(1, setting("heartbeatinterval", "60"))
    assert kept() == {"HeartbeatInterval": "60"}


def test_what_it_tells_twice_at_once_is_kept_as_told_last() -> None:
    tell(0, setting("HeartbeatInterval", "300"), setting("HeartbeatInterval", "60"))
    assert kept() == {"HeartbeatInterval": "60"}
    tell(1, setting("HeartbeatInterval", "10"), setting("HEARTBEATINTERVAL", "20"))
    assert kept() == {"HeartbeatInterval": "20"}


def test_what_it_no_longer_knows_is_forgotten_at_this_station_only() -> None:
    for station in ("CP1", "CP2"):
        tell(0, setting("Old", "1"), setting("Kept", "2"), station=station)
    tell(1, unknown=["OLD", "NeverHeardOf"])
    assert kept("CP1") == {"Kept": "2"}
    assert kept("CP2") == {"Old": "1", "Kept": "2"}


def test_what_it_tells_and_does_not_know_in_one_breath_is_kept() -> None:
    tell(0, setting("Odd", "1"))
    tell(1, setting("Odd", "2"), unknown=["Odd"])
    assert kept() == {"Odd": "2"}


def test_a_variable_of_a_component_is_another_than_a_configuration_key() -> None:
    tell(0, setting("Enabled", "true"), VariableReport("Enabled", "false", Mutability.READ_ONLY, component="Clock"))
    tell(1, unknown=["Enabled"])
    assert [(row.component, row.value) for row in Variable.objects.all()] == [("Clock", "false")]


def test_a_long_configuration_takes_no_query_a_key(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    tell(0, *(setting(f"Key{number}", "1") for number in range(30)))
    with django_assert_max_num_queries(4):
        tell(1, *(setting(f"Key{number}", "2") for number in range(60)), unknown=["Gone"])
    assert set(kept().values()) == {"2"}


def test_variables_go_with_their_station() -> None:
    tell(0, setting("HeartbeatInterval", "300"))
    Variable.objects.get().chargepoint.delete()
    assert not Variable.objects.exists()
