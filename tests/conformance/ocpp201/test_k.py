"""Block K: smart charging."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conformance.central import Central
from tests.conformance.ocpp201.conftest import sent
from tests.simulator.station import CallError, Payload
from tests.simulator.v2 import Station201, token

ACCEPTED = {"status": "Accepted"}
DURATION = 3600


def at(seconds: int = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(purpose: str = "TxDefaultProfile", limit: float = 6.0, level: int = 0, **members: Any) -> Payload:
    """A profile as an operator tells it over REST."""
    schedule = {
        "id": 1,
        "duration": DURATION,
        "charging_rate_unit": "A",
        "charging_schedule_period": [{"start_period": 0, "limit": limit, "number_phases": 1}],
    }
    if members.get("charging_profile_kind") != "Relative":
        schedule["start_schedule"] = at()
        members = {"valid_from": at(), "valid_to": at(DURATION), **members}
    return {
        "id": 11,
        "stack_level": level,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Absolute",
        "charging_schedule": [schedule],
        **members,
    }


async def set_profile(central: Central, evse: int, profile: Payload) -> Any:
    return await central.ask("SetChargingProfile", evse_id=evse, charging_profile=profile)


def last(station: Station201) -> Payload:
    request: Payload = sent(station, "SetChargingProfile")[-1]
    return request


async def installed(central: Central) -> list[int]:
    return sorted(row["chargingprofile_id"] for row in await central.rows("installedprofile"))


def check_sent(station: Station201, evse: int, profile: Payload) -> None:
    """The request says what the operator told, and that it begins now and is valid as long as it lasts."""
    request = last(station)
    [period] = request["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
    [asked] = profile["charging_schedule"][0]["charging_schedule_period"]
    assert (request["evseId"], request["chargingProfile"]["id"]) == (evse, profile["id"])
    assert request["chargingProfile"]["stackLevel"] == profile["stack_level"]
    assert request["chargingProfile"]["chargingProfilePurpose"] == profile["charging_profile_purpose"]
    assert request["chargingProfile"]["chargingProfileKind"] == profile["charging_profile_kind"]
    assert request["chargingProfile"].get("validFrom") == profile.get("valid_from")
    assert request["chargingProfile"].get("validTo") == profile.get("valid_to")
    schedule, wanted = request["chargingProfile"]["chargingSchedule"][0], profile["charging_schedule"][0]
    assert schedule.get("startSchedule") == wanted.get("start_schedule")
    assert (schedule["chargingRateUnit"], schedule["duration"]) == ("A", DURATION)
    assert period == {"startPeriod": 0, "limit": asked["limit"], "numberPhases": 1}


async def charging(central: Central, station: Station201, evse: int = 1) -> str:
    """Bring an EVSE into the state EnergyTransferStarted; return the station's id of the transaction."""
    id_token = token(await central.tag("VALID"))
    assert (await station.authorize(id_token))["status"] == "Accepted"
    await station.status(evse, "Occupied")
    answer = await station.started(evse, id_token, trigger="Authorized")
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await station.updated("ChargingStateChanged", evse, charging_state="Charging")
    return station.running(evse).id


# K01: setting profiles


async def test_tc_k_01_csms_tx_default_profile_of_an_evse(central: Central, station: Station201) -> None:
    profile = told()
    assert await set_profile(central, 1, profile) == ACCEPTED
    check_sent(station, 1, profile)
    assert await installed(central) == [11]


async def test_tc_k_02_csms_tx_profile_without_a_transaction(central: Central, station: Station201) -> None:
    profile = told("TxProfile", 7.0, charging_profile_kind="Relative", transaction_id="none that runs")
    assert (await set_profile(central, 1, profile))["status"] == "Rejected"
    check_sent(station, 1, profile)
    assert await installed(central) == []


async def test_tc_k_03_csms_charging_station_max_profile(central: Central, station: Station201) -> None:
    profile = told("ChargingStationMaxProfile", 8.0)
    assert await set_profile(central, 0, profile) == ACCEPTED
    check_sent(station, 0, profile)


