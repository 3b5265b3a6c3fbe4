"""Firmware updates and log uploads of a simulated station (OCPP 1.6 sections 5.9, 5.19; whitepaper L01, N01)."""

import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.simulator.authority import Authority, name_of, pem
from tests.simulator.fake_csms import Csms
from tests.simulator.station import Payload
from tests.simulator.transfer import NotAllowed, NotSupported, Transfer, TransferFailed
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


# Files that really go over a wire


@dataclass(frozen=True)
class Wire(Transfer):
    """A wire that breaks some times, or for ever."""

    breaks: int = 0
    error: TransferFailed = field(default_factory=lambda: TransferFailed("cut"))
    attempts: list[str] = field(default_factory=list)

    def try_once(self, location: str) -> None:
        self.attempts.append(location)
        if len(self.attempts) <= self.breaks:
            raise self.error

    async def upload(self, location: str, name: str, content: bytes) -> None:
        self.try_once(location)

    async def download(self, location: str) -> bytes:
        self.try_once(location)
        return b"image"


SECRET = "ftp://user:hunter2@files.example/"


async def test_a_log_that_is_uploaded_tells_what_happened_and_no_password(csms: Csms, living: Station16) -> None:
    living.transfer = Wire()
    await csms.ask("GetDiagnostics", {"location": SECRET})
    assert await statuses(csms, DIAGNOSTICS, 2) == ["Uploading", "Uploaded"]
    assert living.transfer.attempts == [SECRET]
    content = living.uploaded["CP-diagnostics.log"].decode()
    assert '"location": "ftp://files.example/"' in content
    assert "hunter2" not in content


async def test_a_transfer_is_tried_as_often_as_the_command_says(csms: Csms, living: Station16) -> None:
    living.transfer = Wire(breaks=2)
    await csms.ask("UpdateFirmware", {"location": SECRET, "retrieveDate": soon(), "retries": 2, "retryInterval": 0})
    assert await statuses(csms, FIRMWARE, 2) == ["Downloading", "Downloaded"]
    assert (len(living.transfer.attempts), living.firmware) == (3, b"image")


async def test_a_transfer_that_fails_is_told_and_nothing_follows(
    csms: Csms, living: Station16, maker: Authority
) -> None:
    living.transfer = Wire(breaks=9)
    await csms.ask("GetDiagnostics", {"location": SECRET, "retries": 1})
    assert await statuses(csms, DIAGNOSTICS, 2) == ["Uploading", "UploadFailed"]
    await csms.ask("UpdateFirmware", {"location": SECRET, "retrieveDate": soon()})
    assert await statuses(csms, FIRMWARE, 2) == ["Downloading", "DownloadFailed"]
    await csms.ask("SignedUpdateFirmware", signed_update(maker, installDateTime=soon(100)))
    assert await statuses(csms, SIGNED, 2) == ["Downloading", "DownloadFailed"]
    assert (len(living.transfer.attempts), living.firmware, living.uploaded) == (4, None, {})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TransferFailed("cut"), "UploadFailure"),
        (NotAllowed("530"), "PermissionDenied"),
        (NotSupported("sftp"), "NotSupportedOperation"),
    ],
)
async def test_a_log_says_why_it_does_not_come(
    csms: Csms, living: Station16, error: TransferFailed, status: str
) -> None:
    living.transfer = Wire(breaks=1, error=error)
    await csms.ask("GetLog", {"logType": "SecurityLog", "requestId": 9, "log": {"remoteLocation": SECRET}})
    assert await statuses(csms, LOG, 2) == ["Uploading", status]


async def test_a_protocol_that_the_station_does_not_know_is_refused() -> None:
    with pytest.raises(NotSupported, match="sftp"):
        await Transfer().upload("sftp://files.example/", "a.log", b"")


async def test_a_server_that_is_away_is_a_failed_transfer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for scheme in ("ftp", "ftps", "http", "https"):
        with pytest.raises(TransferFailed, match=f"^{scheme}: "):
            await Transfer().download(f"{scheme}://user:hunter2@127.0.0.1:{port}/x")


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
