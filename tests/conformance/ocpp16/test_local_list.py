"""Local Auth List Management profile."""

from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp16.conftest import sent
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

ACCEPTED = {"status": "Accepted"}


async def the_list(central: Central) -> Any:
    return await central.get(f"locallist/{central.station}")


async def held(central: Central) -> dict[str, str]:
    """Return what the station is believed to tell each tag."""
    return {each["id_tag"]: each["held"]["status"] for each in (await the_list(central))["entries"] if each["held"]}


async def send_list(central: Central, update: str, *entries: Payload) -> Any:
    return await central.ask("SendLocalList", update_type=update, local_authorization_list=list(entries))


def entry(id_tag: str, status: str = "Accepted") -> Payload:
    return {"id_tag": id_tag, "id_tag_info": {"status": status}}


async def limitations(central: Central) -> list[str]:
    return [each["kind"] for each in (await central.chargepoint())["limitations"]]


async def test_tc_042_1_get_local_list_version_not_supported(central: Central, station: Station16) -> None:
    station.answers["GetLocalListVersion"] = {"listVersion": -1}
    assert await central.ask("GetLocalListVersion") == {"list_version": -1}
    assert sent(station, "GetLocalListVersion") == [{}]
    assert (await the_list(central))["reported_version"] == -1
    assert await limitations(central) == ["local_list"]


async def test_tc_042_2_get_local_list_version_empty(central: Central, station: Station16) -> None:
    station.answers["GetLocalListVersion"] = {"listVersion": 0}
    assert await central.ask("GetLocalListVersion") == {"list_version": 0}
    shown = await the_list(central)
    assert (shown["reported_version"], shown["version"], shown["entries_held"]) == (0, 0, 0)


async def test_tc_043_1_send_local_authorization_list_not_supported(central: Central, station: Station16) -> None:
    station.answers["SendLocalList"] = {"status": "NotSupported"}
    assert await send_list(central, "Full", entry("TAG1")) == {"status": "NotSupported"}
    assert (await the_list(central))["last_outcome"] == "NotSupported"
    assert await limitations(central) == ["local_list"]


async def test_tc_043_3_send_local_authorization_list_failed(central: Central, station: Station16) -> None:
    station.answers["SendLocalList"] = {"status": "Failed"}
    assert await send_list(central, "Full", entry("TAG1")) == {"status": "Failed"}
    assert len(sent(station, "SendLocalList")) == 1
    # Changes that failed are followed by all of the list (section 5.15).
    assert await send_list(central, "Differential", entry("TAG1")) == {"status": "Failed"}
    assert [each["updateType"] for each in sent(station, "SendLocalList")] == ["Full", "Differential", "Full"]
    shown = await the_list(central)
    assert (shown["version"], shown["entries_held"], shown["last_outcome"]) == (None, None, "Failed")


async def test_tc_043_4_send_local_authorization_list_full(central: Central, station: Station16) -> None:
    station.answers["SendLocalList"] = ACCEPTED
    assert await send_list(central, "Full", entry("TAG1"), entry("TAG2", "Blocked")) == ACCEPTED
    [request] = sent(station, "SendLocalList")
    assert request == {
        "listVersion": 1,
        "localAuthorizationList": [
            {"idTag": "TAG1", "idTagInfo": {"status": "Accepted"}},
            {"idTag": "TAG2", "idTagInfo": {"status": "Blocked"}},
        ],
        "updateType": "Full",
    }
    assert await held(central) == {"TAG1": "Accepted", "TAG2": "Blocked"}
    station.answers["GetLocalListVersion"] = {"listVersion": 1}
    assert await central.ask("GetLocalListVersion") == {"list_version": 1}


async def test_tc_043_5_send_local_authorization_list_differential(central: Central, station: Station16) -> None:
    station.answers["SendLocalList"] = ACCEPTED
    await send_list(central, "Full", entry("TAG1"), entry("TAG2"))
    assert await send_list(central, "Differential", {"id_tag": "TAG1"}, entry("TAG3")) == ACCEPTED
    request = sent(station, "SendLocalList")[-1]
    assert request == {
        "listVersion": 2,
        "localAuthorizationList": [{"idTag": "TAG1"}, {"idTag": "TAG3", "idTagInfo": {"status": "Accepted"}}],
        "updateType": "Differential",
    }
    assert await held(central) == {"TAG2": "Accepted", "TAG3": "Accepted"}
