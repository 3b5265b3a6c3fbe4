"""The schedules that vehicles are given: as fast as they can, within what is known (2.0.1 K15)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargers import profiles
from chargers.scheduling import Fastest, Session
from chargers.values import Needs, Profile

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AC = Needs("AC_three_phase", parameters={"ev_min_current": 6, "ev_max_current": 32, "ev_max_voltage": 230})
ONE_PHASE = Needs("AC_single_phase", parameters={"ev_max_current": 32})
DC = Needs("DC", parameters={"ev_max_current": 200, "ev_max_voltage": 400})


def profile(*limits: float, unit: str = "A", every: int = 3600, **members: Any) -> Profile:
    periods: list[Any] = [{"start_period": every * index, "limit": limit} for index, limit in enumerate(limits)]
    schedule: Any = {"charging_rate_unit": unit, "charging_schedule_period": periods}
    if start := members.pop("start_schedule", None):
        schedule["start_schedule"] = start
    return Profile(
        **{
            "chargingprofile_id": 1,
            "stack_level": 0,
            "purpose": "TxDefaultProfile",
            "kind": "Relative",
            "schedules": [schedule],
            **members,
        }
    )


def made(
    needs: Needs,
    *limits: list[Profile],
    units: frozenset[str] = frozenset(),
    most: int | None = None,
    at: datetime = NOON,
) -> Any:
    session = Session("CP1", 1, 1, "TAG1", NOON, needs, at, units, most, limits)
    [schedule] = Fastest().schedule(session)
    whole = Profile(1, 0, "TxProfile", "Absolute", [schedule])
    assert profiles.problems(whole) == {}
    return schedule


def told(schedule: Any) -> list[tuple[int, float]]:
    return [(each["start_period"], each["limit"]) for each in schedule["charging_schedule_period"]]


def test_a_vehicle_without_limits_gets_what_it_can_take_for_a_day() -> None:
    schedule = made(AC)
    assert (told(schedule), schedule["charging_rate_unit"], schedule["duration"]) == ([(0, 32)], "A", 86_400)
    assert schedule["start_schedule"] == "2026-03-01T12:00:00Z"
    assert schedule["charging_schedule_period"][0]["number_phases"] == 3


def test_a_schedule_ends_when_the_vehicle_leaves() -> None:
    leaving = Needs(AC.requested_energy_transfer, NOON + timedelta(hours=2), parameters=AC.parameters)
    assert made(leaving, [profile(16, 10, 6)])["duration"] == 7200
    assert told(made(leaving, [profile(16, 10, 6)])) == [(0, 16), (3600, 10)]
    gone = Needs(AC.requested_energy_transfer, NOON - timedelta(hours=2), parameters=AC.parameters)
    assert made(gone)["duration"] == 86_400


def test_every_stack_counts_and_of_each_the_first_that_says_something() -> None:
    evening = profile(8, valid_from=NOON + timedelta(hours=6), stack_level=1)
    assert told(made(AC, [evening, profile(20)], [profile(16)])) == [(0, 16), (21_600, 8)]


def test_a_recurring_limit_comes_back() -> None:
    nightly = profile(
        10,
        20,
        every=43_200,
        kind="Recurring",
        recurrency_kind="Daily",
        start_schedule="2026-02-01T18:00:00Z",
    )
    assert told(made(AC, [nightly])) == [(0, 20), (21_600, 10), (64_800, 20)]


@pytest.mark.parametrize(
    ("needs", "limit", "units", "unit", "amount"),
    [
        (AC, profile(6900, unit="W"), frozenset(), "A", 10),
        (ONE_PHASE, profile(2300, unit="W"), frozenset(), "A", 10),
        (AC, profile(10), frozenset({"W"}), "W", 6900),
        (DC, profile(100), frozenset(), "W", 40_000),
        (DC, profile(20_000, unit="W"), frozenset({"A"}), "A", 50),
    ],
)
def test_limits_are_said_in_the_unit_that_the_station_takes(
    needs: Needs, limit: Profile, units: frozenset[str], unit: str, amount: float
) -> None:
    schedule = made(needs, [limit], units=units)
    assert (schedule["charging_rate_unit"], told(schedule)) == (unit, [(0, amount)])


def test_more_periods_than_fit_end_in_one_that_allows_no_more_than_any_of_them() -> None:
    assert told(made(AC, [profile(16, 20, 6, 30)], most=2)) == [(0, 16), (3600, 6)]
    assert told(made(AC, [profile(16, 20, 6, 30)], most=1)) == [(0, 6)]


def test_changes_within_a_second_are_one_and_never_allow_more() -> None:
    late = NOON + timedelta(seconds=0.4)
    shortly = profile(16, valid_to=NOON + timedelta(seconds=0.8))
    assert told(made(AC, [shortly], at=late)) == [(0, 16)]


def test_nobody_guesses_where_nothing_is_known() -> None:
    assert Fastest().schedule(Session("CP1", 1, 1, None, NOON, Needs("DC"), NOON, frozenset(), None, [])) == []
