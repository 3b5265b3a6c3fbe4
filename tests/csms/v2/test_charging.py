"""Smart charging of OCPP 2.0.1 over real sockets: what is sent, believed, stored and answered (block K)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import (
    ChargingLimit,
    ChargingNeeds,
    CompositeSchedule,
    EVSchedule,
    IdTag,
    InstalledProfile,
    Variable,
)
from chargers.scheduling import Later, Session
from tasks.models import Command
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import Payload, dumps
from tests.simulator.times import timestamp
from tests.simulator.v2 import Station201, token

ACCEPTED = {"status": "Accepted"}
TAG1 = token("TAG1")


@pytest.fixture
async def station(no_inventory: None, url: str, query: Query) -> AsyncIterator[Station201]:
    """CP1, connected and booted, with two EVSEs; it does what it accepts, and TAG1 may charge there."""
    await query(lambda: IdTag.objects.create(id_token="TAG1"))
    async with Station201(url, "CP1", evses=2, autonomous=True) as connected:
        await connected.boot()
        yield connected


def schedule(*limits: float, unit: str = "A", number: int = 1, **members: Any) -> Payload:
    periods = [{"startPeriod": 3600 * index, "limit": limit} for index, limit in enumerate(limits)]
    return {"id": number, **members, "chargingRateUnit": unit, "chargingSchedulePeriod": periods}


def profile(number: int | None = 1, *schedules: Payload, **members: Any) -> Payload:
    return {
        **({} if number is None else {"id": number}),
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": list(schedules or [schedule(16)]),
        **members,
    }


async def put(evse: int, told: Payload, **more: Any) -> Command:
    return await operator.perform("SetChargingProfile", {"evseId": evse, "chargingProfile": told}, **more)


async def refused(evse: int, told: Payload, **more: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidBody) as error:
        await put(evse, told, **more)
    return error.value.fields


def believed() -> list[tuple[int, int, str, int | None]]:
    rows = InstalledProfile.objects.order_by("chargingprofile_id")
    return [(row.chargingprofile_id, row.evse_id, row.state, row.transaction_id) for row in rows]


def sent(station: Station201, action: str) -> list[Payload]:
    return [call.payload for call in station.calls if call.action == action]


async def charging(station: Station201, evse: int = 1) -> str:
    """Let a transaction of TAG1 run; return the station's id of it."""
    await station.started(evse, TAG1, trigger="Authorized")
    return station.running(evse).id


# Setting and clearing


async def test_an_accepted_profile_is_sent_compactly_and_believed(station: Station201, query: Query) -> None:
    told = profile(7, schedule(16.5, 10), stackLevel=2)
    command = await put(1, told)
    assert (command.status, command.response) == ("answered", ACCEPTED)
    request = {"evseId": 1, "chargingProfile": {**told}}
    assert station.calls[-1].payload == request
    assert station.calls[-1].text.startswith(dumps([2, str(command.pk), "SetChargingProfile"])[:-1])
    row = await query(lambda: InstalledProfile.objects.get())
    assert (row.chargingprofile_id, row.evse_id, row.stack_level, row.source) == (7, 1, 2, "CSO")
    assert row.schedules[0]["charging_schedule_period"][1] == {"start_period": 3600, "limit": 10}


async def test_a_tx_profile_names_its_transaction_as_the_station_does_and_ends_with_it(
    station: Station201, query: Query
) -> None:
    uuid = await charging(station)
    number = await query(lambda: _transaction(uuid))
    await put(1, profile(5, chargingProfilePurpose="TxProfile"), transaction_id=number)
    await put(1, profile(6, chargingProfilePurpose="TxProfile", transactionId=uuid, stackLevel=1))
    assert [each["chargingProfile"]["transactionId"] for each in sent(station, "SetChargingProfile")] == [uuid, uuid]
    assert await query(believed) == [(5, 1, "Installed", number), (6, 1, "Installed", number)]
    await station.ended()
    assert await query(believed) == []


def _transaction(uuid: str) -> int:
    from chargers.models import Transaction

    return Transaction.objects.get(uuid=uuid).pk


async def test_a_profile_without_an_id_replaces_the_one_that_has_its_level(station: Station201, query: Query) -> None:
    await put(1, profile(7))
    assert list(await refused(1, profile(8))) == ["charging_profile.stack_level"]
    await put(1, profile(None, schedule(10)))
    assert sent(station, "SetChargingProfile")[-1]["chargingProfile"]["id"] == 7
    assert [number for number, *_ in await query(believed)] == [7]
    # Each of two that are never valid at the same time stays (K01.FR.06).
    later = datetime.now(UTC) + timedelta(days=7)
    await put(1, profile(7, validTo=timestamp(later)))
    await put(1, profile(8, validFrom=timestamp(later)))
    assert [number for number, *_ in await query(believed)] == [7, 8]