async def test_tc_k_04_csms_replace_a_profile_by_its_id(central: Central, station: Station201) -> None:
    await set_profile(central, 1, told(limit=8.0))
    await set_profile(central, 1, told(limit=6.0))
    assert [each["chargingProfile"]["id"] for each in sent(station, "SetChargingProfile")] == [11, 11]
    [row] = await central.rows("installedprofile")
    assert row["charging_schedule"][0]["charging_schedule_period"][0]["limit"] == 6


async def test_tc_k_10_csms_tx_default_profile_of_all_evses(central: Central, station: Station201) -> None:
    profile = told()
    assert await set_profile(central, 0, profile) == ACCEPTED
    check_sent(station, 0, profile)


async def test_tc_k_15_csms_a_station_without_smart_charging(central: Central, station: Station201) -> None:
    station.answers["SetChargingProfile"] = CallError("NotSupported", "no smart charging")
    refused = await central.post(
        "ocpp201/setchargingprofile", chargepoint_id=central.station, evse_id=1, charging_profile=told()
    )
    assert (refused.status_code, refused.json()["code"]) == (502, "OCPP_CALL_ERROR")
    assert await installed(central) == []
    [limitation] = (await central.chargepoint())["limitations"]
    assert (limitation["kind"], limitation["subject"]) == ("action", "SetChargingProfile")


async def test_tc_k_19_csms_a_recurring_profile(central: Central, station: Station201) -> None:
    profile = told(charging_profile_kind="Recurring", recurrency_kind="Daily")
    assert await set_profile(central, 1, profile) == ACCEPTED
    check_sent(station, 1, profile)
    assert last(station)["chargingProfile"]["recurrencyKind"] == "Daily"


async def test_tc_k_60_csms_tx_profile_of_a_transaction(central: Central, station: Station201) -> None:
    transaction_id = await charging(central, station)
    profile = told("TxProfile", 6.0, transaction_id=transaction_id)
    assert await set_profile(central, 1, profile) == ACCEPTED
    check_sent(station, 1, profile)
    assert last(station)["chargingProfile"]["transactionId"] == transaction_id
    await station.ended()
    # A TxProfile goes with its transaction (K02.FR.05).
    assert await installed(central) == []


async def test_tc_k_70_csms_profiles_of_two_levels(central: Central, station: Station201) -> None:
    await set_profile(central, 1, told(level=0))
    await set_profile(central, 1, told(level=1, id=12))
    both = [each["chargingProfile"] for each in sent(station, "SetChargingProfile")]
    assert [(each["id"], each["stackLevel"]) for each in both] == [(11, 0), (12, 1)]
    assert await installed(central) == [11, 12]


# K10: clearing them


async def test_tc_k_05_csms_clear_a_profile_by_its_id(central: Central, station: Station201) -> None:
    await set_profile(central, 0, told("ChargingStationMaxProfile"))
    assert await central.ask("ClearChargingProfile", charging_profile_id=11) == ACCEPTED
    assert sent(station, "ClearChargingProfile") == [{"chargingProfileId": 11}]
    assert await installed(central) == []


CRITERIA = {"evse_id": 1, "charging_profile_purpose": "TxDefaultProfile", "stack_level": 0}
SENT_CRITERIA = {"evseId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0}


async def test_tc_k_06_csms_clear_profiles_by_criteria(central: Central, station: Station201) -> None:
    await set_profile(central, 1, told())
    await set_profile(central, 1, told(level=1, id=12))
    assert await central.ask("ClearChargingProfile", charging_profile_criteria=CRITERIA) == ACCEPTED
    assert sent(station, "ClearChargingProfile") == [{"chargingProfileCriteria": SENT_CRITERIA}]
    assert await installed(central) == [12]


async def test_tc_k_08_csms_clear_where_there_is_none(central: Central, station: Station201) -> None:
    answer = await central.ask("ClearChargingProfile", charging_profile_criteria=CRITERIA)
    assert answer == {"status": "Unknown"}
    assert sent(station, "ClearChargingProfile") == [{"chargingProfileCriteria": SENT_CRITERIA}]


# K09: what the station has


async def reported(central: Central, station: Station201, parts: list[tuple[int, list[Payload]]], **asked: Any) -> Any:
    """Ask for profiles, let the station tell them in parts, each an EVSE's; return the request."""
    assert await central.ask("GetChargingProfiles", **asked) == ACCEPTED
    [request] = sent(station, "GetChargingProfiles")
    for index, (evse, profiles) in enumerate(parts, 1):
        answer = await station.report_profiles(request["requestId"], evse, profiles, tbc=index < len(parts))
        assert answer == {}
    [task] = [row for row in await central.rows("task") if row["action"] == "GetChargingProfiles"]
    assert (task["report"]["status"], task["report"]["parts"]) == ("Complete", len(parts))
    return request


def held(number: int, purpose: str = "TxDefaultProfile", level: int = 0) -> Payload:
    """A profile as the station tells it."""
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}]}
    return {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": [schedule],
    }


