"""Block D: the local authorisation list."""

from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp201.conftest import sent
from tests.conformance.ocpp201.states import ACCEPTED
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201


async def held(central: Central) -> dict[str, str]:
    """Return what the station is believed to tell each token."""
    entries = (await central.get(f"locallist/{central.station}"))["entries"]
    return {each["id_tag"]: each["held"]["status"] for each in entries if each["held"]}


def entry(name: str, status: str | None = "Accepted") -> Payload:
    info = {"id_token_info": {"status": status}} if status else {}
    return {"id_token": {"id_token": name, "type": "ISO14443"}, **info}


async def send(central: Central, update: str, *entries: Payload) -> Any:
    """Send entries; none stands for a request without the member."""
    more = {"local_authorization_list": list(entries)} if entries else {}
    return await central.ask("SendLocalList", update_type=update, **more)


async def test_tc_d_01_csms_full(central: Central, station: Station201) -> None:
    assert await send(central, "Full", entry("ONE"), entry("TWO", "Blocked")) == ACCEPTED
    [request] = sent(station, "SendLocalList")
    assert (request["updateType"], request["versionNumber"]) == ("Full", 1)
    assert await held(central) == {"ONE": "Accepted", "TWO": "Blocked"}


async def test_tc_d_02_csms_differential_update(central: Central, station: Station201) -> None:
    await send(central, "Full", entry("ONE"))
    assert await send(central, "Differential", entry("ONE", "Blocked"), entry("TWO")) == ACCEPTED
    assert sent(station, "SendLocalList")[1]["versionNumber"] == 2
    assert await held(central) == {"ONE": "Blocked", "TWO": "Accepted"}


async def test_tc_d_03_csms_differential_remove(central: Central, station: Station201) -> None:
    await send(central, "Full", entry("ONE"), entry("TWO"))
    assert await send(central, "Differential", entry("ONE", None)) == ACCEPTED
    assert sent(station, "SendLocalList")[1]["localAuthorizationList"] == [
        {"idToken": {"idToken": "ONE", "type": "ISO14443"}}
    ]
    assert await held(central) == {"TWO": "Accepted"}


async def test_tc_d_04_csms_full_with_an_empty_list(central: Central, station: Station201) -> None:
    await send(central, "Full", entry("ONE"))
    assert await send(central, "Full") == ACCEPTED
    assert "localAuthorizationList" not in sent(station, "SendLocalList")[1]
    assert await held(central) == {}


async def test_tc_d_08_csms_list_version(central: Central, station: Station201) -> None:
    await send(central, "Full", entry("ONE"))
    assert await central.ask("GetLocalListVersion") == {"version_number": 1}
    assert (await central.get(f"locallist/{central.station}"))["reported_version"] == 1


async def test_tc_d_09_csms_list_version_no_list(central: Central, station: Station201) -> None:
    assert await central.ask("GetLocalListVersion") == {"version_number": 0}
    shown = await central.get(f"locallist/{central.station}")
    assert (shown["reported_version"], shown["entries_held"]) == (0, 0)
