"""Whether stations do what they accepted, as their meters tell (SC-02)."""

from typing import Any

import pytest

from chargers.changes import Changes
from chargers.models import ChargePoint, Deviation, IdTag, InstalledProfile
from chargers.services import obedience
from chargers.values import Sample
from tests.chargers import told
from tests.chargers.test_installedprofiles import install, install_tx
from tests.chargers.told import at, meter, power, start, stop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def cp1(db: None) -> ChargePoint:
    IdTag.objects.create(id_token="TAG1", max_active_transactions=None)
    return told.station()


@pytest.fixture
def running(cp1: ChargePoint) -> int:
    """Start a transaction on EVSE 1 at ten o'clock; return its number."""
    return start(0).transaction_id


def amperes(value: float, measurand: str = "Current.Import", **members: Any) -> Sample:
    return {"value": str(value), "measurand": measurand, "unit": "A", **members}  # type: ignore[typeddict-item]


def offered(value: float) -> Sample:
    return amperes(value, "Current.Offered")


def up_to(limit: float) -> dict[str, Any]:
    return {"charging_schedule_period": [{"start_period": 0, "limit": limit}]}


def judge(minute: float = 10) -> set[int]:
    """Judge, and return which profiles are found to be without effect."""
    changes = Changes()
    before = found()
    count = obedience.judge(now=at(minute), changes=changes)
    assert count == len(found() - before) == len(changes.rows.get("chargingprofile", {}))
    return found()


def found() -> set[int]:
    rows = InstalledProfile.objects.filter(without_effect=True)
    return set(rows.values_list("chargingprofile_id", flat=True))


def test_a_station_that_charges_on_is_found_out_once(running: int) -> None:
    install_tx(1, running)
    meter(running, 5, amperes(32))
    assert judge() == {1}
    noted = Deviation.objects.get()
    assert (noted.kind, noted.count) == ("limit-without-effect", 1)
    assert noted.example == f"transaction {running}: 32 A against 16 of TxProfile 1"
    assert judge(11) == {1}
    assert Deviation.objects.get().count == 1


@pytest.mark.parametrize(
    ("samples", "without_effect"),
    [
        ([amperes(16.5)], False),
        ([amperes(18.7)], True),
        ([amperes(20, phase="L1"), amperes(10, phase="L2")], True),
        ([offered(16), amperes(32)], False),
        ([offered(32), amperes(0)], True),
        ([power(22_000)], False),
        ([amperes(0)], False),
    ],
)
def test_amperes_are_held_against_amperes_and_what_is_offered_counts(
    samples: list[Sample], without_effect: bool, running: int
) -> None:
    install_tx(1, running)
    meter(running, 5, *samples)
    assert judge() == ({1} if without_effect else set())


@pytest.mark.parametrize(
    ("sample", "without_effect"),
    [
        (power(11_000), True),
        (power(7_400), False),
        ({"value": "11", "measurand": "Power.Offered", "unit": "kW"}, True),
        (amperes(32), False),
    ],
)
def test_watts_are_held_against_watts(sample: Sample, without_effect: bool, running: int) -> None:
    install_tx(1, running, charging_rate_unit="W", **up_to(7000))
    meter(running, 5, sample)
    assert judge() == ({1} if without_effect else set())


def test_a_limit_has_time_to_take_effect(running: int) -> None:
    install_tx(1, running, minute=5)
    meter(running, 5.5, amperes(32))
    assert judge() == set()
    meter(running, 6, amperes(32))
    assert judge() == {1}


def test_a_limit_that_has_just_fallen_has_time_to_take_effect_too(running: int) -> None:
    falling = [{"start_period": 0, "limit": 32}, {"start_period": 300, "limit": 10}]
    install_tx(1, running, charging_schedule_period=falling)
    meter(running, 5.5, amperes(32))
    assert judge() == set()
    meter(running, 6.5, amperes(32))
    assert judge() == {1}


@pytest.mark.parametrize(
    ("installed", "without_effect"),
    [
        ([{"number": 1, "evse_id": 1}], {1}),
        ([{"number": 1, "evse_id": 0}], {1}),
        ([{"number": 1, "evse_id": 2}], set()),
        ([{"number": 1, "purpose": "ChargingStationMaxProfile"}], {1}),
        ([{"number": 1}, {"number": 2, "stack_level": 1, **up_to(32)}], set()),
        ([{"number": 1, **up_to(32)}, {"number": 2, "evse_id": 1}], {2}),
        ([{"number": 1, "purpose": "ChargingStationMaxProfile"}, {"number": 2, **up_to(10)}], {1, 2}),
        ([{"number": 1, "valid_to": at(1)}], set()),
    ],
)
def test_the_profile_that_rules_is_the_one_that_is_broken(
    installed: list[dict[str, Any]], without_effect: set[int], running: int
) -> None:
    for each in installed:
        install(**each)
    meter(running, 5, amperes(32))
    assert judge() == without_effect


def test_a_profile_of_the_transaction_overrules_that_for_all(running: int) -> None:
    install(1)
    install_tx(2, running, **up_to(32))
    meter(running, 5, amperes(32))
    assert judge() == set()


def test_only_what_runs_is_judged(running: int) -> None:
    install(1)
    meter(running, 5, amperes(32))
    stop(running, 6)
    assert judge() == set()
    again = start(7).transaction_id
    assert judge() == set()
    meter(again, 9, amperes(32))
    assert judge() == {1}