@pytest.fixture
def answering(station: Station201) -> Station201:
    """The station, which answers that it has profiles."""
    station.answers["GetChargingProfiles"] = ACCEPTED
    return station


async def test_tc_k_29_csms_get_profiles_of_the_station(central: Central, answering: Station201) -> None:
    purpose = {"charging_profile_purpose": "ChargingStationMaxProfile"}
    request = await reported(
        central,
        answering,
        [(0, [held(1, "ChargingStationMaxProfile")])],
        evse_id=0,
        charging_profile=purpose,
    )
    assert (request["evseId"], request["chargingProfile"]) == (
        0,
        {"chargingProfilePurpose": "ChargingStationMaxProfile"},
    )
    assert await installed(central) == [1]


async def test_tc_k_30_csms_get_profiles_of_an_evse(central: Central, answering: Station201) -> None:
    request = await reported(central, answering, [(1, [held(1), held(2, level=1)])], evse_id=1)
    assert request["evseId"] == 1
    assert await installed(central) == [1, 2]


async def test_tc_k_31_csms_get_all_profiles_in_parts(central: Central, answering: Station201) -> None:
    await set_profile(central, 2, told())
    request = await reported(central, answering, [(1, [held(1)]), (2, [held(2)])])
    assert "evseId" not in request
    # What it did not tell, it does not have.
    assert await installed(central) == [1, 2]


@pytest.mark.parametrize("number", [5])
async def test_tc_k_32_csms_get_a_profile_by_its_id(central: Central, answering: Station201, number: int) -> None:
    request = await reported(
        central, answering, [(1, [held(number)])], charging_profile={"charging_profile_id": [number]}
    )
    assert request["chargingProfile"] == {"chargingProfileId": [number]}
    assert await installed(central) == [number]


async def test_tc_k_33_csms_get_profiles_of_a_level(central: Central, answering: Station201) -> None:
    criteria = {"stack_level": 1}
    request = await reported(central, answering, [(1, [held(1, level=1)])], evse_id=1, charging_profile=criteria)
    assert (request["evseId"], request["chargingProfile"]) == (1, {"stackLevel": 1})


async def test_tc_k_34_csms_get_profiles_of_a_source(central: Central, answering: Station201) -> None:
    criteria = {"charging_limit_source": ["CSO"]}
    request = await reported(central, answering, [(1, [held(1)])], evse_id=1, charging_profile=criteria)
    assert (request["evseId"], request["chargingProfile"]) == (1, {"chargingLimitSource": ["CSO"]})


async def test_tc_k_35_csms_get_profiles_of_a_purpose(central: Central, answering: Station201) -> None:
    criteria = {"charging_profile_purpose": "TxDefaultProfile"}
    request = await reported(central, answering, [(1, [held(1)])], evse_id=1, charging_profile=criteria)
    assert (request["evseId"], request["chargingProfile"]) == (1, {"chargingProfilePurpose": "TxDefaultProfile"})


async def test_tc_k_36_csms_get_profiles_of_a_purpose_and_a_level(central: Central, answering: Station201) -> None:
    criteria = {"charging_profile_purpose": "TxDefaultProfile", "stack_level": 1}
    request = await reported(central, answering, [(1, [held(1, level=1)])], evse_id=1, charging_profile=criteria)
    wanted = {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}
    assert (request["evseId"], request["chargingProfile"]) == (1, wanted)


