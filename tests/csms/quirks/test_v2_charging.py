"""Habits of stations of OCPP 2.0.1 that concern smart charging."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import InstalledProfile, Limitation
from tasks.errors import StationUnable
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.station import CallError, Payload
from tests.simulator.v2 import Station201

ACCEPTED, REJECTED = {"status": "Accepted"}, {"status": "Rejected"}
REQUEST: Payload = {
    "evseId": 1,
    "chargingProfile": {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}]}
        ],
    },
}


async def test_v2_02_a_station_that_expects_profiles_of_1_6_is_sent_none_any_more(
    url: str, query: Query, settings: Settings
) -> None:
    settings.OCPP_INVENTORY = False
    async with Station201(url, "CP1") as station:
        await station.start_up()
        station.answers["SetChargingProfile"] = CallError("FormatViolation", "csChargingProfiles validation failed")
        assert (await operator.perform("SetChargingProfile", REQUEST)).status == "error"
        row = await query(lambda: Limitation.objects.get(kind="action"))
        assert (row.subject, row.certain) == ("SetChargingProfile", True)
        assert "csChargingProfiles" in row.reason
        with pytest.raises(StationUnable):
            await operator.perform("SetChargingProfile", REQUEST)
        # An operator who forces it finds out when a new firmware can do it.
        station.answers["SetChargingProfile"] = {"status": "Accepted"}
        assert (await operator.perform("SetChargingProfile", REQUEST, force=True)).status == "answered"
        assert await query(lambda: not Limitation.objects.exists() and InstalledProfile.objects.exists())


# SC-04 to SC-06, which firmware of 2.0.1 has from the same hands


def asked(*limits: float, unit: str = "A", **profile: Any) -> Payload:
    periods = [{"startPeriod": 1800 * index, "limit": limit} for index, limit in enumerate(limits)]
    schedule = {"id": 1, "chargingRateUnit": unit, "chargingSchedulePeriod": periods}
    return {"evseId": 1, "chargingProfile": {**REQUEST["chargingProfile"], "chargingSchedule": [schedule], **profile}}


def absolute(*limits: float, **profile: Any) -> Payload:
    """Ask for a profile that began an hour ago."""
    request = asked(*limits, chargingProfileKind="Absolute", **profile)
    began = datetime.now(UTC).replace(microsecond=0, tzinfo=None) - timedelta(hours=1)
    request["chargingProfile"]["chargingSchedule"][0]["startSchedule"] = f"{began.isoformat()}Z"
    return request


def taken(payload: Payload) -> tuple[str, list[float]]:
    """Return unit and limits of a request."""
    [schedule] = payload["chargingProfile"]["chargingSchedule"]
    return schedule["chargingRateUnit"], [each["limit"] for each in schedule["chargingSchedulePeriod"]]


def sent(station: Station201) -> list[tuple[str, list[float]]]:
    return [taken(call.payload) for call in station.calls if call.action == "SetChargingProfile"]


def limitations() -> list[tuple[str, str]]:
    return list(Limitation.objects.values_list("kind", "subject"))


def takes_only(wanted: Callable[[Payload], bool], refusal: Any) -> Callable[[Payload], Any]:
    return lambda payload: ACCEPTED if wanted(payload) else refusal


@pytest.fixture
async def ready(url: str, settings: Settings) -> AsyncIterator[Station201]:
    settings.OCPP_INVENTORY = False
    async with Station201(url, "CP1") as station:
        await station.start_up()
        yield station


async def test_sc_04_a_profile_from_the_past_without_an_answer_is_sent_to_2_0_1_without_its_time(
    ready: Station201, query: Query, settings: Settings
) -> None:
    settings.OCPP_TIMEOUT = 0.4
    ready.answers["SetChargingProfile"] = lambda payload: (
        ACCEPTED if payload["chargingProfile"]["chargingProfileKind"] == "Relative" else None
    )
    command = await operator.perform("SetChargingProfile", absolute(16, 10))
    assert command.response == ACCEPTED
    assert sent(ready) == [("A", [16, 10]), ("A", [10])]
    assert await query(limitations) == [("past_schedule", "")]
    assert (await query(InstalledProfile.objects.get)).kind == "Relative"


async def test_sc_04_the_maximum_of_a_station_is_never_relative_in_2_0_1(ready: Station201, settings: Settings) -> None:
    settings.OCPP_TIMEOUT = 0.4
    ready.answers["SetChargingProfile"] = None
    request = {**absolute(16, chargingProfilePurpose="ChargingStationMaxProfile"), "evseId": 0}
    assert (await operator.perform("SetChargingProfile", request)).status == "timeout"
    assert len(sent(ready)) == 1


async def test_sc_05_a_fraction_that_2_0_1_rejects_is_rounded_down_and_the_next_one_at_once(
    ready: Station201, query: Query
) -> None:
    ready.answers["SetChargingProfile"] = takes_only(lambda told: taken(told)[1][0] % 1 == 0, REJECTED)
    assert (await operator.perform("SetChargingProfile", asked(16.9))).response == ACCEPTED
    assert (await operator.perform("SetChargingProfile", asked(12.5))).response == ACCEPTED
    assert sent(ready) == [("A", [16.9]), ("A", [16]), ("A", [12])]
    assert await query(limitations) == [("fractional_limit", "")]
    [schedule] = (await query(InstalledProfile.objects.get)).schedules
    assert schedule["charging_schedule_period"] == [{"start_period": 0, "limit": 12}]


@pytest.mark.parametrize(
    "refusal",
    [
        REJECTED,
        {**REJECTED, "statusInfo": {"reasonCode": "UnsupportedRateUnit"}},
        CallError("PropertyConstraintViolation"),
    ],
    ids=["Rejected", "UnsupportedRateUnit", "CALLERROR"],
)
async def test_sc_06_a_unit_that_2_0_1_refuses_is_converted_and_the_next_one_at_once(
    ready: Station201, query: Query, refusal: Any
) -> None:
    ready.answers["SetChargingProfile"] = takes_only(lambda told: taken(told)[0] == "W", refusal)
    for _ in range(2):
        assert (await operator.perform("SetChargingProfile", asked(16))).response == ACCEPTED
    assert sent(ready) == [("A", [16]), ("W", [11_040]), ("W", [11_040])]
    assert await query(limitations) == [("rate_unit", "A")]
    # What it takes after all, it can do.
    ready.answers["SetChargingProfile"] = ACCEPTED
    await query(Limitation.objects.all().delete)
    await operator.perform("SetChargingProfile", asked(16))
    assert not await query(limitations)


async def test_sc_06_a_refusal_for_another_reason_stands(ready: Station201, query: Query) -> None:
    ready.answers["SetChargingProfile"] = {**REJECTED, "statusInfo": {"reasonCode": "DuplicateProfile"}}
    command = await operator.perform("SetChargingProfile", asked(16.5))
    assert (command.response["status"], sent(ready)) == ("Rejected", [("A", [16.5])])


async def test_sc_06_in_strict_mode_a_refusal_by_2_0_1_stands(ready: Station201, settings: Settings) -> None:
    settings.OCPP_VALIDATION = "strict"
    ready.answers["SetChargingProfile"] = REJECTED
    assert (await operator.perform("SetChargingProfile", asked(16.5))).response == REJECTED
    assert sent(ready) == [("A", [16.5])]
