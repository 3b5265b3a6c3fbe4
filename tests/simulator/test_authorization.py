"""The local authorization list and the cache of a simulated station (OCPP 1.6 sections 3.5, 5.10 and 5.15)."""

import json
from typing import Any

import pytest

from tests.simulator.fake_csms import Csms
from tests.simulator.v16 import Station16

PAST = "2020-01-01T00:00:00Z"


def entry(tag: str, status: str | None = "Accepted", **more: Any) -> dict[str, Any]:
    return {"idTag": tag, **({"idTagInfo": {"status": status, **more}} if status else {})}


async def send(csms: Csms, version: int, *entries: dict[str, Any], kind: str = "Full") -> str:
    request = {"listVersion": version, "updateType": kind, "localAuthorizationList": list(entries)}
    return str((await csms.ask("SendLocalList", request))["status"])


async def change(csms: Csms, version: int, *entries: dict[str, Any]) -> str:
    return await send(csms, version, *entries, kind="Differential")


async def version(csms: Csms) -> int:
    return int((await csms.ask("GetLocalListVersion", {}))["listVersion"])


async def test_a_full_list_replaces_the_old_one(csms: Csms, station: Station16) -> None:
    assert await version(csms) == 0
    assert await send(csms, 5, entry("A"), entry("B", "Blocked")) == "Accepted"
    assert await version(csms) == 5
    assert await send(csms, 3, entry("C")) == "Accepted"
    assert await version(csms) == 3
    assert station.local_list == {"c": {"status": "Accepted"}}


async def test_an_empty_list_has_version_0(csms: Csms, station: Station16) -> None:
    await send(csms, 5, entry("A"))
    assert (await csms.ask("SendLocalList", {"listVersion": 6, "updateType": "Full"})) == {"status": "Accepted"}
    assert await version(csms) == 0


async def test_a_differential_update_adds_changes_and_deletes(csms: Csms, station: Station16) -> None:
    await send(csms, 1, entry("A"), entry("B"), entry("C"))
    assert await change(csms, 2, entry("a", "Blocked"), entry("B", None), entry("D", None), entry("E")) == "Accepted"
    assert {tag: info["status"] for tag, info in station.local_list.items()} == {
        "a": "Blocked",
        "c": "Accepted",
        "e": "Accepted",
    }
    assert await version(csms) == 2


async def test_a_differential_update_must_have_a_higher_version(csms: Csms, station: Station16) -> None:
    await send(csms, 2, entry("A"))
    assert await change(csms, 2, entry("B")) == "VersionMismatch"
    assert await change(csms, 1, entry("B")) == "VersionMismatch"
    assert list(station.local_list) == ["a"]


async def test_what_cannot_be_applied_fails_and_changes_nothing(csms: Csms, station: Station16) -> None:
    await send(csms, 1, entry("A"))
    station.configuration["SendLocalListMaxLength"].value = "3"
    station.configuration["LocalAuthListMaxLength"].value = "3"
    assert await send(csms, 2, *(entry(tag) for tag in "BCDE")) == "Failed"
    assert await change(csms, 2, *(entry(tag) for tag in "BCD")) == "Failed"
    assert await send(csms, 2, entry("B"), entry("b")) == "Failed"
    assert await send(csms, 2, entry("B", None)) == "Failed"
    assert await send(csms, -1, entry("B")) == "Failed"
    assert (list(station.local_list), await version(csms)) == (["a"], 1)


@pytest.mark.parametrize(
    ("setting", "value"), [("SupportedFeatureProfiles", "Core"), ("LocalAuthListEnabled", "false")]
)
async def test_a_station_without_a_list_says_so(csms: Csms, station: Station16, setting: str, value: str) -> None:
    station.configuration[setting].value = value
    assert await send(csms, 1, entry("A")) == "NotSupported"
    assert await version(csms) == -1


async def test_the_cache_is_what_the_csms_said_until_it_is_cleared(csms: Csms, station: Station16) -> None:
    await station.authorize("Tag")
    assert station.known("TAG") == {"status": "Accepted"}
    assert await csms.ask("ClearCache", {}) == {"status": "Accepted"}
    assert station.known("TAG") is None
    station.configuration["AuthorizationCacheEnabled"].value = "false"
    assert await csms.ask("ClearCache", {}) == {"status": "Rejected"}


async def test_the_list_outweighs_the_cache_and_expires(csms: Csms, station: Station16) -> None:
    await station.authorize("A")
    await send(csms, 1, entry("A", "Blocked"), entry("B", expiryDate=PAST))
    await station.authorize("A")
    assert station.known("A") == {"status": "Blocked"}
    assert station.known("B") == {"status": "Expired", "expiryDate": PAST}


async def begin(station: Station16, tag: str) -> None:
    station.begin_session(station.connectors[1], tag)


def asked(station: Station16) -> bool:
    return any(frame.sent and '"Authorize"' in str(frame.data) for frame in station.frames)


async def test_a_known_tag_starts_without_asking_where_that_is_allowed(csms: Csms, living: Station16) -> None:
    await send(csms, 1, entry("A"))
    living.configuration["LocalPreAuthorize"].value = "true"
    await begin(living, "A")
    await csms.until_call("StartTransaction", idTag="A")
    assert not asked(living)


async def test_a_known_tag_starts_without_a_connection(csms: Csms, living: Station16) -> None:
    await send(csms, 1, entry("A"), entry("B", "Blocked"))
    await living.drop()
    await begin(living, "B")
    session = living.connectors[1].session
    assert session is not None
    await session
    await begin(living, "A")
    await living.connect()
    await csms.until_call("StartTransaction", idTag="A")
    assert not asked(living)


async def test_a_contradiction_to_the_list_is_reported(csms: Csms, living: Station16) -> None:
    await send(csms, 1, entry("A"))
    csms.answers["Authorize"] = lambda message_id, _: json.dumps([3, message_id, {"idTagInfo": {"status": "Blocked"}}])
    await living.authorize("A")
    assert (await csms.until_call("StatusNotification", connectorId=0))["errorCode"] == "LocalListConflict"
    assert living.known("A") == {"status": "Accepted"}