# K05, K08


async def test_tc_k_37_csms_remote_start_with_a_profile(central: Central, station: Station201) -> None:
    id_token = await central.tag("VALID")
    profile = told("TxProfile", charging_profile_kind="Relative")
    answer = await central.ask(
        "RequestStartTransaction",
        evse_id=1,
        id_token={"id_token": id_token, "type": "ISO14443"},
        charging_profile=profile,
    )
    assert answer == ACCEPTED
    [request] = sent(station, "RequestStartTransaction")
    assert (request["evseId"], request["idToken"]) == (1, token(id_token))
    asked = request["chargingProfile"]
    assert (asked["chargingProfilePurpose"], asked["chargingProfileKind"]) == ("TxProfile", "Relative")
    assert "transactionId" not in asked
    await station.started(1, token(id_token), remote_start_id=request["remoteStartId"])
    [row] = await central.rows("installedprofile")
    [transaction] = await central.rows("transaction")
    assert (row["profile_state"], row["transaction_id"]) == ("Installed", transaction["transaction_id"])


@pytest.mark.parametrize("evse", [1])
async def test_tc_k_43_csms_composite_schedule_of_an_evse(central: Central, station: Station201, evse: int) -> None:
    await composite(central, station, evse)


async def test_tc_k_44_csms_composite_schedule_of_the_station(central: Central, station: Station201) -> None:
    await composite(central, station, 0)


async def composite(central: Central, station: Station201, evse: int) -> None:
    answer = await central.ask("GetCompositeSchedule", evse_id=evse, duration=300, charging_rate_unit="A")
    assert sent(station, "GetCompositeSchedule") == [{"duration": 300, "chargingRateUnit": "A", "evseId": evse}]
    assert answer["schedule"]["charging_schedule_period"] == [{"start_period": 0, "limit": 10}]
    [row] = await central.rows("compositeschedule")
    assert (row["evse_id"], row["duration"], row["charging_rate_unit"]) == (evse, 300, "A")


# K11 to K14: limits of others


async def test_tc_k_48_csms_a_limit_is_set_without_a_transaction(central: Central, station: Station201) -> None:
    assert await station.charging_limit("EMS") == {}
    [row] = await central.rows("charginglimit")
    assert (row["charging_limit_source"], row["evse_id"]) == ("EMS", 0)


async def test_tc_k_50_csms_a_limit_is_released_without_a_transaction(central: Central, station: Station201) -> None:
    await station.charging_limit("EMS")
    assert await station.charging_limit_cleared("EMS") == {}
    assert await central.rows("charginglimit") == []


async def test_tc_k_51_csms_a_limit_is_released_with_a_transaction(central: Central, station: Station201) -> None:
    await charging(central, station)
    assert await station.charging_limit_cleared("EMS") == {}
    await station.updated("ChargingRateChanged")
    [transaction] = await central.rows("transaction")
    assert transaction["transaction_status"] == "Started"


async def test_tc_k_52_csms_external_constraints_in_a_report(central: Central, answering: Station201) -> None:
    purpose = "ChargingStationExternalConstraints"
    assert await central.ask("GetChargingProfiles", charging_profile={"charging_profile_purpose": purpose}) == ACCEPTED
    [request] = sent(answering, "GetChargingProfiles")
    assert await answering.report_profiles(request["requestId"], 0, [held(-1, purpose)], "EMS") == {}
    [row] = await central.rows("installedprofile")
    assert (row["chargingprofile_purpose"], row["charging_limit_source"]) == (purpose, "EMS")


# K15 to K17: vehicles that speak ISO 15118

NEEDS: Payload = {
    "requestedEnergyTransfer": "AC_three_phase",
    "acChargingParameters": {"energyAmount": 20_000, "evMinCurrent": 6, "evMaxCurrent": 32, "evMaxVoltage": 230},
}


async def plugged_in(central: Central, station: Station201) -> str:
    """Bring EVSE 1 into the states Authorized and EVConnectedPreSession; return the transaction's id."""
    id_token = token(await central.tag("VALID"))
    await station.authorize(id_token)
    await station.status(1, "Occupied")
    await station.started(1, id_token, trigger="Authorized")
    return station.running().id


