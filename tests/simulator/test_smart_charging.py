"""Charging profiles at a simulated station (OCPP 1.6 sections 3.13, 5.5, 5.7 and 5.16)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.simulator.fake_csms import Csms
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16, timestamp
from tests.simulator.vehicle import Vehicle

MAX, DEFAULT, TX = "ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"
# 2 h after midnight on a Wednesday.
NOW = datetime(2026, 1, 7, 2, tzinfo=UTC)
MIDNIGHT = "2026-01-07T00:00:00Z"
HOUR = 3600


@pytest.fixture
async def still(served: tuple[Csms, str]) -> AsyncIterator[Station16]:
    """A station whose clock stands at NOW, that only answers."""
    async with Station16(served[1], "CP", connectors=2, clock=lambda: NOW) as connected:
        await connected.boot()
        yield connected


def profile(
    purpose: str = DEFAULT,
    *limits: tuple[int, float],
    number: int = 1,
    level: int = 0,
    kind: str = "Absolute",
    unit: str = "W",
    start: str | None = MIDNIGHT,
    duration: int | None = None,
    **more: Any,
) -> Payload:
    """Build a profile whose limits are (start of the period in s, limit)."""
    schedule: Payload = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": begin, "limit": limit} for begin, limit in limits or [(0, 6000.0)]],
    }
    if start is not None:
        schedule["startSchedule"] = start
    if duration is not None:
        schedule["duration"] = duration
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
        **more,
    }


async def install(csms: Csms, connector: int, wanted: Payload) -> str:
    answer = await csms.ask("SetChargingProfile", {"connectorId": connector, "csChargingProfiles": wanted})
    return str(answer["status"])


async def clear(csms: Csms, **criteria: Any) -> str:
    return str((await csms.ask("ClearChargingProfile", criteria))["status"])


async def composite(csms: Csms, connector: int, duration: int = HOUR, unit: str | None = "W") -> list[Any]:
    """Return the periods of a composite schedule as (start in s, limit)."""
    chosen = {"chargingRateUnit": unit} if unit else {}
    answer = await csms.ask("GetCompositeSchedule", {"connectorId": connector, "duration": duration, **chosen})
    assert (answer["status"], answer["connectorId"]) == ("Accepted", connector)
    periods = answer["chargingSchedule"]["chargingSchedulePeriod"]
    return [(period["startPeriod"], period["limit"]) for period in periods]


def held(station: Station16) -> set[int]:
    return {each.profile["chargingProfileId"] for each in station.profiles.installed}


# What is taken


@pytest.mark.parametrize(
    ("connector", "wanted", "answer"),
    [
        (0, profile(MAX), "Accepted"),
        (1, profile(MAX), "Rejected"),
        (0, profile(DEFAULT), "Accepted"),
        (1, profile(DEFAULT), "Accepted"),
        (0, profile(TX), "Rejected"),
        (1, profile(TX), "Rejected"),
        (1, profile(TX, transactionId=7), "Rejected"),
        (1, profile(level=9), "Rejected"),
        (1, profile(DEFAULT, (60, 6000)), "Rejected"),
        (1, profile(DEFAULT, (0, 6000), (60, 1), (30, 2)), "Rejected"),
        (1, profile(DEFAULT, *((second, 6000) for second in range(25))), "Rejected"),
        (1, profile(kind="Recurring"), "Rejected"),
        (1, profile(kind="Recurring", recurrencyKind="Daily"), "Accepted"),
    ],
)
async def test_a_profile_is_taken_where_it_belongs(
    csms: Csms, still: Station16, connector: int, wanted: Payload, answer: str
) -> None:
    assert await install(csms, connector, wanted) == answer
    assert held(still) == ({1} if answer == "Accepted" else set())


async def test_a_profile_of_a_transaction_needs_the_running_one(csms: Csms, still: Station16) -> None:
    await still.start(1, "TAG")
    assert await install(csms, 1, profile(TX, transactionId=8)) == "Rejected"
    assert await install(csms, 2, profile(TX)) == "Rejected"
    assert await install(csms, 1, profile(TX, transactionId=7)) == "Accepted"
    assert await install(csms, 1, profile(TX, number=2, level=1)) == "Accepted"
    await install(csms, 1, profile(DEFAULT, number=3))
    await still.stop(1)
    assert held(still) == {3}


async def test_a_profile_replaces_the_one_with_its_id_or_its_place(csms: Csms, still: Station16) -> None:
    await install(csms, 1, profile(number=1))
    await install(csms, 1, profile(number=1, level=3))
    assert [each.level for each in still.profiles.installed] == [3]
    await install(csms, 1, profile(number=2, level=3))
    assert held(still) == {2}
    for connector, purpose, level, number in ((2, DEFAULT, 3, 3), (1, DEFAULT, 4, 4), (0, MAX, 3, 5)):
        await install(csms, connector, profile(purpose, number=number, level=level))
    assert held(still) == {2, 3, 4, 5}


async def test_there_is_room_for_so_many_profiles(csms: Csms, still: Station16) -> None:
    still.configuration["MaxChargingProfilesInstalled"].value = "2"
    await install(csms, 1, profile(number=1, level=1))
    await install(csms, 1, profile(number=2, level=2))
    assert await install(csms, 1, profile(number=3, level=3)) == "Rejected"
    assert await install(csms, 1, profile(number=3, level=2)) == "Accepted"


async def test_what_a_station_cannot_do_it_says(csms: Csms, still: Station16) -> None:
    wanted = {"connectorId": 9, "csChargingProfiles": profile()}
    assert (await csms.call("SetChargingProfile", wanted))[2] == "PropertyConstraintViolation"
    still.configuration["ChargingScheduleAllowedChargingRateUnit"].value = "Current"
    assert await install(csms, 1, profile(unit="W")) == "Rejected"
    still.configuration["SupportedFeatureProfiles"].value = "Core"
    for action, payload in (
        ("SetChargingProfile", {**wanted, "connectorId": 1}),
        ("ClearChargingProfile", {}),
        ("GetCompositeSchedule", {"connectorId": 1, "duration": 60}),
    ):
        assert (await csms.call(action, payload))[2] == "NotSupported"


@pytest.mark.parametrize(
    ("criteria", "status", "left"),
    [
        ({}, "Accepted", set()),
        ({"id": 2}, "Accepted", {1, 3, 4}),
        ({"id": 2, "connectorId": 1}, "Accepted", {1, 3, 4}),
        ({"id": 9}, "Unknown", {1, 2, 3, 4}),
        ({"connectorId": 1}, "Accepted", {1, 4}),
        ({"connectorId": 0}, "Accepted", {2, 3, 4}),
        ({"chargingProfilePurpose": DEFAULT, "stackLevel": 1}, "Accepted", {1, 2, 4}),
        ({"chargingProfilePurpose": TX}, "Unknown", {1, 2, 3, 4}),
    ],
)
async def test_all_criteria_must_fit_what_is_cleared(
    csms: Csms, still: Station16, criteria: Payload, status: str, left: set[int]
) -> None:
    await install(csms, 0, profile(MAX, number=1))
    await install(csms, 1, profile(number=2))
    await install(csms, 1, profile(number=3, level=1))
    await install(csms, 2, profile(number=4))
    assert await clear(csms, **criteria) == status
    assert held(still) == left


# Composite schedules


async def test_without_profiles_the_hardware_is_the_limit(csms: Csms, still: Station16) -> None:
    assert await composite(csms, 1) == [(0, 22080)]
    assert await composite(csms, 1, unit="A") == [(0, 32)]
    assert await composite(csms, 0) == [(0, 44160)]
    answer = await csms.ask("GetCompositeSchedule", {"connectorId": 9, "duration": 60})
    assert answer == {"status": "Rejected"}


async def test_the_lowest_purpose_counts_at_each_time(csms: Csms, still: Station16) -> None:
    await install(csms, 0, profile(MAX, (0, 10_000), (2 * HOUR + 600, 5000), (2 * HOUR + 1800, 20_000)))
    await install(csms, 1, profile(DEFAULT, (0, 8000), (2 * HOUR + 1200, 4000), number=2))
    assert await composite(csms, 1) == [(0, 8000), (600, 5000), (1200, 4000)]
    assert await composite(csms, 2) == [(0, 10_000), (600, 5000), (1800, 20_000)]
    assert await composite(csms, 1, duration=900) == [(0, 8000), (600, 5000)]
    # The station as a whole takes no more than all its connectors.
    assert await composite(csms, 0) == [(0, 10_000), (600, 5000), (1800, 20_000)]
    await install(csms, 2, profile(DEFAULT, (0, 1000), number=3))
    assert await composite(csms, 0) == [(0, 9000), (600, 5000)]


async def test_the_highest_level_prevails_while_it_says_something(csms: Csms, still: Station16) -> None:
    await install(csms, 1, profile(DEFAULT, (0, 8000), number=1))
    await install(csms, 1, profile(DEFAULT, (0, 9000), number=2, level=1, duration=2 * HOUR + 600))
    await install(csms, 1, profile(DEFAULT, (0, 100), number=3, level=2, validTo=timestamp(NOW + timedelta(seconds=5))))
    await install(csms, 1, profile(DEFAULT, (0, 200), number=4, level=3, validFrom="2026-01-07T02:30:00Z"))
    assert await composite(csms, 1) == [(0, 100), (5, 9000), (600, 8000), (1800, 200)]


async def test_a_connectors_own_default_replaces_that_for_all(csms: Csms, still: Station16) -> None:
    await install(csms, 0, profile(DEFAULT, (0, 8000), number=1))
    await install(csms, 1, profile(DEFAULT, (0, 9000), number=2))
    assert await composite(csms, 1) == [(0, 9000)]
    assert await composite(csms, 2) == [(0, 8000)]


async def test_a_transactions_profile_overrules_the_default(csms: Csms, still: Station16) -> None:
    await install(csms, 1, profile(DEFAULT, (0, 8000), number=1, level=5))
    await still.start(1, "TAG", at=NOW - timedelta(minutes=10))
    relative = profile(TX, (0, 3000), (900, 4000), number=2, kind="Relative", start=None, duration=1800)
    await install(csms, 1, relative)
    assert await composite(csms, 1) == [(0, 3000), (300, 4000), (1200, 8000)]


@pytest.mark.parametrize(
    ("start", "kind", "periods"),
    [
        ("2026-01-01T01:00:00Z", "Daily", [(0, 2000), (3600, 22080), (23 * HOUR, 1000), (24 * HOUR, 2000)]),
        ("2025-12-31T02:00:00Z", "Weekly", [(0, 1000), (3600, 2000), (2 * HOUR, 22080)]),
        ("2026-01-08T00:00:00Z", "Daily", [(0, 22080), (22 * HOUR, 1000), (23 * HOUR, 2000), (24 * HOUR, 22080)]),
    ],
)
async def test_a_recurring_profile_starts_again(
    csms: Csms, still: Station16, start: str, kind: str, periods: list[Any]
) -> None:
    recurring = profile(
        DEFAULT, (0, 1000), (HOUR, 2000), kind="Recurring", start=start, duration=2 * HOUR, recurrencyKind=kind
    )
    assert await install(csms, 1, recurring) == "Accepted"
    assert await composite(csms, 1, duration=25 * HOUR) == periods


async def test_limits_are_converted_with_the_phases_they_are_meant_for(csms: Csms, still: Station16) -> None:
    await install(csms, 1, profile(DEFAULT, (0, 10.5), unit="A"))
    assert await composite(csms, 1, unit=None) == [(0, 10.5)]
    assert await composite(csms, 1) == [(0, 7245)]
    single = profile(DEFAULT, unit="A")
    single["chargingSchedule"]["chargingSchedulePeriod"] = [{"startPeriod": 0, "limit": 16, "numberPhases": 1}]
    await install(csms, 1, single)
    assert await composite(csms, 1) == [(0, 3680)]
    await install(csms, 1, profile(DEFAULT, (0, 22_000), unit="W"))
    assert await composite(csms, 1, unit="A") == [(0, 31.8)]


# What the vehicle gets


def value(report: Payload, measurand: str) -> float | None:
    samples = report["meterValue"][0]["sampledValue"]
    return next((float(each["value"]) for each in samples if each["measurand"] == measurand), None)


async def charging(csms: Csms, station: Station16, connector: int = 1) -> None:
    station.connectors[connector].vehicle = Vehicle(max_power=11_000)
    station.begin_session(station.connectors[connector], "TAG", authorize=False)
    await csms.until_call("StatusNotification", connectorId=connector, status="Charging")


async def until_offered(csms: Csms, offered: float | None, connector: int = 1) -> Payload:
    """Wait for MeterValues that tell of an offer."""
    async with asyncio.timeout(5):
        while True:
            report = await csms.until_call("MeterValues", connectorId=connector)
            if value(report, "Power.Offered") == offered:
                return report


async def test_a_limit_shows_in_the_meter_values_until_it_is_cleared(csms: Csms, living: Station16) -> None:
    await charging(csms, living)
    report = await until_offered(csms, None)
    assert value(report, "Power.Active.Import") > 10_000
    await install(csms, 1, profile(TX, (0, 6900), start=None, transactionId=7))
    report = await until_offered(csms, 6900)
    assert value(report, "Power.Active.Import") == 6900
    assert value(report, "Current.Offered") == 10
    await clear(csms)
    assert value(await until_offered(csms, None), "Power.Active.Import") > 10_000


async def test_a_limit_of_0_suspends_the_session(csms: Csms, living: Station16) -> None:
    await charging(csms, living)
    await install(csms, 0, profile(DEFAULT, (0, 0), start=None))
    assert (await csms.until_call("StatusNotification"))["status"] == "SuspendedEVSE"
    assert value(await until_offered(csms, 0), "Power.Active.Import") == 0
    await clear(csms)
    assert (await csms.until_call("StatusNotification"))["status"] == "Charging"


async def test_connectors_share_the_limit_of_the_station(csms: Csms, living: Station16) -> None:
    await install(csms, 0, profile(MAX, (0, 9000), start=None))
    await charging(csms, living, 1)
    await until_offered(csms, 9000)
    await charging(csms, living, 2)
    await until_offered(csms, 4500, connector=1)
    await until_offered(csms, 4500, connector=2)


async def test_a_current_counts_for_each_phase_the_vehicle_uses(csms: Csms, living: Station16) -> None:
    await install(csms, 1, profile(DEFAULT, (0, 10), start=None, unit="A"))
    living.connectors[1].vehicle = Vehicle(phases=1, max_power=7400)
    living.begin_session(living.connectors[1], "TAG", authorize=False)
    report = await until_offered(csms, 2300)
    assert value(report, "Current.Offered") == 10


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        (profile(TX, (0, 6900), start=None), "Accepted"),
        (profile(TX, (0, 6900), start=None, transactionId=7), "Rejected"),
        (profile(DEFAULT), "Rejected"),
        (profile(TX, level=9), "Rejected"),
    ],
)
async def test_a_remote_start_may_bring_a_profile(csms: Csms, living: Station16, wanted: Payload, answer: str) -> None:
    request = {"connectorId": 1, "idTag": "TAG", "chargingProfile": wanted}
    assert await csms.ask("RemoteStartTransaction", request) == {"status": answer}
    if answer == "Accepted":
        await until_offered(csms, 6900)
        living.end_session(living.connectors[1], "Local")
        await csms.until_call("StatusNotification", status="Available")
        assert held(living) == set()
