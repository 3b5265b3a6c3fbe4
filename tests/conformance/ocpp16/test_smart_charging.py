"""Smart Charging profile."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp16.conftest import charging, sent
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

ACCEPTED = {"status": "Accepted"}


def at(minutes: int) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def absolute(purpose: str) -> Payload:
    """A profile as the library keeps it, valid for two hours."""
    return {
        "stack_level": 0,
        "chargingprofile_purpose": purpose,
        "chargingprofile_kind": "Absolute",
        "valid_from": at(1),
        "valid_to": at(120),
        "start_schedule": at(2),
        "duration": 3600,
        "charging_rate_unit": "W",
        "chargingschedule_period": [{"start_period": 0, "limit": 6000.0, "number_phases": 3}],
    }


def on_the_wire(stored: Any, **more: Any) -> Payload:
    """Spell a stored profile as OCPP does."""
    return {
        "chargingProfileId": stored["chargingprofile_id"],
        **more,
        "stackLevel": 0,
        "chargingProfilePurpose": stored["chargingprofile_purpose"],
        "chargingProfileKind": "Absolute",
        "validFrom": stored["valid_from"],
        "validTo": stored["valid_to"],
        "chargingSchedule": {
            "duration": 3600,
            "startSchedule": stored["start_schedule"],
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6000.0, "numberPhases": 3}],
        },
    }


async def store(central: Central, purpose: str) -> Any:
    answer = await central.post("chargingprofile16", **absolute(purpose))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def set_profile(central: Central, station: Station16, connector: int, purpose: str, **fields: Any) -> Any:
    """Send a stored profile; return it."""
    station.answers["SetChargingProfile"] = ACCEPTED
    stored = await store(central, purpose)
    number = stored["chargingprofile_id"]
    told = await central.ask("SetChargingProfile", connector_id=connector, charging_profile_id=number, **fields)
    assert told == ACCEPTED
    more = {"transactionId": fields["transaction_id"]} if fields else {}
    request = {"connectorId": connector, "csChargingProfiles": on_the_wire(stored, **more)}
    assert sent(station, "SetChargingProfile")[-1] == request
    return stored


async def installed(central: Central) -> set[int]:
    return {row["chargingprofile_id"] for row in await central.rows("installedprofile")}


async def test_tc_056_tx_default_profile(central: Central, station: Station16) -> None:
    stored = await set_profile(central, station, 1, "TxDefaultProfile")
    assert await installed(central) == {stored["chargingprofile_id"]}


async def test_tc_057_tx_profile(central: Central, station: Station16) -> None:
    transaction_id = await charging(station, await central.tag("VALID"))
    stored = await set_profile(central, station, 1, "TxProfile", transaction_id=transaction_id)
    [row] = await central.rows("installedprofile")
    assert (row["chargingprofile_id"], row["transaction_id"]) == (stored["chargingprofile_id"], transaction_id)
    await station.stop(1)
    # A TxProfile goes with its transaction (section 3.13.1).
    assert await installed(central) == set()


async def test_tc_059_remote_start_with_a_charging_profile(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    stored = await store(central, "TxProfile")
    station.answers["RemoteStartTransaction"] = ACCEPTED
    told = await central.ask(
        "RemoteStartTransaction", connector_id=1, id_tag=id_tag, charging_profile_id=stored["chargingprofile_id"]
    )
    assert told == ACCEPTED
    request = {"connectorId": 1, "idTag": id_tag, "chargingProfile": on_the_wire(stored)}
    assert sent(station, "RemoteStartTransaction") == [request]
    transaction_id = await charging(station, id_tag)
    [row] = await central.rows("installedprofile")
    assert row["transaction_id"] == transaction_id


async def test_tc_066_get_composite_schedule(central: Central, station: Station16) -> None:
    schedule = {
        "duration": 300,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0}],
    }
    start = at(0)
    station.answers["GetCompositeSchedule"] = {
        "status": "Accepted",
        "connectorId": 1,
        "scheduleStart": start,
        "chargingSchedule": schedule,
    }
    told = await central.ask("GetCompositeSchedule", connector_id=1, duration=300, charging_rate_unit="W")
    assert sent(station, "GetCompositeSchedule") == [{"connectorId": 1, "duration": 300, "chargingRateUnit": "W"}]
    assert told["charging_schedule"]["charging_schedule_period"] == [{"start_period": 0, "limit": 6.0}]
    [row] = await central.rows("compositeschedule")
    assert (row["evse_id"], row["charging_rate_unit"], row["duration"]) == (1, "W", 300)


async def test_tc_067_clear_charging_profile(central: Central, station: Station16) -> None:
    transaction_id = await charging(station, await central.tag("VALID"))
    most = await set_profile(central, station, 0, "ChargePointMaxProfile")
    default = await set_profile(central, station, 1, "TxDefaultProfile")
    own = await set_profile(central, station, 1, "TxProfile", transaction_id=transaction_id)
    keys = [each["chargingprofile_id"] for each in (most, default, own)]
    assert await installed(central) == set(keys)
    station.answers["ClearChargingProfile"] = ACCEPTED
    assert await central.ask("ClearChargingProfile", id=keys[0]) == ACCEPTED
    assert await installed(central) == set(keys[1:])
    criteria = {"connector_id": 1, "charging_profile_purpose": "TxDefaultProfile", "stack_level": 0}
    assert await central.ask("ClearChargingProfile", **criteria) == ACCEPTED
    assert await installed(central) == {keys[2]}
    assert await central.ask("ClearChargingProfile") == ACCEPTED
    assert await installed(central) == set()
    assert sent(station, "ClearChargingProfile") == [
        {"id": keys[0]},
        {"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0},
        {},
    ]