async def given(station: Station201, transaction_id: str) -> Payload:
    """Wait for the TxProfile that the CSMS sends; return its schedule."""
    request = (await station.expect_call("SetChargingProfile")).payload
    profile = request["chargingProfile"]
    assert (request["evseId"], profile["chargingProfilePurpose"]) == (1, "TxProfile")
    assert profile["transactionId"] == transaction_id
    [schedule] = profile["chargingSchedule"]
    return dict(schedule)


async def smart_charging(central: Central, station: Station201) -> tuple[str, Payload]:
    """Play the reusable state ISO15118SmartCharging; return the transaction's id and its schedule."""
    transaction_id = await plugged_in(central, station)
    assert await station.charging_needs(NEEDS, maxScheduleTuples=3) == ACCEPTED
    schedule = await given(station, transaction_id)
    assert await station.ev_schedule(schedule) == ACCEPTED
    await station.updated("ChargingStateChanged", charging_state="Charging")
    return transaction_id, schedule


async def test_tc_k_53_csms_load_levelling(central: Central, station: Station201) -> None:
    _, schedule = await smart_charging(central, station)
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 32, "numberPhases": 3}]
    [needs] = await central.rows("chargingneeds")
    [row] = await central.rows("evschedule")
    assert (needs["needs_status"], row["within_limits"]) == ("Accepted", True)


async def test_tc_k_55_csms_the_vehicle_exceeds_its_limits(central: Central, station: Station201) -> None:
    transaction_id = await plugged_in(central, station)
    assert await station.charging_needs(NEEDS, maxScheduleTuples=3) == ACCEPTED
    schedule = await given(station, transaction_id)
    beyond = {**schedule, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 40, "numberPhases": 3}]}
    assert await station.ev_schedule(beyond) == {"status": "Rejected"}
    await station.updated("ChargingStateChanged", charging_state="Charging")
    renewed = await given(station, transaction_id)
    assert await station.ev_schedule(renewed) == ACCEPTED
    await station.updated("ChargingRateChanged")


async def test_tc_k_57_csms_the_vehicle_renegotiates(central: Central, station: Station201) -> None:
    transaction_id, _ = await smart_charging(central, station)
    less = {**NEEDS, "acChargingParameters": {**NEEDS["acChargingParameters"], "evMaxCurrent": 16}}
    assert await station.charging_needs(less, maxScheduleTuples=3) == ACCEPTED
    await station.updated("ChargingRateChanged")
    schedule = await given(station, transaction_id)
    assert schedule["chargingSchedulePeriod"][0]["limit"] == 16
    assert await station.ev_schedule(schedule) == ACCEPTED
    await station.updated("ChargingRateChanged")


async def operator_renegotiates(central: Central, station: Station201, transaction_id: str) -> Payload:
    profile = told("TxProfile", 10.0, transaction_id=transaction_id)
    del profile["id"]
    assert await set_profile(central, 1, profile) == ACCEPTED
    return await given(station, transaction_id)


async def test_tc_k_58_csms_the_operator_renegotiates(central: Central, station: Station201) -> None:
    transaction_id, _ = await smart_charging(central, station)
    schedule = await operator_renegotiates(central, station, transaction_id)
    assert schedule["chargingSchedulePeriod"][0]["limit"] == 10
    assert await station.ev_schedule(schedule) == ACCEPTED
    await station.updated("ChargingRateChanged")


async def test_tc_k_59_csms_needs_told_after_the_operator_renegotiated(central: Central, station: Station201) -> None:
    transaction_id, _ = await smart_charging(central, station)
    await operator_renegotiates(central, station, transaction_id)
    assert await station.charging_needs(NEEDS, maxScheduleTuples=3) == ACCEPTED
    schedule = await given(station, transaction_id)
    # The operator's limit holds (K16.FR.12).
    assert schedule["chargingSchedulePeriod"][0]["limit"] == 10
    assert await station.ev_schedule(schedule) == ACCEPTED
    await station.updated("ChargingRateChanged")
