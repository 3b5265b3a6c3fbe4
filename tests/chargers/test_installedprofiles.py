"""Charging profiles that stations are believed to have: what brings them, and what takes them away."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from chargers import representation
from chargers.changes import Changes
from chargers.choices import ConnectorStatus
from chargers.models import ChargePoint, Connector, IdTag, InstalledProfile
from chargers.services import installedprofiles, transactionstarts
from chargers.values import PlacedProfile, ProfileExpected, ProfileInstalled, ProfilesCleared, Started
from tests.chargers import told
from tests.chargers.test_profiles import profile
from tests.chargers.told import abandoned, at, start, status, stop

pytestmark = pytest.mark.django_db

# What is believed of a profile: its id, its EVSE, its state, its transaction.
Belief = tuple[int, int, str, int | None]


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    return told.station()


@pytest.fixture(autouse=True)
def tags(db: None) -> None:
    for tag in ("TAG1", "TAG2"):
        IdTag.objects.create(id_token=tag, max_active_transactions=None)


def install(
    number: int = 1,
    evse_id: int = 0,
    *,
    minute: float = 0,
    station: str = "CP1",
    changes: Changes | None = None,
    **of: Any,
) -> None:
    value = ProfileInstalled(station, evse_id, profile(chargingprofile_id=number, **of), at(minute))
    assert installedprofiles.install([value], Changes() if changes is None else changes) == [None]


def install_tx(number: int, transaction: int, evse_id: int = 1, **of: Any) -> None:
    install(number, evse_id, purpose="TxProfile", transaction_id=transaction, **of)


def expect(
    number: int = 1,
    evse_id: int = 1,
    *,
    tag: str = "TAG1",
    minute: float = 0,
    due: bool = False,
    command_id: UUID | None = None,
    station: str = "CP1",
) -> None:
    of = profile(chargingprofile_id=number, purpose="TxProfile")
    value = ProfileExpected(station, evse_id, tag, of, at(minute), command_id, due)
    assert installedprofiles.expect([value], Changes()) == [None]


def clear(changes: Changes | None = None, station: str = "CP1", **criteria: Any) -> None:
    assert installedprofiles.clear(
        [ProfilesCleared(station, **criteria)], Changes() if changes is None else changes
    ) == [None]


def believed() -> list[Belief]:
    rows = InstalledProfile.objects.order_by("chargingprofile_id", "pk")
    return [(row.chargingprofile_id, row.evse_id, row.state, row.transaction_id) for row in rows]


def numbers() -> list[int]:
    return [number for number, *_ in believed()]


# Set


def test_an_accepted_profile_is_believed_whole() -> None:
    command, changes = uuid4(), Changes()
    of = profile(
        16, 10, kind="Recurring", recurrency_kind="Daily", start_schedule="2026-01-01T00:00:00Z", duration=86_400
    )
    installedprofiles.install([ProfileInstalled("CP1", 0, of, at(1), command)], changes)
    row = InstalledProfile.objects.get()
    assert row.profile() == of
    assert (row.chargepoint_id, row.evse_id, row.command_id, row.since) == ("CP1", 0, command, at(1))
    assert (row.state, row.transaction_id, row.without_effect) == ("Installed", None, False)
    assert changes.rows == {"chargingprofile": {row.pk: "created"}}


@pytest.mark.parametrize(
    ("number", "evse_id", "of", "left"),
    [
        (1, 2, {"stack_level": 5}, [1]),
        (9, 0, {}, [9]),
        (9, 0, {"stack_level": 1}, [1, 9]),
        (9, 1, {}, [1, 9]),
        (9, 0, {"purpose": "ChargingStationMaxProfile"}, [1, 9]),
    ],
    ids=["same id", "same place and level", "another level", "another connector", "another purpose"],
)
def test_a_profile_replaces_the_one_of_its_id_or_of_its_place_purpose_and_level(
    number: int, evse_id: int, of: dict[str, Any], left: list[int]
) -> None:
    install(1)
    install(number, evse_id, **of)
    assert numbers() == left


def test_what_is_replaced_is_told_as_gone() -> None:
    install(1)
    before, changes = representation.installedprofile(InstalledProfile.objects.get()), Changes()
    install(2, changes=changes)
    assert changes.removed == [("chargingprofile", "CP1", before)]
    assert bool(changes)


def test_each_station_has_profiles_of_its_own() -> None:
    told.station("CP2")
    install(1)
    install(1, station="CP2")
    clear(station="CP2")
    assert [row.chargepoint_id for row in InstalledProfile.objects.all()] == ["CP1"]


def test_a_station_that_was_deleted_meanwhile_has_none() -> None:
    ChargePoint.objects.all().delete()
    install(1)
    expect(2)
    assert believed() == []


def test_a_profile_of_a_transaction_belongs_to_it() -> None:
    number = start(0).transaction_id
    install_tx(1, number)
    assert believed() == [(1, 1, "Installed", number)]


def test_a_profile_taken_for_a_transaction_that_is_over_is_not_believed() -> None:
    number = start(0).transaction_id
    stop(number, 30)
    install_tx(1, number)
    assert believed() == []


def test_a_foreign_transaction_is_known_by_the_number_that_its_station_uses() -> None:
    row = told.row(start(0))
    row.uuid = "4711"
    row.save()
    install_tx(1, 4711)
    assert believed() == [(1, 1, "Installed", row.pk)]


def test_a_profile_of_a_transaction_that_nobody_knows_goes_when_another_begins_there() -> None:
    install_tx(1, 4711, evse_id=1)
    install_tx(2, 4712, evse_id=2)
    install(3, 1)
    start(1)
    assert numbers() == [2, 3]


# Cleared


@pytest.fixture
def four(db: None) -> int:
    """Install four profiles, the third for a transaction; return its number."""
    number = start(0).transaction_id
    install(1, 0, purpose="ChargingStationMaxProfile")
    install(2, 0, stack_level=1)
    install_tx(3, number, stack_level=1)
    install(4, 1)
    return number


@pytest.mark.parametrize(
    ("criteria", "left"),
    [
        ({}, []),
        ({"chargingprofile_id": 2}, [1, 3, 4]),
        ({"chargingprofile_id": 9}, [1, 2, 3, 4]),
        # With an id the rest is ignored (errata 3.26).
        ({"chargingprofile_id": 2, "evse_id": 1, "purpose": "TxProfile"}, [1, 3, 4]),
        ({"evse_id": 0}, [3, 4]),
        ({"evse_id": 1}, [1, 2]),
        ({"purpose": "TxDefaultProfile"}, [1, 3]),
        ({"stack_level": 0}, [2, 3]),
        ({"stack_level": 1, "evse_id": 1}, [1, 2, 4]),
        ({"stack_level": 1, "evse_id": 1, "purpose": "TxDefaultProfile"}, [1, 2, 3, 4]),
        ({"evse_id": 10**12}, [1, 2, 3, 4]),
    ],
)
def test_clearing_takes_what_matches_everything_that_was_told(
    criteria: dict[str, Any], left: list[int], four: int
) -> None:
    changes = Changes()
    clear(changes, **criteria)
    assert numbers() == left
    assert sorted(data["chargingprofile_id"] for *_, data in changes.removed) == sorted({1, 2, 3, 4} - {*left})


def test_what_waits_for_a_transaction_anywhere_is_not_cleared_with_the_station_as_a_whole() -> None:
    expect(1, 0)
    clear(evse_id=0)
    assert numbers() == [1]
    clear(chargingprofile_id=1)
    assert numbers() == []


def test_clearing_reaches_what_waits_at_the_station_and_not_what_it_is_yet_to_be_given() -> None:
    expect(1)
    expect(2, due=True, tag="TAG2")
    clear(purpose="TxProfile")
    assert believed() == [(2, 1, "Due", None)]


# Transactions end


def test_a_profile_goes_with_its_transaction_and_others_stay(four: int) -> None:
    changes = Changes()
    stop(four, 30, changes)
    assert numbers() == [1, 2, 4]
    assert [data["chargingprofile_id"] for *_, data in changes.removed] == [3]
    stop(four, 30)
    assert numbers() == [1, 2, 4]


def test_a_profile_goes_with_a_transaction_that_another_start_ends(four: int) -> None:
    start(40, id_token="TAG2")
    assert numbers() == [1, 2, 4]


def test_a_profile_goes_with_a_transaction_that_the_platform_closes(four: int) -> None:
    status(ConnectorStatus.AVAILABLE, 40)
    assert Connector.objects.get().connector_status == "Available"
    assert abandoned(60) == 1
    assert numbers() == [1, 2, 4]


# Transactions begin


@pytest.mark.parametrize("named", [0, 2])
def test_the_profile_of_a_remote_start_belongs_to_the_transaction_that_follows(named: int) -> None:
    expect(1, named)
    assert believed() == [(1, named, "Pending", None)]
    changes = Changes()
    started = start(1, changes, evse_id=2, id_token="tag-1")
    assert believed() == [(1, 2, "Installed", started.transaction_id)]
    assert changes.rows["chargingprofile"] == {InstalledProfile.objects.get().pk: "updated"}
    assert started.due is None
    stop(started.transaction_id, 30)
    assert believed() == []


@pytest.mark.parametrize(
    "other",
    [
        {"id_token": "TAG2"},
        {"evse_id": 2},
        {"evse_id": 0},
        {"minute": 11},
        {"minute": -6, "told_at": 1},
    ],
    ids=["another tag", "another connector", "no connector", "too late", "long before"],
)
def test_the_profile_of_a_remote_start_waits_for_no_other_transaction(other: dict[str, Any]) -> None:
    expect(1)
    start(**{"minute": 1, **other})
    assert believed() == [(1, 1, "Pending", None)]


def test_a_start_of_another_station_takes_no_profile() -> None:
    told.station("CP2")
    expect(1)
    start(1, station="CP2")
    assert believed() == [(1, 1, "Pending", None)]


def test_a_start_that_overtook_the_answer_has_its_profile_all_the_same() -> None:
    started = start(1)
    expect(1, 0, minute=1.1)
    assert believed() == [(1, 1, "Installed", started.transaction_id)]


def test_a_start_of_long_ago_is_not_the_one_that_was_asked_for() -> None:
    start(1)
    expect(1, 0, minute=3)
    assert believed() == [(1, 0, "Pending", None)]


def test_a_repeated_start_takes_no_profile() -> None:
    first = start(1)
    expect(1, minute=5)
    assert start(1) == first
    assert believed() == [(1, 1, "Pending", None)]


def test_the_last_of_several_remote_starts_counts() -> None:
    expect(1)
    expect(2, minute=1)
    assert numbers() == [2]
    expect(3, 0, minute=2)
    started = start(3)
    assert believed() == [(2, 1, "Pending", None), (3, 1, "Installed", started.transaction_id)]


def test_a_profile_that_begins_replaces_what_was_left_of_its_id() -> None:
    install(1, 2)
    expect(1)
    started = start(1)
    assert believed() == [(1, 1, "Installed", started.transaction_id)]


def test_a_profile_that_is_due_is_handed_to_whoever_sets_it_until_it_is_set() -> None:
    expect(5, 0, due=True)
    started = start(1, evse_id=2)
    number = started.transaction_id
    wanted = profile(chargingprofile_id=5, purpose="TxProfile", transaction_id=number)
    assert started.due == PlacedProfile(2, wanted)
    assert believed() == [(5, 2, "Due", number)]
    # The answer was lost, and what followed it too.
    assert start(1, evse_id=2).due == PlacedProfile(2, wanted)
    install_tx(5, number, evse_id=2)
    assert believed() == [(5, 2, "Installed", number)]
    assert start(1, evse_id=2).due is None
    assert start(2, evse_id=3).due is None


def test_a_profile_that_is_due_and_never_set_goes_with_its_transaction() -> None:
    expect(5, due=True)
    stop(start(1).transaction_id, 30)
    assert believed() == []


def test_each_of_a_batch_of_starts_gets_its_own() -> None:
    expect(1, 1)
    expect(2, 2, tag="TAG2")
    values = [told.a_start(1), told.a_start(1, evse_id=2, id_token="TAG2"), told.a_start(1, evse_id=3)]
    first, second, _ = transactionstarts.record(values, Changes())
    assert believed() == [
        (1, 1, "Installed", first.transaction_id),
        (2, 2, "Installed", second.transaction_id),
    ]


def test_what_waits_for_a_start_that_came_to_nothing_is_forgotten() -> None:
    command = uuid4()
    expect(1, due=True, command_id=command)
    expect(2, 0, command_id=command)
    installedprofiles.forget_expected([uuid4()], Changes())
    assert numbers() == [1, 2]
    installedprofiles.forget_expected([command], Changes())
    # What the station took waits on: it may begin.
    assert numbers() == [2]


def test_what_waits_too_long_is_swept_away(settings: Settings) -> None:
    settings.OCPP_REMOTE_START_GRACE = 120
    install(9, 1)
    expect(1)
    expect(2, due=True, tag="TAG2")
    installedprofiles.sweep(now=at(2), changes=Changes())
    assert numbers() == [1, 2, 9]
    changes = Changes()
    installedprofiles.sweep(now=at(2.1), changes=changes)
    assert numbers() == [9]
    assert len(changes.removed) == 2


# What it costs


def statements(values: Sequence[Any], django_assert_num_queries: DjangoAssertNumQueries, queries: int) -> None:
    with django_assert_num_queries(queries):
        installedprofiles.begin(values, [Started(1, None)] * len(values), Changes())  # type: ignore[arg-type]


def test_stations_without_profiles_pay_one_query_a_batch(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for size in (1, 20):
        statements([told.a_start(1)] * size, django_assert_num_queries, 1)
        with django_assert_num_queries(1):
            installedprofiles.end(range(size), Changes())


def test_profiles_for_everybody_cost_a_start_nothing_more(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    install(1, 0)
    install(2, 1, stack_level=3)
    statements([told.a_start(1)], django_assert_num_queries, 1)