async def test_a_default_for_all_evses_excludes_one_for_a_single_evse(station: Station201) -> None:
    await put(0, profile(7))
    assert list(await refused(2, profile(8))) == ["charging_profile.stack_level"]
    assert (await put(2, profile(8), force=True)).status == "answered"


@pytest.mark.parametrize(
    ("evse", "told", "field"),
    [
        (0, profile(chargingProfilePurpose="ChargingStationExternalConstraints"), "charging_profile_purpose"),
        (0, profile(chargingProfilePurpose="ChargingStationMaxProfile"), "charging_profile_kind"),
        (1, profile(chargingProfilePurpose="TxProfile"), "transaction_id"),
        (1, profile(chargingProfileKind="Absolute"), "charging_schedule.0.start_schedule"),
        (1, profile(1, schedule(16), schedule(10, number=2)), "charging_schedule"),
        (
            1,
            profile(1, schedule(16), schedule(10), chargingProfilePurpose="TxProfile", transactionId="T"),
            "charging_schedule.1.id",
        ),
        (
            1,
            profile(1, {**schedule(), "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6, "phaseToUse": 1}]}),
            "charging_schedule.0.charging_schedule_period.0.phase_to_use",
        ),
    ],
)
async def test_a_profile_that_breaks_a_rule_is_refused_by_its_field(
    evse: int, told: Payload, field: str, station: Station201
) -> None:
    assert f"charging_profile.{field}" in await refused(evse, told)
    assert sent(station, "SetChargingProfile") == []


@pytest.mark.parametrize(
    ("variable", "value", "told", "field"),
    [
        ("ProfileStackLevel", "1", profile(stackLevel=2), "stack_level"),
        ("RateUnit", "A", profile(1, schedule(1000, unit="W")), "charging_schedule.0.charging_rate_unit"),
        ("PeriodsPerSchedule", "2", profile(1, schedule(1, 2, 3)), "charging_schedule.0.charging_schedule_period"),
        (
            "ACPhaseSwitchingSupported",
            "false",
            profile(
                1,
                {
                    **schedule(),
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6, "numberPhases": 1, "phaseToUse": 2}],
                },
            ),
            "charging_schedule.0.charging_schedule_period.0.phase_to_use",
        ),
    ],
)
async def test_what_the_station_told_of_itself_is_heeded_unless_forced(
    variable: str, value: str, told: Payload, field: str, station: Station201, query: Query
) -> None:
    known = {"component": "SmartChargingCtrlr", "variable": variable, "value": value, "read_at": datetime.now(UTC)}
    await query(lambda: Variable.objects.create(chargepoint_id="CP1", **known))
    assert list(await refused(1, told)) == [f"charging_profile.{field}"]
    assert (await put(1, told, force=True)).response == ACCEPTED


async def test_several_schedules_are_for_a_vehicle_that_has_told_its_needs(
    station: Station201, settings: Settings
) -> None:
    settings.CHARGING_SCHEDULER = ""
    uuid = await charging(station)
    told = profile(1, schedule(16), schedule(10, number=2), chargingProfilePurpose="TxProfile", transactionId=uuid)
    assert list(await refused(1, told)) == ["charging_profile.charging_schedule"]
    await station.charging_needs(DC)
    assert (await put(1, told)).response == ACCEPTED


@pytest.mark.parametrize("status", ["Accepted", "Unknown"])
async def test_what_is_cleared_or_not_known_is_believed_no_longer(
    status: str, station: Station201, query: Query
) -> None:
    for number in (1, 2, 3):
        await put(1, profile(number, stackLevel=number))
    station.answers["ClearChargingProfile"] = {"status": status}
    await operator.perform("ClearChargingProfile", {"chargingProfileId": 2})
    assert [number for number, *_ in await query(believed)] == [1, 3]
    criteria = {"evseId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 3}
    await operator.perform("ClearChargingProfile", {"chargingProfileCriteria": criteria})
    assert [number for number, *_ in await query(believed)] == [1]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "charging_profile_criteria"),
        ({"chargingProfileCriteria": {}}, "charging_profile_criteria"),
        ({"chargingProfileId": 1, "chargingProfileCriteria": {"stackLevel": 0}}, "charging_profile_criteria"),
        ({"chargingProfileCriteria": {"evseId": -1}}, "charging_profile_criteria.evse_id"),
        (
            {"chargingProfileCriteria": {"chargingProfilePurpose": "ChargingStationExternalConstraints"}},
            "charging_profile_criteria.charging_profile_purpose",
        ),
    ],
)
async def test_a_clearing_says_what_and_leaves_external_constraints_alone(
    request_: Payload, field: str, station: Station201
) -> None:
    with pytest.raises(InvalidBody) as error:
        await operator.perform("ClearChargingProfile", request_)
    assert list(error.value.fields) == [field]


