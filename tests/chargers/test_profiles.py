"""Charging profiles: what makes one valid, what it allows when, and how else it can be said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargers import profiles
from chargers.profiles import Limit
from chargers.values import Profile

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT_NOON = "2026-03-01T12:00:00Z"


def periods(*limits: float, every: int = 3600, **more: Any) -> list[Any]:
    return [{"start_period": index * every, "limit": limit, **more} for index, limit in enumerate(limits)]


def schedule(*limits: float, **members: Any) -> Any:
    return {"charging_rate_unit": "A", "charging_schedule_period": periods(*limits or (16,)), **members}


def profile(*limits: float, **members: Any) -> Profile:
    """Make a profile; members of its schedule may be told as its own."""
    inner = {name: members.pop(name) for name in list(members) if name in profiles.SCHEDULE_MEMBERS}
    outer = {"chargingprofile_id": 1, "stack_level": 0, "purpose": "TxDefaultProfile", "kind": "Relative"}
    return Profile(**{**outer, "schedules": [schedule(*limits, **inner)], **members})


def daily(*limits: float, **members: Any) -> Profile:
    told = {"kind": "Recurring", "recurrency_kind": "Daily", "start_schedule": AT_NOON}
    return profile(*limits, **{**told, **members})


PERIODS = "schedules.0.charging_schedule_period"


@pytest.mark.parametrize(
    "valid",
    [
        profile(),
        profile(0, 16.5, 32, duration=7201),
        profile(purpose="TxProfile", transaction_id=7, stack_level=3),
        profile(kind="Absolute", start_schedule=AT_NOON, valid_from=NOON, valid_to=NOON + timedelta(days=1)),
        profile(kind="Absolute"),
        profile(start_schedule=None, duration=None, min_charging_rate=6.1),
        daily(duration=86_400),
        daily(16, 10, recurrency_kind="Weekly", duration=604_800),
        profile(charging_schedule_period=periods(16, number_phases=1)),
        profile(charging_schedule_period=periods(16, number_phases=None)),
    ],
)
def test_a_profile_that_makes_sense_has_no_problems(valid: Profile) -> None:
    assert profiles.problems(valid) == {}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (profile(stack_level=-1), "stack_level"),
        (profile(chargingprofile_id=2**31), "chargingprofile_id"),
        (profile(purpose="ChargingStationExternalConstraints"), "purpose"),
        (profile(transaction_id=7), "transaction_id"),
        (profile(kind="Recurring", start_schedule=AT_NOON), "recurrency_kind"),
        (profile(recurrency_kind="Daily"), "recurrency_kind"),
        (profile(valid_from=NOON, valid_to=NOON), "valid_to"),
        (profile(schedules=[]), "schedules"),
        (profile(schedules=[schedule(), schedule()]), "schedules"),
        (profile(schedules="nonsense"), "schedules"),
        (profile(schedules=["nonsense"]), "schedules.0"),
        (profile(schedules=[{**schedule(), "colour": "red"}]), "schedules.0.colour"),
        (profile(start_schedule=AT_NOON), "schedules.0.start_schedule"),
        (profile(kind="Absolute", start_schedule="noon"), "schedules.0.start_schedule"),
        (profile(kind="Absolute", start_schedule="2026-03-01T12:00:00"), "schedules.0.start_schedule"),
        (daily(start_schedule=None), "schedules.0.start_schedule"),
        (profile(duration=0), "schedules.0.duration"),
        (profile(duration=1.5), "schedules.0.duration"),
        (daily(duration=86_401), "schedules.0.duration"),
        (daily(recurrency_kind="Weekly", duration=604_801), "schedules.0.duration"),
        (profile(charging_rate_unit="kW"), "schedules.0.charging_rate_unit"),
        (profile(min_charging_rate=6.25), "schedules.0.min_charging_rate"),
        (profile(charging_schedule_period=[]), PERIODS),
        (profile(charging_schedule_period="nonsense"), PERIODS),
        (profile(charging_schedule_period=[1]), f"{PERIODS}.0"),
        (profile(charging_schedule_period=[{"start_period": 0, "limit": 1, "colour": "red"}]), f"{PERIODS}.0.colour"),
        (profile(charging_schedule_period=[{"start_period": 1, "limit": 1}]), f"{PERIODS}.0.start_period"),
        (profile(charging_schedule_period=[{"limit": 1}]), f"{PERIODS}.0.start_period"),
        (profile(charging_schedule_period=periods(16, 10, every=0)), f"{PERIODS}.1.start_period"),
        (profile(16, 10, duration=3600), f"{PERIODS}.1.start_period"),
        (daily(charging_schedule_period=periods(16, 10, every=86_400)), f"{PERIODS}.1.start_period"),
        (profile(-1), f"{PERIODS}.0.limit"),
        (profile(16.25), f"{PERIODS}.0.limit"),
        (profile(float("nan")), f"{PERIODS}.0.limit"),
        (profile(True), f"{PERIODS}.0.limit"),
        (profile(charging_schedule_period=periods(16, number_phases=4)), f"{PERIODS}.0.number_phases"),
        (profile(charging_schedule_period=periods(16, number_phases=0)), f"{PERIODS}.0.number_phases"),
    ],
)
def test_a_problem_is_told_by_its_field(wrong: Profile, field: str) -> None:
    assert list(profiles.problems(wrong)) == [field]


def choice(*schedules: Any, **members: Any) -> Profile:
    """A profile whose vehicle chooses among schedules."""
    return profile(**{"purpose": "TxProfile", "transaction_id": "T", "schedules": list(schedules), **members})


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        (choice(schedule(16), schedule(10), schedule(6)), []),
        (choice(*[schedule(16)] * 4), ["schedules"]),
        (choice(schedule(16), schedule(10), purpose="TxDefaultProfile", transaction_id=None), ["schedules"]),
        (choice(schedule(16, id=1), schedule(10, id=1)), ["schedules.1.id"]),
        (choice(schedule(16, id="1")), ["schedules.0.id"]),
        (choice(schedule(sales_tariff=[])), ["schedules.0.sales_tariff"]),
        (profile(charging_schedule_period=periods(16, number_phases=1, phase_to_use=3)), []),
        (profile(charging_schedule_period=periods(16, number_phases=1, phase_to_use=4)), [f"{PERIODS}.0.phase_to_use"]),
        (profile(charging_schedule_period=periods(16, phase_to_use=1)), [f"{PERIODS}.0.phase_to_use"]),
    ],
)
def test_what_only_2_x_says_has_rules_of_its_own(wrong: Profile, fields: list[str]) -> None:
    assert list(profiles.problems(wrong)) == fields


def test_of_several_schedules_the_most_generous_counts() -> None:
    assert profiles.limit_at(choice(schedule(6), schedule(16), schedule(10)), NOON, NOON) == Limit(16, "A")
    # What is in another unit is no match for the first.
    assert profiles.limit_at(choice(schedule(6), schedule(16_000, charging_rate_unit="W")), NOON, NOON) == Limit(6, "A")


def test_of_a_stack_the_first_that_says_something_counts() -> None:
    later = profile(32, valid_from=NOON + timedelta(hours=1))
    stack = [later, profile(16)]
    assert profiles.prevailing(stack, NOON, NOON) == Limit(16, "A")
    assert profiles.prevailing(stack, NOON + timedelta(hours=1), NOON) == Limit(32, "A")
    assert profiles.prevailing([later], NOON, NOON) is None


def test_a_profile_changes_at_its_periods_its_end_and_the_bounds_of_its_validity() -> None:
    day = NOON + timedelta(days=1)
    told = daily(16, 10, duration=7200, valid_to=NOON + timedelta(hours=13))
    hours_after = [
        (each - NOON) / timedelta(hours=1) for each in sorted(profiles.turning_points(told, NOON, day, None))
    ]
    assert hours_after == [1, 2, 13]
    assert profiles.turning_points(profile(16, 10), NOON, day, None) == set()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((None, None), (None, None), True),
        ((None, 1), (1, None), False),
        ((None, 2), (1, None), True),
        ((1, 2), (3, 4), False),
        ((1, None), (2, 3), True),
    ],
)
def test_profiles_overlap_where_both_are_valid_at_a_moment(one: Any, other: Any, expected: bool) -> None:
    def valid(begin: int | None, end: int | None) -> Profile:
        return profile(valid_from=begin and NOON + timedelta(hours=begin), valid_to=end and NOON + timedelta(hours=end))

    assert profiles.overlap(valid(*one), valid(*other)) is expected
    assert profiles.overlap(valid(*other), valid(*one)) is expected


def test_every_problem_is_told_at_once() -> None:
    wrong = profile(stack_level=-1, duration=0, charging_rate_unit="V", charging_schedule_period=periods(-1, 16.25))
    assert list(profiles.problems(wrong)) == [
        "stack_level",
        "schedules.0.duration",
        "schedules.0.charging_rate_unit",
        f"{PERIODS}.0.limit",
        f"{PERIODS}.1.limit",
    ]


# What a profile allows


def hours(number: float) -> datetime:
    """Return the moment so many hours after noon."""
    return NOON + timedelta(hours=number)


@pytest.mark.parametrize(
    ("of", "hour", "limit"),
    [
        (profile(16, 10), 1.5, 16),
        (profile(16, 10), 2, 10),
        (profile(16, 10), 100, 10),
        (profile(16, 10, duration=7200), 2.9, 10),
        (profile(16, 10, duration=7200), 3, None),
        (profile(16), 0.5, None),
        (profile(16, kind="Absolute", start_schedule=AT_NOON), -1, None),
        (profile(16, 10, kind="Absolute", start_schedule=AT_NOON), 1, 10),
        (profile(16, 10, kind="Absolute", start_schedule="2026-03-01T14:00:00+02:00"), 0.5, 16),
        (profile(16, valid_from=hours(2), valid_to=hours(3)), 1.5, None),
        (profile(16, valid_from=hours(2), valid_to=hours(3)), 2, 16),
        (profile(16, valid_from=hours(2), valid_to=hours(3)), 3, None),
        (daily(16, 10), 24.5, 16),
        (daily(16, 10), 49, 10),
        (daily(16, 10), -1, None),
        (daily(16, 10, duration=7200), 26, None),
        (daily(16, 10, recurrency_kind="Weekly"), 24.5, 10),
        (daily(16, 10, recurrency_kind="Weekly"), 24 * 7 + 0.5, 16),
    ],
)
def test_what_a_profile_allows_follows_its_kind(of: Profile, hour: float, limit: float | None) -> None:
    allowed = profiles.limit_at(of, hours(hour), began=hours(1))
    assert allowed == (None if limit is None else Limit(limit, "A"))


def test_without_a_start_of_charging_a_relative_profile_says_nothing() -> None:
    assert profiles.limit_at(profile(16), NOON, began=None) is None


# Other ways to say it


def limits(of: Profile | None) -> list[float]:
    assert of is not None
    assert profiles.problems(of) == {}
    return [period["limit"] for period in of.schedules[0]["charging_schedule_period"]]


def test_limits_are_rounded_down_to_whole_numbers() -> None:
    fractional = profile(16.9, 6, 0.5, min_charging_rate=6.5)
    whole = profiles.in_whole_numbers(fractional)
    assert (limits(whole), whole.schedules[0]["min_charging_rate"]) == ([16, 6, 0], 6)
    assert (profiles.has_fractions(fractional), profiles.has_fractions(whole)) == (True, False)
    assert not profiles.has_fractions(profile(16.0))


@pytest.mark.parametrize(
    ("unit", "phases", "limit", "converted"),
    [
        ("A", None, 16, 11_040),
        ("A", 1, 16, 3680),
        ("A", 3, 0, 0),
        ("W", None, 11_000, 15.9),
        ("W", 1, 3700, 16),
        ("W", 2, 7360, 16),
    ],
)
def test_a_limit_is_converted_by_voltage_and_phases(
    unit: str, phases: int | None, limit: float, converted: float
) -> None:
    of = profile(charging_rate_unit=unit, charging_schedule_period=periods(limit, number_phases=phases))
    other = profiles.in_other_unit(of, 230)
    assert limits(other) == [converted]
    assert other is not None
    assert other.schedules[0]["charging_rate_unit"] != unit


def test_a_lowest_rate_is_converted_where_all_periods_have_the_same_phases() -> None:
    one = profile(16, min_charging_rate=6)
    other = profiles.in_other_unit(one, 230)
    assert other is not None
    assert other.schedules[0]["min_charging_rate"] == 4140
    mixed = [*periods(16), {"start_period": 3600, "limit": 16, "number_phases": 1}]
    assert profiles.in_other_unit(profile(min_charging_rate=6, charging_schedule_period=mixed), 230) is None


@given(st.integers(1, 10**7), st.integers(1, 3))
def test_watts_turned_into_amperes_are_never_more(tenths: int, phases: int) -> None:
    watts = tenths / 10
    of = profile(charging_rate_unit="W", charging_schedule_period=periods(watts, number_phases=phases))
    (amperes,) = limits(profiles.in_other_unit(of, 230))
    assert watts - 0.1 * 230 * phases - 0.001 < amperes * 230 * phases <= watts + 1e-6


def absolute(*limits: float, **members: Any) -> Profile:
    return profile(*limits, **{"kind": "Absolute", "start_schedule": AT_NOON, **members})


def test_what_is_left_of_a_schedule_is_said_without_a_time() -> None:
    of = absolute(16, 10, valid_to=hours(48))
    relative = profiles.as_relative(of, hours(2))
    assert relative == replace(of, kind="Relative", schedules=[schedule(10)])
    assert limits(relative) == [10]


@pytest.mark.parametrize("of", [absolute(16, 10, 6), absolute(16, duration=86_400), profile(16)])
def test_a_schedule_that_still_changes_or_ends_cannot_be_said_without_a_time(of: Profile) -> None:
    assert profiles.as_relative(of, hours(1.5)) is None


def test_a_schedule_began_before_only_if_it_has_a_time() -> None:
    assert profiles.began_before(absolute(16), hours(1))
    assert not profiles.began_before(absolute(16), hours(-1))
    assert not profiles.began_before(daily(16), hours(1))
    assert not profiles.began_before(profile(16), hours(1))
