"""Block N: logs."""

from tests.conformance.central import Central
from tests.conformance.ocpp16.test_security import ACCEPTED
from tests.conformance.ocpp201.conftest import sent
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201

LOCATION = "https://files.example.org/logs"


async def ask(central: Central, station: Station201, log_type: str, answer: Payload = ACCEPTED) -> int:
    """Ask for a log; return the id of the request that the station got."""
    station.answers["GetLog"] = answer
    assert await central.ask("GetLog", log_type=log_type, log={"remote_location": LOCATION}) == answer
    request = sent(station, "GetLog")[-1]
    number = request["requestId"]
    assert request == {"logType": log_type, "requestId": number, "log": {"remoteLocation": LOCATION}}
    return int(number)


async def reports(station: Station201, number: int, *words: str) -> None:
    for word in words:
        assert await station.call("LogStatusNotification", {"requestId": number, "status": word}) == {}


async def uploads(central: Central) -> list[tuple[str, str]]:
    """Return type and status of the logs that were asked for, the first one first."""
    return [(row["log_type"], row["status"]) for row in reversed(await central.rows("logupload"))]


async def test_tc_n_25_csms_diagnostics_log(central: Central, station: Station201) -> None:
    await reports(station, await ask(central, station, "DiagnosticsLog"), "Uploading", "Uploaded")
    assert await uploads(central) == [("DiagnosticsLog", "Uploaded")]


async def test_tc_n_34_csms_log_rejected(central: Central, station: Station201) -> None:
    await ask(central, station, "DiagnosticsLog", {"status": "Rejected"})
    assert await uploads(central) == [("DiagnosticsLog", "Rejected")]


async def test_tc_n_35_csms_security_log(central: Central, station: Station201) -> None:
    await reports(station, await ask(central, station, "SecurityLog"), "Uploading", "Uploaded")
    assert await uploads(central) == [("SecurityLog", "Uploaded")]


async def test_tc_n_36_csms_second_log_request(central: Central, station: Station201) -> None:
    first = await ask(central, station, "DiagnosticsLog")
    await reports(station, first, "Uploading")
    second = await ask(central, station, "DiagnosticsLog", {"status": "AcceptedCanceled"})
    await reports(station, first, "AcceptedCanceled")
    await reports(station, second, "Uploading", "Uploaded")
    assert await uploads(central) == [("DiagnosticsLog", "AcceptedCanceled"), ("DiagnosticsLog", "Uploaded")]