async def test_a_composite_schedule_is_kept(station: Station201, query: Query) -> None:
    await operator.perform("GetCompositeSchedule", {"duration": 300, "evseId": 1, "chargingRateUnit": "W"})
    row = await query(lambda: CompositeSchedule.objects.get())
    assert (row.evse_id, row.duration, row.charging_rate_unit) == (1, 300, "W")
    assert row.charging_schedule_period == [{"start_period": 0, "limit": 10}]
    assert row.schedule_start is not None


async def test_a_composite_schedule_that_is_left_out_is_unknown(station: Station201, query: Query) -> None:
    station.answers["GetCompositeSchedule"] = ACCEPTED
    await operator.perform("GetCompositeSchedule", {"duration": 300, "evseId": 0})
    row = await query(lambda: CompositeSchedule.objects.get())
    assert (row.charging_rate_unit, row.schedule_start, row.charging_schedule_period) == ("", None, [])


# What the station says that it has


async def reported(station: Station201, criteria: Payload | None = None, **more: Any) -> Command:
    """Ask for profiles and wait until all are told."""
    request = {**({"chargingProfile": criteria} if criteria else {}), **more}
    command = await operator.perform("GetChargingProfiles", request)
    await until(lambda: Command.objects.get(pk=command.pk).report.status in ("Complete", "Empty"))
    return command


async def test_a_report_in_parts_replaces_what_was_believed(station: Station201, query: Query) -> None:
    for number in (1, 2, 3, 4, 5):
        await put(number % 2, profile(number, stackLevel=number))
    # What the station has lost, and what somebody else has set.
    del station.profiles[2]
    station.profiles[-1] = (0, "EMS", profile(-1, chargingProfilePurpose="ChargingStationExternalConstraints"))
    await reported(station)
    [request] = sent(station, "GetChargingProfiles")
    assert request["chargingProfile"] == {"chargingLimitSource": ["CSO", "EMS", "SO", "Other"]}
    assert [number for number, *_ in await query(believed)] == [-1, 1, 3, 4, 5]
    assert await query(lambda: InstalledProfile.objects.get(chargingprofile_id=-1).source) == "EMS"
    parts = [frame for frame in station.frames if b"ReportChargingProfiles" in _raw(frame.data)]
    assert len(parts) == 4


