"""Firmware updates and log uploads of a simulated station (OCPP 1.6 sections 5.9, 5.19; whitepaper L01, N01)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.simulator.authority import Authority, name_of, pem
from tests.simulator.fake_csms import Csms
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16, timestamp

LOCATION = "ftp://files.example/firmware.bin"
FIRMWARE, SIGNED = "FirmwareStatusNotification", "SignedFirmwareStatusNotification"
DIAGNOSTICS, LOG = "DiagnosticsStatusNotification", "LogStatusNotification"


def soon(seconds: float = 0) -> str:
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


async def told(csms: Csms, action: str, count: int) -> list[Payload]:
    return [await csms.until_call(action) for _ in range(count)]


async def statuses(csms: Csms, action: str, count: int) -> list[str]:
    return [each["status"] for each in await told(csms, action, count)]


@pytest.fixture
async def slow(living: Station16) -> Station16:
    """A station whose updates and uploads last until the test ends."""
    living.transfer_time = 1000
    return living


@pytest.fixture
async def maker(csms: Csms, living: Station16) -> Authority:
    """The manufacturer, whose root the station knows."""
    root = Authority("Manufacturer")
    request = {"certificateType": "ManufacturerRootCertificate", "certificate": root.pem}
    assert await csms.ask("InstallCertificate", request) == {"status": "Accepted"}
    return root


def signed_update(signer: Authority, number: int = 5, **times: str) -> Payload:
    certificate = signer.certify(name_of("Signer"), signer.key.public_key())
    return {
        "requestId": number,
        "firmware": {
            "location": LOCATION,
            "retrieveDateTime": soon(-1),
            "signingCertificate": pem(certificate),
            "signature": "c2lnbmF0dXJl",
            **times,
        },
    }


# Without signature


async def test_a_firmware_update_is_told_step_by_step(csms: Csms, living: Station16) -> None:
    assert await csms.ask("UpdateFirmware", {"location": LOCATION, "retrieveDate": soon(0.05)}) == {}
    assert await statuses(csms, FIRMWARE, 4) == ["Downloading", "Downloaded", "Installing", "Installed"]


async def test_an_update_may_be_made_to_fail(csms: Csms, living: Station16) -> None:
    living.firmware_statuses = ("Downloading", "DownloadFailed")
    await csms.ask("UpdateFirmware", {"location": LOCATION, "retrieveDate": soon()})
    assert await statuses(csms, FIRMWARE, 2) == ["Downloading", "DownloadFailed"]


async def test_installing_waits_for_the_sessions_and_lets_nobody_begin_another(csms: Csms, living: Station16) -> None:
    living.begin_session(living.connectors[1], "TAG", authorize=False)
    await csms.until_call("StatusNotification", status="Charging")
    await csms.ask("UpdateFirmware", {"location": LOCATION, "retrieveDate": soon()})
    assert await statuses(csms, FIRMWARE, 2) == ["Downloading", "Downloaded"]
    assert (await csms.until_call("StatusNotification", connectorId=2))["status"] == "Unavailable"
    assert await csms.ask("RemoteStartTransaction", {"idTag": "TAG"}) == {"status": "Rejected"}
    living.end_session(living.connectors[1], "Local")
    await csms.until_call("StopTransaction")
    assert await statuses(csms, FIRMWARE, 2) == ["Installing", "Installed"]
    for connector in (1, 2):
        assert (await csms.until_call("StatusNotification", connectorId=connector))["status"] == "Available"


async def test_diagnostics_are_named_and_uploaded(csms: Csms, living: Station16) -> None:
    answer = await csms.ask("GetDiagnostics", {"location": "ftp://files.example/"})
    assert answer == {"fileName": "CP-diagnostics.log"}
    assert await statuses(csms, DIAGNOSTICS, 2) == ["Uploading", "Uploaded"]


async def test_a_station_without_the_profile_supports_neither(csms: Csms, station: Station16) -> None:
    station.configuration["SupportedFeatureProfiles"].value = "Core"
    update = {"location": LOCATION, "retrieveDate": soon()}
    assert (await csms.call("UpdateFirmware", update))[2] == "NotSupported"
    assert (await csms.call("GetDiagnostics", {"location": LOCATION}))[2] == "NotSupported"


# With signature, and logs


async def test_a_secure_update_is_told_with_its_id(csms: Csms, living: Station16, maker: Authority) -> None:
    assert await csms.ask("SignedUpdateFirmware", signed_update(maker)) == {"status": "Accepted"}
    assert await told(csms, SIGNED, 5) == [
        {"status": status, "requestId": 5}
        for status in ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed")
    ]
    assert (await csms.until_call("SecurityEventNotification"))["type"] == "FirmwareUpdated"


async def test_a_secure_update_for_later_is_scheduled(csms: Csms, living: Station16, maker: Authority) -> None:
    later = signed_update(maker, retrieveDateTime=soon(0.5), installDateTime=soon(1))
    await csms.ask("SignedUpdateFirmware", later)
    assert await statuses(csms, SIGNED, 7) == [
        "DownloadScheduled",
        "Downloading",
        "Downloaded",
        "SignatureVerified",
        "InstallScheduled",
        "Installing",
        "Installed",
    ]


async def test_a_wrong_signature_is_a_security_event(csms: Csms, living: Station16, maker: Authority) -> None:
    living.signed_firmware_statuses = ("Downloading", "Downloaded", "InvalidSignature")
    await csms.ask("SignedUpdateFirmware", signed_update(maker))
    assert await statuses(csms, SIGNED, 3) == ["Downloading", "Downloaded", "InvalidSignature"]
    assert (await csms.until_call("SecurityEventNotification"))["type"] == "InvalidFirmwareSignature"


async def test_a_strangers_signature_is_refused(csms: Csms, living: Station16, maker: Authority) -> None:
    broken = signed_update(maker)
    broken["firmware"]["signingCertificate"] = "nonsense"
    for update in (signed_update(Authority("Manufacturer")), broken):
        assert await csms.ask("SignedUpdateFirmware", update) == {"status": "InvalidCertificate"}
        assert (await csms.until_call("SecurityEventNotification"))["type"] == "InvalidFirmwareSigningCertificate"


async def test_a_new_update_cancels_the_one_that_goes_on(csms: Csms, slow: Station16, maker: Authority) -> None:
    await csms.ask("SignedUpdateFirmware", signed_update(maker, 5))
    await csms.until_call(SIGNED)
    slow.transfer_time = 0
    assert await csms.ask("SignedUpdateFirmware", signed_update(maker, 6)) == {"status": "AcceptedCanceled"}
    assert [each["requestId"] for each in await told(csms, SIGNED, 5)] == [6] * 5


@pytest.mark.parametrize("kind", ["DiagnosticsLog", "SecurityLog"])
async def test_a_log_is_named_and_uploaded_under_its_id(csms: Csms, living: Station16, kind: str) -> None:
    request = {"logType": kind, "requestId": 9, "log": {"remoteLocation": "https://files.example/"}}
    assert await csms.ask("GetLog", request) == {"status": "Accepted", "filename": f"CP-{kind}.log"}
    assert await told(csms, LOG, 2) == [{"status": status, "requestId": 9} for status in ("Uploading", "Uploaded")]


async def test_a_new_log_cancels_the_upload_that_goes_on(csms: Csms, slow: Station16) -> None:
    request: dict[str, Any] = {"logType": "SecurityLog", "requestId": 9, "log": {"remoteLocation": "x"}}
    await csms.ask("GetLog", request)
    await csms.until_call(LOG)
    answer = await csms.ask("GetLog", {**request, "requestId": 10})
    assert answer["status"] == "AcceptedCanceled"
    assert (await csms.until_call(LOG))["requestId"] == 10


# What a trigger tells of them


async def trigger(csms: Csms, message: str, extended: bool = False) -> Payload:
    action = "ExtendedTriggerMessage" if extended else "TriggerMessage"
    assert await csms.ask(action, {"requestedMessage": message}) == {"status": "Accepted"}
    wanted = SIGNED if extended and message == FIRMWARE else message
    return await csms.until_call(wanted)


async def test_a_trigger_tells_what_goes_on_or_idle(csms: Csms, slow: Station16, maker: Authority) -> None:
    for message, extended in ((FIRMWARE, False), (DIAGNOSTICS, False), (FIRMWARE, True), (LOG, True)):
        assert await trigger(csms, message, extended) == {"status": "Idle"}
    await slow.firmware_status("Downloading")
    await slow.diagnostics_status("Uploading")
    await slow.signed_firmware_status("InstallScheduled", 5)
    await slow.log_status("Uploading", 9)
    csms.received.clear()
    assert await trigger(csms, FIRMWARE) == {"status": "Downloading"}
    assert await trigger(csms, DIAGNOSTICS) == {"status": "Uploading"}
    assert await trigger(csms, FIRMWARE, extended=True) == {"status": "InstallScheduled", "requestId": 5}
    assert await trigger(csms, LOG, extended=True) == {"status": "Uploading", "requestId": 9}


async def test_a_secure_update_that_failed_is_told_until_one_succeeds(csms: Csms, living: Station16) -> None:
    await living.signed_firmware_status("DownloadFailed", 5)
    await csms.until_call(SIGNED)
    assert await trigger(csms, FIRMWARE, extended=True) == {"status": "DownloadFailed", "requestId": 5}
    await living.signed_firmware_status("Installed", 6)
    await csms.until_call(SIGNED)
    assert await trigger(csms, FIRMWARE, extended=True) == {"status": "Idle"}
