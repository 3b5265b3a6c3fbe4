"""Smart charging as real stations have it: the group SC of the habits that docs/quirks.md lists."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import CompositeSchedule, Connector, Deviation, IdTag, InstalledProfile, Limitation, Variable
from tasks import tasks
from tasks.errors import StationUnable
from tasks.models import Command
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.test_charging import ACCEPTED, REJECTED, START, believed, for_transaction, profile, put, sent
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload, dumps
from tests.simulator.v16 import Station16, sample

NOW = datetime.now(UTC).replace(microsecond=0)
NOT_SUPPORTED = {"status": "NotSupported"}


@pytest.fixture
async def ready(station: Station16, query: Query) -> Station16:
    """A station that the database knows as connected; TAG1 may charge there."""
    await query(lambda: IdTag.objects.create(id_token="TAG1"))
    await station.heartbeat()
    return station


def limitations() -> dict[tuple[str, str], bool]:
    """Tell what the station is unable to do, each with whether that is certain."""
    return {(row.kind, row.subject): row.is_certain for row in Limitation.objects.all()}


def kinds() -> set[str]:
    return set(Deviation.objects.values_list("kind", flat=True))


def taken(told: Payload) -> tuple[str, list[float]]:
    """Return the unit and the limits of a profile."""
    schedule = told["chargingSchedule"]
    return schedule["chargingRateUnit"], [period["limit"] for period in schedule["chargingSchedulePeriod"]]


def profiles_sent(station: Station16) -> list[tuple[str, list[float]]]:
    return [taken(payload["csChargingProfiles"]) for payload in sent(station, "SetChargingProfile")]


def takes_only(suits: Callable[[Payload], bool], refusal: Any = REJECTED) -> Callable[[Payload], Any]:
    """Answer as a station that takes only the profiles that suit it."""
    return lambda payload: ACCEPTED if suits(payload["csChargingProfiles"]) else refusal


def tell(key: str, value: str) -> None:
    Variable.objects.create(chargepoint_id="CP1", variable=key, value=value, read_at=NOW)


# SC-01: purposes that are not taken

MAXIMUM = profile(1, chargingProfilePurpose="ChargePointMaxProfile")


async def test_sc_01_a_purpose_that_is_not_supported_is_refused_next_time_with_those_that_are(
    ready: Station16, query: Query
) -> None:
    ready.answers["SetChargingProfile"] = takes_only(
        lambda told: told["chargingProfilePurpose"] == "TxDefaultProfile", NOT_SUPPORTED
    )
    assert (await put(0, profile(2))).response == ACCEPTED
    assert (await put(0, MAXIMUM)).response == NOT_SUPPORTED
    assert await query(limitations) == {("profile_purpose", "ChargePointMaxProfile"): True}
    asked = len(sent(ready, "SetChargingProfile"))
    with pytest.raises(StationUnable, match=r"NotSupported.* It has taken profiles of the purpose TxDefaultProfile\."):
        await put(0, MAXIMUM)
    assert (await put(1, profile(3))).response == ACCEPTED
    assert len(sent(ready, "SetChargingProfile")) == asked + 1

    # Whoever insists is heard, and a station that has learnt it is believed.
    ready.answers["SetChargingProfile"] = ACCEPTED
    request = {"connectorId": 0, "csChargingProfiles": MAXIMUM}
    assert (await operator.perform("SetChargingProfile", request, force=True)).response == ACCEPTED
    assert await query(limitations) == {}


async def test_sc_01_a_purpose_that_is_rejected_is_refused_after_three_commands(ready: Station16, query: Query) -> None:
    ready.answers["SetChargingProfile"] = REJECTED
    for count in range(3):
        assert await query(limitations) in ({}, {("profile_purpose", "TxDefaultProfile"): False}), count
        await put(0, profile())
    assert await query(limitations) == {("profile_purpose", "TxDefaultProfile"): True}
    with pytest.raises(StationUnable, match="answered Rejected"):
        await put(0, profile())


async def test_sc_01_a_profile_rejected_for_its_transaction_says_nothing_of_its_purpose(
    ready: Station16, query: Query
) -> None:
    ready.answers["SetChargingProfile"] = REJECTED
    for _ in range(3):
        assert (await put(1, for_transaction(1, 4711))).response == REJECTED
    assert await query(limitations) == {}
    ready.answers["SetChargingProfile"] = NOT_SUPPORTED
    await put(1, for_transaction(1, 4711))
    assert await query(limitations) == {("profile_purpose", "TxProfile"): True}


# SC-02: Accepted without effect


async def current(station: Station16, measurand: str, amperes: float) -> None:
    await station.meter_values(1, [sample(amperes, measurand, "A")])


@pytest.mark.parametrize("measurand", ["Current.Offered", "Current.Import"])
async def test_sc_02_a_limit_that_was_accepted_and_is_not_kept_is_noted(
    measurand: str, ready: Station16, query: Query
) -> None:
    ready.answers["SetChargingProfile"] = ACCEPTED
    number = (await ready.start(1, "TAG1", at=NOW - timedelta(minutes=4)))["transactionId"]
    await put(1, for_transaction(1, number, 10))

    def let_time_pass() -> None:
        InstalledProfile.objects.update(since=datetime.now(UTC) - timedelta(minutes=5))
        tasks.review_charging_profiles()

    await current(ready, measurand, 10)
    await query(let_time_pass)
    assert await query(kinds) == set()
    await current(ready, measurand, 32)
    await query(let_time_pass)
    noted = await query(lambda: Deviation.objects.get())
    assert noted.kind == "limit-without-effect"
    assert noted.example == f"transaction {number}: 32 A against 10 of TxProfile 1"
    assert await query(lambda: InstalledProfile.objects.get().without_effect)
    await ready.stop(1)


# SC-03: composite schedules without what makes them

BARE = {"chargingRateUnit": "", "chargingSchedulePeriod": [], "startSchedule": "0", "duration": 0}


@pytest.mark.parametrize(
    ("answer", "kept", "noted"),
    [
        ({}, ("", None, []), {"schedule-missing", "time-missing"}),
        ({"connectorId": 1, "scheduleStart": "0", "chargingSchedule": BARE}, ("", None, []), {"empty-member"}),
        ({"scheduleStart": "", "chargingSchedule": None}, ("", None, []), {"schedule-missing", "time-missing"}),
        (
            {"chargingSchedule": {"chargingRateUnit": "", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}]}},
            ("", None, [{"start_period": 0, "limit": 6}]),
            {"empty-member", "member-missing"},
        ),
        (
            {"chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"limit": "16"}, {"limit": 6}]}},
            ("A", None, [{"start_period": 0, "limit": 16}]),
            {"text-for-number", "member-missing"},
        ),
        ({"chargingSchedule": {"chargingRateUnit": "A"}}, ("A", None, []), {"member-missing"}),
        (
            {"chargingSchedule": {"chargingRateUnit": "amps", "chargingSchedulePeriod": {"startPeriod": 0}}},
            ("", None, []),
            {"unknown-word", "object-for-list"},
        ),
        (
            {"chargingSchedule": {**BARE, "startSchedule": "2026-03-01T12:00:00Z", "chargingRateUnit": "W"}},
            ("W", "2026-03-01T12:00:00+00:00", []),
            set(),
        ),
    ],
)
async def test_sc_03_a_composite_schedule_is_kept_as_far_as_it_tells(
    answer: Payload, kept: tuple[str, str | None, list[Payload]], noted: set[str], ready: Station16, query: Query
) -> None:
    ready.answers["GetCompositeSchedule"] = {**ACCEPTED, **answer}
    command = await operator.perform("GetCompositeSchedule", {"connectorId": 1, "duration": 60})
    assert (command.status, command.response["status"], command.error) == ("answered", "Accepted", None)
    row = await query(lambda: CompositeSchedule.objects.get())
    start = row.schedule_start and row.schedule_start.isoformat()
    assert (row.charging_rate_unit, start, row.charging_schedule_period) == kept
    assert noted <= await query(kinds)


async def test_sc_03_the_unit_that_was_asked_for_stands_in_for_one_that_is_not_told(
    ready: Station16, query: Query
) -> None:
    ready.answers["GetCompositeSchedule"] = {**ACCEPTED, "chargingSchedule": BARE}
    await operator.perform("GetCompositeSchedule", {"connectorId": 1, "duration": 60, "chargingRateUnit": "W"})
    assert (await query(lambda: CompositeSchedule.objects.get())).charging_rate_unit == "W"


async def test_sc_03_a_rejection_counts_whatever_stands_beside_it(ready: Station16, query: Query) -> None:
    ready.answers["GetCompositeSchedule"] = {**REJECTED, "scheduleStart": "0", "chargingSchedule": BARE}
    command = await operator.perform("GetCompositeSchedule", {"connectorId": 0, "duration": 60})
    assert (command.status, command.response["status"]) == ("answered", "Rejected")
    assert not await query(lambda: CompositeSchedule.objects.exists())


# SC-04: no answer to a start in the past


def absolute(*limits: float, hours: float = -1, **schedule: Any) -> Payload:
    """Make a profile whose periods of half an hour began so many hours from now."""
    told = profile(chargingProfileKind="Absolute")
    start = (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    periods = [{"startPeriod": 1800 * index, "limit": limit} for index, limit in enumerate(limits)]
    unit = {"chargingRateUnit": "A"}
    return {**told, "chargingSchedule": {**schedule, "startSchedule": start, **unit, "chargingSchedulePeriod": periods}}


@pytest.fixture
async def timeless(ready: Station16, settings: Settings) -> Station16:
    """A station that answers no profile that has begun in the past."""
    settings.OCPP_TIMEOUT = 0.4
    ready.answers["SetChargingProfile"] = lambda payload: (
        ACCEPTED if payload["csChargingProfiles"]["chargingProfileKind"] == "Relative" else None
    )
    return ready


async def test_sc_04_a_profile_from_the_past_without_an_answer_is_sent_once_more_without_its_time(
    timeless: Station16, query: Query
) -> None:
    told = absolute(16, 10)
    command = await put(0, told)
    assert (command.status, command.response) == ("answered", ACCEPTED)
    first, second = (call["payload"]["csChargingProfiles"] for call in command.calls)
    assert command.calls[0]["error"]["code"] == "timeout"
    assert command.calls[1]["response"] == ACCEPTED
    assert first == told
    # What is left of it by now.
    assert second == {**profile(limit=10), "chargingProfileId": told["chargingProfileId"]}
    assert await query(limitations) == {("past_schedule", ""): True}
    assert (await query(lambda: InstalledProfile.objects.get())).kind == "Relative"

    again = await put(0, absolute(12))
    assert [taken(call["payload"]["csChargingProfiles"]) for call in again.calls] == [("A", [12])]
    assert again.calls[0]["payload"]["csChargingProfiles"]["chargingProfileKind"] == "Relative"


@pytest.mark.parametrize(
    ("limits", "more"),
    [([16], {"hours": 1}), ([16, 10, 6], {"hours": -0.9}), ([16], {"duration": 7200})],
    ids=["in the future", "several are left", "it ends"],
)
async def test_sc_04_a_profile_that_says_something_else_without_its_time_is_not_sent_again(
    limits: list[float], more: Payload, timeless: Station16, query: Query
) -> None:
    command = await put(0, absolute(*limits, **more))
    assert command.status == "timeout"
    assert len(sent(timeless, "SetChargingProfile")) == 1
    assert await query(limitations) == {}


# SC-05: whole amperes only


def is_whole(told: Payload) -> bool:
    return all(limit == int(limit) for limit in taken(told)[1])


async def test_sc_05_a_fraction_that_is_rejected_is_rounded_down_and_the_next_one_at_once(
    ready: Station16, query: Query
) -> None:
    ready.answers["SetChargingProfile"] = takes_only(is_whole)
    command = await put(0, profile(limit=16.9))
    assert (command.status, command.response) == ("answered", ACCEPTED)
    assert [call["response"] for call in command.calls] == [REJECTED, ACCEPTED]
    assert profiles_sent(ready) == [("A", [16.9]), ("A", [16])]
    assert await query(limitations) == {("fractional_limit", ""): True}
    assert (await query(lambda: InstalledProfile.objects.get())).schedules[0]["charging_schedule_period"] == [
        {"start_period": 0, "limit": 16}
    ]

    again = await put(0, profile(limit=12.5))
    assert profiles_sent(ready)[2:] == [("A", [12])]
    # One call, and not as it was asked for.
    assert [taken(call["payload"]["csChargingProfiles"]) for call in again.calls] == [("A", [12])]


# SC-06: one unit only


def in_unit(unit: str) -> Callable[[Payload], bool]:
    return lambda told: taken(told)[0] == unit


@pytest.mark.parametrize(
    ("unit", "limit", "phases", "converted"),
    [("W", 16, None, ("W", [11_040])), ("W", 16, 1, ("W", [3680])), ("A", 11_000, None, ("A", [15.9]))],
)
@pytest.mark.parametrize("refusal", [REJECTED, NOT_SUPPORTED, CallError("PropertyConstraintViolation", "unit")])
async def test_sc_06_a_unit_that_is_refused_is_converted_and_the_next_one_at_once(
    unit: str,
    limit: float,
    phases: int | None,
    converted: tuple[str, list[float]],
    refusal: Any,
    ready: Station16,
    query: Query,
) -> None:
    other = "A" if unit == "W" else "W"
    ready.answers["SetChargingProfile"] = takes_only(in_unit(unit), refusal)
    told = profile(limit=limit, unit=other)
    if phases:
        told["chargingSchedule"]["chargingSchedulePeriod"][0]["numberPhases"] = phases
    command = await put(0, told)
    assert (command.status, command.response) == ("answered", ACCEPTED)
    assert profiles_sent(ready) == [(other, [limit]), converted]
    assert len(command.calls) == 2
    assert await query(limitations) == {("rate_unit", other): True}
    await put(0, told)
    assert profiles_sent(ready)[2:] == [converted]


@pytest.mark.parametrize("words", ["Current,Power", "A W", "", "both"])
async def test_sc_06_the_other_unit_is_tried_unless_the_station_rules_it_out(
    words: str, ready: Station16, query: Query
) -> None:
    await query(lambda: tell("ChargingScheduleAllowedChargingRateUnit", words))
    ready.answers["SetChargingProfile"] = takes_only(in_unit("W"))
    assert (await put(0, profile())).response == ACCEPTED


@pytest.mark.parametrize("words", ["Current", "A", "current;"])
async def test_sc_06_a_unit_that_the_station_rules_out_is_not_tried(words: str, ready: Station16, query: Query) -> None:
    await query(lambda: tell("ChargingScheduleAllowedChargingRateUnit", words))
    ready.answers["SetChargingProfile"] = REJECTED
    command = await put(0, profile())
    assert (command.response, command.calls) == (REJECTED, [])
    assert profiles_sent(ready) == [("A", [16])]


async def test_sc_06_nothing_is_converted_where_the_voltage_is_the_vehicles(ready: Station16, query: Query) -> None:
    def make_connectors() -> None:
        for evse_id, power in ((1, "DC"), (2, "AC_3_PHASE")):
            Connector.objects.create(chargepoint_id="CP1", evse_id=evse_id, power_type=power)

    await query(make_connectors)
    ready.answers["SetChargingProfile"] = REJECTED
    for connector in (0, 1, 2):
        await put(connector, profile())
    assert profiles_sent(ready) == [("A", [16])] * 3 + [("W", [11_040])]


async def test_sc_06_the_voltage_is_a_setting(ready: Station16, settings: Settings) -> None:
    settings.NOMINAL_VOLTAGE = 120
    ready.answers["SetChargingProfile"] = takes_only(in_unit("W"))
    await put(0, profile())
    assert profiles_sent(ready)[-1] == ("W", [5760])


async def test_sc_06_a_profile_that_is_refused_in_every_way_is_refused(ready: Station16, query: Query) -> None:
    ready.answers["SetChargingProfile"] = REJECTED
    command = await put(0, profile(limit=16.5))
    assert (command.status, command.response) == ("answered", REJECTED)
    assert profiles_sent(ready) == [("A", [16.5]), ("A", [16]), ("W", [11_385])]
    assert [call["response"] for call in command.calls] == [REJECTED] * 3
    assert await query(limitations) == {("profile_purpose", "TxDefaultProfile"): False}


async def test_sc_06_a_second_try_without_an_answer_leaves_the_refusal(ready: Station16, settings: Settings) -> None:
    settings.OCPP_TIMEOUT = 0.4
    ready.answers["SetChargingProfile"] = lambda payload: (
        REJECTED if in_unit("A")(payload["csChargingProfiles"]) else None
    )
    command = await put(0, profile())
    assert (command.status, command.response) == ("answered", REJECTED)
    assert [call.get("response") for call in command.calls] == [REJECTED, None]


async def test_sc_06_watts_become_whole_amperes_where_those_are_wanted(ready: Station16, query: Query) -> None:
    ready.answers["SetChargingProfile"] = takes_only(lambda told: is_whole(told) and in_unit("A")(told))
    await put(0, profile(limit=16.5))
    await put(0, profile(limit=11_000, unit="W"))
    assert profiles_sent(ready) == [("A", [16.5]), ("A", [16]), ("W", [11_000]), ("A", [15])]


async def test_sc_06_an_error_that_no_other_way_mends_stands(ready: Station16) -> None:
    ready.answers["SetChargingProfile"] = CallError("PropertyConstraintViolation", "no such connector")
    command = await put(9, profile())
    assert (command.status, command.error["description"]) == ("error", "no such connector")
    assert [call["error"]["code"] for call in command.calls] == ["PropertyConstraintViolation"] * 2


# SC-07: remote starts with a profile


@pytest.fixture
async def plain(ready: Station16) -> Station16:
    """A station that starts nothing with a profile, and takes one afterwards."""
    ready.answers["RemoteStartTransaction"] = lambda payload: REJECTED if "chargingProfile" in payload else ACCEPTED
    ready.answers["SetChargingProfile"] = ACCEPTED
    return ready


async def begin(station: Station16) -> int:
    """Start the transaction, and return its number once its profile was sent."""
    number: int = (await station.start(1, "TAG1"))["transactionId"]
    call = await station.expect_call("SetChargingProfile")
    assert call.payload == {"connectorId": 1, "csChargingProfiles": for_transaction(1, number)}
    return number


async def test_sc_07_a_start_that_is_refused_with_a_profile_goes_without_and_the_profile_follows(
    plain: Station16, query: Query
) -> None:
    command = await operator.perform("RemoteStartTransaction", START)
    bare = {"connectorId": 1, "idTag": "TAG1"}
    assert (command.status, command.response) == ("answered", ACCEPTED)
    assert [call["payload"] for call in command.calls] == [START, bare]
    assert await query(limitations) == {("remote_start_profile", ""): True}
    assert await query(believed) == [(1, 1, "Due", None)]
    number = await begin(plain)
    await until(lambda: believed() == [(1, 1, "Installed", number)])
    following = await query(lambda: Command.objects.get(action="SetChargingProfile"))
    assert (following.requested_by, following.payload["connectorId"]) == (None, 1)
    await plain.stop(1)
    assert await query(believed) == []


async def test_sc_07_the_next_start_goes_without_at_once(plain: Station16, query: Query) -> None:
    await operator.perform("RemoteStartTransaction", START)
    await begin(plain)
    await plain.stop(1)
    command = await operator.perform("RemoteStartTransaction", START)
    assert sent(plain, "RemoteStartTransaction")[2:] == [{"connectorId": 1, "idTag": "TAG1"}]
    assert command.response == ACCEPTED
    number = await begin(plain)
    await until(lambda: (1, 1, "Installed", number) in believed())


async def test_sc_07_a_station_that_starts_before_it_answers_gets_the_profile_too(
    plain: Station16, query: Query
) -> None:
    plain.answers["RemoteStartTransaction"] = lambda payload: REJECTED if "chargingProfile" in payload else None
    command_id = await operator.ask("RemoteStartTransaction", START)
    await plain.expect_call("RemoteStartTransaction")
    call = await plain.expect_call("RemoteStartTransaction")
    started = await plain.start(1, "TAG1")
    await plain.send_raw(dumps([3, call.message_id, ACCEPTED]))
    assert (await operator.end_of(command_id)).response == ACCEPTED
    following = await plain.expect_call("SetChargingProfile")
    assert following.payload["csChargingProfiles"]["transactionId"] == started["transactionId"]


async def test_sc_07_a_start_that_is_repeated_gets_the_profile_that_was_lost(
    plain: Station16, url: str, query: Query
) -> None:
    await operator.perform("RemoteStartTransaction", START)
    plain.answers["SetChargingProfile"] = None
    number = (await plain.start(1, "TAG1", at=NOW))["transactionId"]
    await plain.expect_call("SetChargingProfile")
    await plain.drop()
    async with Station16(url, "CP1") as back:
        back.answers["SetChargingProfile"] = ACCEPTED
        assert (await back.start(1, "TAG1", at=NOW))["transactionId"] == number
        call = await back.expect_call("SetChargingProfile")
        assert call.payload["csChargingProfiles"]["transactionId"] == number
        await until(lambda: believed() == [(1, 1, "Installed", number)])


async def test_sc_07_a_start_that_is_refused_without_a_profile_too_leaves_nothing_due(
    plain: Station16, query: Query
) -> None:
    plain.answers["RemoteStartTransaction"] = REJECTED
    command = await operator.perform("RemoteStartTransaction", START)
    assert (command.response, len(command.calls)) == (REJECTED, 2)
    assert await query(limitations) == {}
    assert await query(believed) == []
    await plain.start(1, "TAG1")
    await operator.perform("GetConfiguration")
    assert sent(plain, "SetChargingProfile") == []
