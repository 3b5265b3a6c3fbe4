"""Core profile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import websockets

from tests.conformance.central import Central
from tests.conformance.ocpp16.conftest import charging, cold_boot, sent
from tests.simulator.station import Disconnected, Payload
from tests.simulator.v16 import Station16

ACCEPTED = {"status": "Accepted"}
REJECTED = {"status": "Rejected"}


def is_now(text: str) -> bool:
    """Tell whether a time is in UTC, spelt with Z, and about now."""
    return text.endswith("Z") and abs(datetime.fromisoformat(text) - datetime.now(UTC)) < timedelta(seconds=10)


async def test_tc_001_cold_boot_charge_point(central: Central) -> None:
    async with Station16(central.platform.ocpp, central.station, connectors=2) as station:
        answer = await cold_boot(station)
        assert answer.keys() == {"status", "currentTime", "interval"}
        assert (answer["status"], answer["interval"]) == ("Accepted", 300)
        assert is_now(answer["currentTime"])
        heartbeat = await station.heartbeat()
        assert heartbeat.keys() == {"currentTime"}
        assert is_now(heartbeat["currentTime"])
        shown = await central.chargepoint()
        assert (shown["connected"], shown["chargepoint_status"], shown["ocpp_version"]) == (
            True,
            "Available",
            "ocpp1.6",
        )
        assert shown["chargepoint_vendor"] == "Simulated"
        assert shown["deviations"] == []
        assert await central.connectors() == {1: "Available", 2: "Available"}


async def test_tc_003_regular_charging_session_plug_in_first(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    assert await station.status(1, "Preparing") == {}
    assert await station.authorize(id_tag) == ACCEPTED
    started = await station.start(1, id_tag, meter_start=100)
    assert started["idTagInfo"] == ACCEPTED
    assert started["transactionId"] > 0
    assert await station.status(1, "Charging") == {}
    shown = await central.transaction(started["transactionId"])
    assert (shown["transaction_status"], shown["id_tag"], shown["wh_meter_start"]) == ("Started", id_tag, 100)
    assert shown["connector"]["connector_status"] == "Charging"


async def test_tc_004_1_regular_charging_session_identification_first(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    transaction_id = await charging(station, id_tag)
    assert (await central.transaction(transaction_id))["transaction_status"] == "Started"
    assert (await central.connectors())[1] == "Charging"


async def test_tc_004_2_identification_first_connection_time_out(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    assert await station.authorize(id_tag) == ACCEPTED
    assert await station.status(1, "Preparing") == {}
    assert (await central.connectors())[1] == "Preparing"
    assert await station.status(1, "Available") == {}
    assert (await central.connectors())[1] == "Available"
    assert await central.rows("transaction") == []


async def test_tc_005_1_ev_side_disconnected(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    transaction_id = await charging(station, id_tag, meter_start=0)
    assert await station.status(1, "SuspendedEV") == {}
    assert await station.stop(1, "EVDisconnected", meter_stop=10) == {"idTagInfo": ACCEPTED}
    assert await station.status(1, "Finishing") == {}
    assert await station.status(1, "Available") == {}
    shown = await central.transaction(transaction_id)
    assert (shown["transaction_status"], shown["reason_stopped"], shown["energy_wh"]) == (
        "Finished",
        "EVDisconnected",
        10,
    )
    assert shown["flags"] == []


async def test_tc_007_regular_start_charging_session_cached_id(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    await station.status(1, "Preparing")
    started = await station.start(1, id_tag)
    assert started["idTagInfo"] == ACCEPTED
    await station.status(1, "Charging")
    assert (await central.transaction(started["transactionId"]))["authorization_status"] == "Accepted"


async def remote_start(central: Central, station: Station16, id_tag: str, answer: Payload) -> None:
    station.answers["RemoteStartTransaction"] = answer
    assert await central.ask("RemoteStartTransaction", connector_id=1, id_tag=id_tag) == answer
    assert sent(station, "RemoteStartTransaction") == [{"connectorId": 1, "idTag": id_tag}]


async def test_tc_010_remote_start_cable_plugged_in_first(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    await station.status(1, "Preparing")
    await remote_start(central, station, id_tag, ACCEPTED)
    transaction_id = await charging(station, id_tag)
    assert (await central.transaction(transaction_id))["id_tag"] == id_tag


async def test_tc_011_1_remote_start_first(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    await remote_start(central, station, id_tag, ACCEPTED)
    transaction_id = await charging(station, id_tag)
    assert (await central.transaction(transaction_id))["transaction_status"] == "Started"


async def test_tc_011_2_remote_start_first_time_out(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    await remote_start(central, station, id_tag, ACCEPTED)
    assert await station.authorize(id_tag) == ACCEPTED
    await station.status(1, "Preparing")
    await station.status(1, "Available")
    assert (await central.connectors())[1] == "Available"
    assert await central.rows("transaction") == []


async def test_tc_012_remote_stop_charging_session(central: Central, station: Station16) -> None:
    id_tag = await central.tag("VALID")
    transaction_id = await charging(station, id_tag)
    station.answers["RemoteStopTransaction"] = ACCEPTED
    assert await central.ask("RemoteStopTransaction", transaction_id=transaction_id) == ACCEPTED
    assert sent(station, "RemoteStopTransaction") == [{"transactionId": transaction_id}]
    assert await station.stop(1, "Remote", meter_stop=10) == {"idTagInfo": ACCEPTED}
    await station.status(1, "Finishing")
    await station.status(1, "Available")
    shown = await central.transaction(transaction_id)
    assert (shown["transaction_status"], shown["reason_stopped"]) == ("Finished", "Remote")


async def test_tc_013_hard_reset(central: Central, station: Station16) -> None:
    await reset(central, station, "Hard")


async def test_tc_014_soft_reset(central: Central, station: Station16) -> None:
    await reset(central, station, "Soft")


async def reset(central: Central, station: Station16, kind: str) -> None:
    assert await central.ask("Reset", type=kind) == ACCEPTED
    assert sent(station, "Reset") == [{"type": kind}]
    await station.disconnect()
    await station.connect()
    assert (await cold_boot(station))["status"] == "Accepted"
    assert (await central.chargepoint())["connected"] is True


async def test_tc_017_1_unlock_connector_cable_not_fixed(central: Central, station: Station16) -> None:
    await unlock(central, station, "Unlocked")


async def test_tc_017_2_unlock_connector_fixed_cable(central: Central, station: Station16) -> None:
    await unlock(central, station, "NotSupported")


async def unlock(central: Central, station: Station16, status: str) -> None:
    station.answers["UnlockConnector"] = {"status": status}
    assert await central.ask("UnlockConnector", connector_id=1) == {"status": status}
    assert sent(station, "UnlockConnector") == [{"connectorId": 1}]


async def test_tc_018_1_unlock_connector_with_charging_session(central: Central, station: Station16) -> None:
    transaction_id = await charging(station, await central.tag("VALID"))
    await unlock(central, station, "Unlocked")
    await station.status(1, "Finishing")
    assert (await station.stop(1, "UnlockCommand", meter_stop=10))["idTagInfo"] == ACCEPTED
    await station.status(1, "Available")
    assert (await central.transaction(transaction_id))["reason_stopped"] == "UnlockCommand"


async def test_tc_019_1_retrieve_all_configuration_keys(central: Central, station: Station16) -> None:
    answer = await central.ask("GetConfiguration")
    assert sent(station, "GetConfiguration") == [{}]
    assert {each["key"] for each in answer["configuration_key"]} == set(station.configuration)
    kept = {row["variable"]: (row["value"], row["mutability"]) for row in await central.rows("variable")}
    assert kept == {
        key: (setting.value, "ReadOnly" if setting.readonly else "ReadWrite")
        for key, setting in station.configuration.items()
    }


async def test_tc_019_2_retrieve_a_specific_configuration_key(central: Central, station: Station16) -> None:
    answer = await central.ask("GetConfiguration", key=["SupportedFeatureProfiles"])
    assert sent(station, "GetConfiguration") == [{"key": ["SupportedFeatureProfiles"]}]
    assert [each["key"] for each in answer["configuration_key"]] == ["SupportedFeatureProfiles"]
    assert [row["variable"] for row in await central.rows("variable")] == ["SupportedFeatureProfiles"]


async def test_tc_021_change_configuration(central: Central, station: Station16) -> None:
    change = {"key": "MeterValueSampleInterval", "value": "30"}
    assert await central.ask("ChangeConfiguration", **change) == ACCEPTED
    assert sent(station, "ChangeConfiguration") == [change]
    [row] = await central.rows("variable")
    assert (row["variable"], row["value"]) == ("MeterValueSampleInterval", "30")


async def test_tc_023_1_authorize_invalid(central: Central, station: Station16) -> None:
    await refused_tag(central, station, None, "Invalid")


async def test_tc_023_2_authorize_expired(central: Central, station: Station16) -> None:
    await refused_tag(central, station, {"expiry_date": "2020-01-01T00:00:00Z"}, "Expired")


async def test_tc_023_3_authorize_blocked(central: Central, station: Station16) -> None:
    await refused_tag(central, station, {"revoked": True}, "Blocked")


async def refused_tag(central: Central, station: Station16, fields: Payload | None, status: str) -> None:
    """A tag that may not charge is told so, and a start with it is recorded all the same (section 4.8)."""
    id_tag = await central.tag("REFUSED", **fields) if fields is not None else "NOBODY-KNOWS-ME"
    assert (await station.authorize(id_tag))["status"] == status
    await station.status(1, "Preparing")
    started = await station.start(1, id_tag)
    assert started["idTagInfo"]["status"] == status
    assert started["transactionId"] > 0
    shown = await central.transaction(started["transactionId"])
    assert (shown["transaction_status"], shown["authorization_status"]) == ("Unauthorized", status)
    assert (await station.stop(1, "DeAuthorized"))["idTagInfo"]["status"] == status
    shown = await central.transaction(started["transactionId"])
    assert (shown["transaction_status"], shown["reason_stopped"]) == ("Unauthorized", "DeAuthorized")


async def test_tc_024_lock_failure(central: Central, station: Station16) -> None:
    assert await station.authorize(await central.tag("VALID")) == ACCEPTED
    await station.status(1, "Preparing")
    assert await station.status(1, "Faulted", "ConnectorLockFailure") == {}
    assert (await central.connectors())[1] == "Faulted"
    newest = (await central.get(f"statusnotification/{central.station}"))["results"][0]
    assert (newest["status"], newest["error_code"]) == ("Faulted", "ConnectorLockFailure")


async def test_tc_026_remote_start_rejected(central: Central, station: Station16) -> None:
    await remote_start(central, station, await central.tag("VALID"), REJECTED)
    assert await central.rows("transaction") == []


async def test_tc_028_remote_stop_rejected(central: Central, station: Station16) -> None:
    transaction_id = await charging(station, await central.tag("VALID"))
    unknown = transaction_id + 1_000_000
    assert await central.ask("RemoteStopTransaction", transaction_id=unknown) == REJECTED
    assert sent(station, "RemoteStopTransaction") == [{"transactionId": unknown}]
    assert (await central.transaction(transaction_id))["transaction_status"] == "Started"


async def test_tc_030_unlock_failure(central: Central, station: Station16) -> None:
    await unlock(central, station, "UnlockFailed")


async def test_tc_031_unlock_unknown_connector(central: Central, station: Station16) -> None:
    assert await central.ask("UnlockConnector", connector_id=9) == {"status": "NotSupported"}
    assert sent(station, "UnlockConnector") == [{"connectorId": 9}]


async def test_tc_032_1_power_failure_stop_transactions(central: Central, station: Station16) -> None:
    transaction_id = await charging(station, await central.tag("VALID"), meter_start=0)
    await station.drop()
    await station.connect()
    assert (await station.boot())["status"] == "Accepted"
    for number, status in ((0, "Available"), (1, "Finishing"), (2, "Available")):
        await station.status(number, status)
    assert (await central.transaction(transaction_id))["transaction_status"] == "Started"
    assert (await station.stop(1, "PowerLoss", meter_stop=10))["idTagInfo"] == ACCEPTED
    shown = await central.transaction(transaction_id)
    assert (shown["transaction_status"], shown["reason_stopped"], shown["energy_wh"]) == ("Finished", "PowerLoss", 10)
    assert await central.connectors() == {1: "Finishing", 2: "Available"}


def hours_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=4)


def spelt(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


async def offline_start(station: Station16, id_tag: str, at: datetime) -> Payload:
    """Tell of a start of hours ago."""
    answer: Payload = await station.start(1, id_tag, meter_start=0, at=at)
    assert answer["transactionId"] > 0
    return answer


async def test_tc_037_1_offline_start_valid_id_tag(central: Central, station: Station16) -> None:
    at = hours_ago()
    answer = await offline_start(station, await central.tag("VALID"), at)
    assert answer["idTagInfo"] == ACCEPTED
    await station.status(1, "Charging")
    shown = await central.transaction(answer["transactionId"])
    assert (shown["start_transaction_timestamp"], shown["flags"]) == (spelt(at), ["offline"])


async def test_tc_037_3_offline_start_invalid_id_tag_is_stopped(central: Central, station: Station16) -> None:
    answer = await offline_start(station, "NOBODY-KNOWS-ME", hours_ago())
    assert answer["idTagInfo"] == {"status": "Invalid"}
    await station.status(1, "Charging")
    assert (await station.stop(1, "DeAuthorized", meter_stop=10))["idTagInfo"] == {"status": "Invalid"}
    await station.status(1, "Finishing")
    shown = await central.transaction(answer["transactionId"])
    assert (shown["transaction_status"], shown["reason_stopped"]) == ("Unauthorized", "DeAuthorized")


async def test_tc_039_offline_transaction(central: Central, station: Station16) -> None:
    began = hours_ago()
    ended = began + timedelta(hours=1)
    answer = await offline_start(station, await central.tag("VALID"), began)
    assert answer["idTagInfo"] == ACCEPTED
    assert await station.stop(1, "Local", meter_stop=10, at=ended) == {"idTagInfo": ACCEPTED}
    shown = await central.transaction(answer["transactionId"])
    assert (shown["transaction_status"], shown["energy_wh"], shown["flags"]) == ("Finished", 10, ["offline"])
    assert (shown["start_transaction_timestamp"], shown["stop_transaction_timestamp"]) == (
        spelt(began),
        spelt(ended),
    )


async def test_tc_040_1_configuration_key_not_supported(central: Central, station: Station16) -> None:
    await refused_key(central, station, "UnknownKey", "1", "NotSupported")


async def test_tc_040_2_configuration_key_invalid_value(central: Central, station: Station16) -> None:
    await refused_key(central, station, "MeterValueSampleInterval", "-1", "Rejected")


async def refused_key(central: Central, station: Station16, key: str, value: str, status: str) -> None:
    assert await central.ask("ChangeConfiguration", key=key, value=value) == {"status": status}
    assert sent(station, "ChangeConfiguration") == [{"key": key, "value": value}]
    assert await central.rows("variable") == []


async def test_tc_061_clear_authorization_cache(central: Central, station: Station16) -> None:
    assert await central.ask("ClearCache") == ACCEPTED
    assert sent(station, "ClearCache") == [{}]


async def test_tc_064_data_transfer_to_a_central_system(central: Central, station: Station16) -> None:
    request: dict[str, Any] = {"vendorId": "com.example", "messageId": "Hello", "data": "world"}
    assert await station.call("DataTransfer", request) == {"status": "UnknownVendorId"}
    assert (await central.chargepoint())["connected"] is True


async def test_tc_088_websocket_subprotocol_negotiation(central: Central) -> None:
    async with Station16(central.platform.ocpp, central.station, subprotocols=("ocpp0.1", "ocpp1.6")) as station:
        assert station.subprotocol == "ocpp1.6"
        assert (await station.boot())["status"] == "Accepted"
    with pytest.raises((websockets.InvalidHandshake, Disconnected)):
        async with Station16(central.platform.ocpp, central.station, subprotocols=("ocpp0.1",)) as station:
            await station.boot()