def _raw(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


async def test_a_report_of_some_says_nothing_of_the_others(station: Station201, query: Query) -> None:
    for number in (1, 2, 3):
        await put(1, profile(number, stackLevel=number))
    station.profiles.clear()
    await reported(station, {"stackLevel": 2}, evseId=1)
    assert [number for number, *_ in await query(believed)] == [1, 3]
    await reported(station, {"chargingProfileId": [1]})
    assert [number for number, *_ in await query(believed)] == [3]


async def test_a_report_that_stops_halfway_takes_nothing_away(station: Station201, query: Query) -> None:
    for number in (1, 2):
        await put(1, profile(number, stackLevel=number))
    station.answers["GetChargingProfiles"] = ACCEPTED
    station.autonomous = False
    await operator.perform("GetChargingProfiles")
    [request] = sent(station, "GetChargingProfiles")
    told = profile(9, stackLevel=9)
    assert await station.report_profiles(request["requestId"], 2, [told], tbc=True) == {}
    assert [number for number, *_ in await query(believed)] == [1, 2, 9]


async def test_profiles_named_by_their_ids_are_asked_for_by_nothing_else(station: Station201) -> None:
    with pytest.raises(InvalidBody) as error:
        await operator.perform("GetChargingProfiles", {"chargingProfile": {"chargingProfileId": [1], "stackLevel": 0}})
    assert list(error.value.fields) == ["charging_profile.charging_profile_id"]


# Starting with a profile

START: Payload = {
    "remoteStartId": 4711,
    "idToken": TAG1,
    "evseId": 1,
    "chargingProfile": profile(3, chargingProfilePurpose="TxProfile"),
}


async def test_a_profile_waits_for_the_transaction_of_its_remote_start(station: Station201, query: Query) -> None:
    station.autonomous = False
    await operator.perform("RequestStartTransaction", START)
    assert sent(station, "RequestStartTransaction") == [START]
    assert await query(believed) == [(3, 1, "Pending", None)]
    # The token of the event need not be that of the request.
    await station.started(1, token("", "Central"), remote_start_id=4711)
    number = await query(lambda: _transaction(station.running(1).id))
    assert await query(believed) == [(3, 1, "Installed", number)]


async def test_a_refused_start_leaves_no_profile(station: Station201, query: Query) -> None:
    station.answers["RequestStartTransaction"] = {"status": "Rejected"}
    await operator.perform("RequestStartTransaction", START)
    assert await query(believed) == []


async def test_a_start_goes_along_with_a_tx_profile_only(station: Station201) -> None:
    with pytest.raises(InvalidBody) as error:
        await operator.perform("RequestStartTransaction", {**START, "chargingProfile": profile(3)})
    assert list(error.value.fields) == ["charging_profile.charging_profile_purpose"]


# Limits of others


async def test_a_limit_of_others_is_kept_until_it_is_cleared(station: Station201, query: Query) -> None:
    await station.charging_limit("EMS", [schedule(20)], evseId=1, isGridCritical=True)
    await station.charging_limit("SO")
    await station.charging_limit("EMS", [schedule(10)], evseId=1)
    rows = await query(lambda: list(ChargingLimit.objects.order_by("source")))
    assert [(row.source, row.evse_id, row.is_grid_critical) for row in rows] == [("EMS", 1, None), ("SO", 0, None)]
    assert rows[0].schedules[0]["charging_schedule_period"] == [{"start_period": 0, "limit": 10}]
    assert await station.charging_limit_cleared("EMS", evseId=2) == {}
    assert await query(ChargingLimit.objects.count) == 2
    await station.charging_limit_cleared("EMS")
    assert await query(lambda: [row.source for row in ChargingLimit.objects.all()]) == ["SO"]


# What vehicles need

DC: Payload = {
    "requestedEnergyTransfer": "DC",
    "dcChargingParameters": {"evMaxCurrent": 200, "evMaxVoltage": 400, "evMaxPower": 50_000},
}
AC: Payload = {
    "requestedEnergyTransfer": "AC_three_phase",
    "acChargingParameters": {"energyAmount": 20_000, "evMinCurrent": 6, "evMaxCurrent": 32, "evMaxVoltage": 230},
}


async def set_for_the_vehicle(station: Station201, count: int = 1) -> Payload:
    """Wait until the station was given the profile of that number, and the platform knows that it took it."""
    await until(lambda: Command.objects.filter(action="SetChargingProfile", status="answered").count() >= count)
    request: Payload = sent(station, "SetChargingProfile")[-1]
    return request


def limits(request: Payload) -> list[tuple[int, float]]:
    [told] = request["chargingProfile"]["chargingSchedule"]
    return [(each["startPeriod"], each["limit"]) for each in told["chargingSchedulePeriod"]]


async def test_a_vehicles_needs_are_answered_with_a_schedule_within_all_limits(
    station: Station201, query: Query
) -> None:
    uuid = await charging(station)
    await put(1, profile(1, schedule(25)))
    await station.charging_limit("EMS", [schedule(20, 10, startSchedule=timestamp(datetime.now(UTC)))])
    departure = datetime.now(UTC) + timedelta(hours=8)
    needs = {**AC, "departureTime": timestamp(departure)}
    assert await station.charging_needs(needs, maxScheduleTuples=3) == ACCEPTED
    request = await set_for_the_vehicle(station, 2)
    told = request["chargingProfile"]
    assert (request["evseId"], told["chargingProfilePurpose"], told["transactionId"]) == (1, "TxProfile", uuid)
    [first, second] = limits(request)
    assert (first, second[1]) == ((0, 20), 10)
    assert 3590 <= second[0] <= 3600
    assert told["chargingSchedule"][0]["chargingSchedulePeriod"][0]["numberPhases"] == 3
    assert 8 * 3600 - 60 <= told["chargingSchedule"][0]["duration"] <= 8 * 3600
    row = await query(lambda: ChargingNeeds.objects.get())
    assert (row.status, row.chargingprofile_id, row.parameters["ev_max_current"]) == ("Accepted", told["id"], 32)
    assert await query(lambda: InstalledProfile.objects.filter(chargingprofile_id=told["id"]).exists())


async def test_a_vehicle_with_direct_current_gets_watts(station: Station201) -> None:
    await charging(station)
    await station.charging_needs(DC)
    request = await set_for_the_vehicle(station)
    [told] = request["chargingProfile"]["chargingSchedule"]
    assert (told["chargingRateUnit"], told["chargingSchedulePeriod"]) == ("W", [{"startPeriod": 0, "limit": 50_000}])


async def test_needs_without_a_transaction_are_refused(station: Station201, query: Query) -> None:
    answer = await station.charging_needs(AC, evse=2)
    assert answer == {"status": "Rejected", "statusInfo": {"reasonCode": "TxNotFound"}}
    assert await query(lambda: ChargingNeeds.objects.get().status) == "Rejected"


class Slow:
    def schedule(self, session: Session) -> Any:
        raise Later


class Broken:
    def schedule(self, session: Session) -> Any:
        raise LookupError("no prices today")


class Careless:
    def schedule(self, session: Session) -> Any:
        return [{"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 6.125}]}]


@pytest.mark.parametrize(
    ("scheduler", "status"),
    [
        ("", "Rejected"),
        (f"{__name__}.Slow", "Processing"),
        (f"{__name__}.Broken", "Rejected"),
        (f"{__name__}.Careless", "Rejected"),
    ],
)
async def test_a_scheduler_may_need_time_or_have_nothing(
    scheduler: str, status: str, station: Station201, settings: Settings
) -> None:
    settings.CHARGING_SCHEDULER = scheduler
    await charging(station)
    assert await station.charging_needs(AC) == {"status": status}
    assert (await station.heartbeat())["currentTime"]
    assert sent(station, "SetChargingProfile") == []


async def test_needs_told_anew_replace_the_profile_and_an_operators_limit_stays(
    station: Station201, query: Query
) -> None:
    uuid = await charging(station)
    await station.charging_needs(AC)
    first = (await set_for_the_vehicle(station))["chargingProfile"]
    await station.charging_needs(AC)
    second = (await set_for_the_vehicle(station, 2))["chargingProfile"]
    assert second["id"] == first["id"]
    # The operator renegotiates (K16): a profile without an id takes the place of the vehicle's.
    await put(1, profile(None, schedule(13), chargingProfilePurpose="TxProfile", transactionId=uuid))
    await station.charging_needs(AC)
    request = await set_for_the_vehicle(station, 4)
    assert limits(request) == [(0, 13)]
    assert request["chargingProfile"]["id"] != first["id"]
    assert await query(lambda: sorted(row.stack_level for row in InstalledProfile.objects.all())) == [0, 1]


async def test_a_schedule_within_limits_is_accepted(station: Station201, query: Query) -> None:
    await charging(station)
    await station.charging_needs(AC)
    [told] = (await set_for_the_vehicle(station))["chargingProfile"]["chargingSchedule"]
    assert await station.ev_schedule(told) == ACCEPTED
    # The same in watts, and less than that.
    watts = schedule(32 * 230 * 3, 1000, unit="W")
    assert await station.ev_schedule(watts) == ACCEPTED
    rows = await query(lambda: list(EVSchedule.objects.all()))
    assert [row.within_limits for row in rows] == [True, True]


async def test_a_schedule_that_exceeds_its_limits_is_refused_and_a_new_one_given_but_not_without_end(
    station: Station201, query: Query
) -> None:
    await charging(station)
    await station.charging_needs(AC)
    await set_for_the_vehicle(station)
    for count in range(2, 5):
        assert await station.ev_schedule(schedule(16, 40)) == {"status": "Rejected"}
        await set_for_the_vehicle(station, count)
    assert await station.ev_schedule(schedule(40)) == {"status": "Rejected"}
    assert (await station.heartbeat())["currentTime"]
    assert len(sent(station, "SetChargingProfile")) == 4
    assert await query(lambda: {row.within_limits for row in EVSchedule.objects.all()}) == {False}


async def test_a_schedule_without_a_transaction_is_kept(station: Station201, query: Query) -> None:
    assert await station.ev_schedule(schedule(16), evse=2) == ACCEPTED
    assert await query(lambda: EVSchedule.objects.get().evse_id) == 2
