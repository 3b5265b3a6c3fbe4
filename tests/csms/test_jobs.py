"""Firmware updates and log uploads over real sockets: asked for, answered, and reported on."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.choices import RegistrationStatus
from chargers.models import ChargePoint, FirmwareUpdate, LogUpload
from csms.server import OcppServer
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import CallError, Payload
from tests.simulator.v16 import Station16

SECRET = "hunter2-7f3a"
RETRIEVE = "2026-03-01T12:00:00Z"
CERTIFICATE = (Path(__file__).parents[1] / "data" / "signing-certificate.pem").read_text()


@pytest.fixture(autouse=True)
def file_server(settings: Settings) -> None:
    settings.FTP_URL = f"ftp://user:{SECRET}@csms.example:2121/files"
    settings.HTTP_UPLOAD_URL = f"http://user:{SECRET}@csms.example:8080/http/upload"
    settings.HTTP_FILES_URL = f"http://user:{SECRET}@csms.example:8080/http/files"


@pytest.fixture
async def ready(station: Station16) -> Station16:
    """A station that the database knows as connected."""
    await station.boot()
    return station


def the_log() -> LogUpload:
    return LogUpload.objects.get()


def the_update() -> FirmwareUpdate:
    return FirmwareUpdate.objects.get()


def signed(**members: Any) -> Payload:
    image = {"retrieveDateTime": RETRIEVE, "signingCertificate": CERTIFICATE, "signature": "c2lnbmVk"}
    return {"firmware": {**image, **members}}


# Logs


async def test_diagnostics_are_asked_for_and_uploaded(ready: Station16, query: Query) -> None:
    ready.answers["GetDiagnostics"] = {"fileName": "diag:1"}
    command = await operator.perform(
        "GetDiagnostics", {"retries": 2, "retryInterval": 60, "startTime": RETRIEVE, "stopTime": RETRIEVE}
    )
    job = await query(the_log)
    url = f"ftp://user:{SECRET}@csms.example:2121/files/logs/CP1/{job.pk}/"
    assert ready.calls[-1].payload == {
        "location": url,
        "retries": 2,
        "retryInterval": 60,
        "startTime": RETRIEVE,
        "stopTime": RETRIEVE,
    }
    assert (job.status, job.log_type, job.file_name, job.command_id) == (
        "Accepted",
        "Diagnostics",
        "diag:1",
        command.pk,
    )
    assert job.file_path == f"logs/CP1/{job.pk}/diag_1"
    assert job.oldest == job.latest is not None

    for word, status in (("Uploading", "Uploading"), ("UploadFailed", "UploadFailure"), ("Uploaded", "Uploaded")):
        assert await ready.call("DiagnosticsStatusNotification", {"status": word}) == {}
        assert (await query(the_log)).status == status


async def test_a_location_that_is_given_is_sent_as_it_is_and_kept_without_its_password(
    url: str, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "csms")
    async with Station16(url, "CP1") as station:
        await station.boot()
        station.answers["GetDiagnostics"] = {"fileName": "a.zip"}
        command = await operator.perform("GetDiagnostics", {"location": f"sftp://me:{SECRET}@host:22/x"})
        assert station.calls[-1].payload == {"location": f"sftp://me:{SECRET}@host:22/x"}
    job = await query(the_log)
    assert (job.location, job.path) == ("sftp://me:********@host:22/x", "")
    assert command.payload == {"location": "sftp://me:********@host:22/x"}
    assert "sftp://me:********@host:22/x" in caplog.text
    assert SECRET not in caplog.text


async def test_without_a_file_name_there_are_no_diagnostics_to_upload(ready: Station16, query: Query) -> None:
    ready.answers["GetDiagnostics"] = {}
    await operator.perform("GetDiagnostics")
    assert (await query(the_log)).status == "NothingToUpload"


async def test_a_log_is_asked_for_by_its_type_alone(ready: Station16, query: Query) -> None:
    ready.answers["GetLog"] = {"status": "Accepted", "filename": "security.log"}
    await operator.perform("GetLog", {"logType": "SecurityLog"})
    job = await query(the_log)
    assert ready.calls[-1].payload == {
        "logType": "SecurityLog",
        "requestId": job.pk,
        "log": {"remoteLocation": f"ftp://user:{SECRET}@csms.example:2121/files/logs/CP1/{job.pk}/"},
    }
    assert (job.status, job.log_type, job.file_name, job.request_id) == (
        "Accepted",
        "SecurityLog",
        "security.log",
        job.pk,
    )
    report = {"status": "Uploaded", "requestId": job.pk}
    assert await ready.call("LogStatusNotification", report) == {}
    assert (await query(the_log)).status == "Uploaded"


async def test_a_log_may_be_asked_for_in_full(ready: Station16, query: Query) -> None:
    ready.answers["GetLog"] = {"status": "Accepted"}
    log = {"remoteLocation": "https://host/x", "oldestTimestamp": RETRIEVE, "latestTimestamp": RETRIEVE}
    asked = {"logType": "DiagnosticsLog", "requestId": 4711, "retries": 0, "retryInterval": 10, "log": log}
    await operator.perform("GetLog", asked)
    assert ready.calls[-1].payload == asked
    job = await query(the_log)
    assert (job.status, job.request_id, job.retries, job.retry_interval) == ("Accepted", 4711, 0, 10)


async def test_a_log_that_is_refused_is_not_waited_for(ready: Station16, query: Query) -> None:
    ready.answers["GetLog"] = {"status": "Rejected"}
    await operator.perform("GetLog", {"logType": "SecurityLog"})
    assert (await query(the_log)).status == "Rejected"


async def test_a_log_that_is_given_up_for_another_is_cancelled(ready: Station16, query: Query) -> None:
    for status in ("Accepted", "AcceptedCanceled"):
        ready.answers["GetLog"] = {"status": status}
        await operator.perform("GetLog", {"logType": "SecurityLog"})
    statuses = await query(lambda: list(LogUpload.objects.values_list("status", flat=True)))
    assert statuses == ["Accepted", "AcceptedCanceled"]


# Firmware


async def test_a_firmware_is_asked_for_and_installed(ready: Station16, url: str, query: Query) -> None:
    await query(lambda: ChargePoint.objects.update(firmware_version="1.0"))
    ready.answers["UpdateFirmware"] = {}
    await operator.perform("UpdateFirmware", {"retrieveDate": RETRIEVE})
    job = await query(the_update)
    location = f"http://user:{SECRET}@csms.example:8080/http/files/firmware/{job.pk}/firmware.bin"
    assert ready.calls[-1].payload == {"location": location, "retrieveDate": RETRIEVE}
    assert (job.status, job.signed, job.firmware_before) == ("Accepted", False, "1.0")
    for word in ("Downloading", "Downloaded", "Installing", "Installed"):
        assert await ready.call("FirmwareStatusNotification", {"status": word}) == {}
        assert (await query(the_update)).status == word
    await ready.disconnect()
    async with Station16(url, "CP1", boot={"firmwareVersion": "2.0"}) as rebooted:
        await rebooted.boot()
        await rebooted.call("FirmwareStatusNotification", {"status": "Installed"})
    job = await query(the_update)
    assert (job.status, job.firmware_before, job.firmware_after) == ("Installed", "1.0", "2.0")


async def test_a_firmware_is_found_by_its_path_on_the_file_server(ready: Station16, query: Query) -> None:
    ready.answers["UpdateFirmware"] = {}
    await operator.perform("UpdateFirmware", {"location": "acme/2.0 b.bin", "retrieveDate": RETRIEVE})
    assert ready.calls[-1].payload["location"] == f"http://user:{SECRET}@csms.example:8080/http/files/acme/2.0%20b.bin"
    assert (await query(the_update)).path == "acme/2.0 b.bin"


async def test_a_signed_firmware_is_asked_for_and_installed(ready: Station16, query: Query) -> None:
    ready.answers["SignedUpdateFirmware"] = {"status": "Accepted"}
    asked = signed(installDateTime="2026-03-01T13:00:00Z")
    await operator.perform("SignedUpdateFirmware", asked)
    job = await query(the_update)
    location = f"http://user:{SECRET}@csms.example:8080/http/files/firmware/{job.pk}/firmware.bin"
    assert ready.calls[-1].payload == {"requestId": job.pk, "firmware": {"location": location, **asked["firmware"]}}
    assert (job.status, job.signed, job.signature) == ("Accepted", True, "c2lnbmVk")
    assert job.signing_certificate == CERTIFICATE
    for word in ("DownloadScheduled", "SignatureVerified", "InstallScheduled", "InstallRebooting", "Installed"):
        report = {"status": word, "requestId": job.pk}
        assert await ready.call("SignedFirmwareStatusNotification", report) == {}
        assert (await query(the_update)).status == word
    assert SECRET not in job.location


@pytest.mark.parametrize("status", ["Rejected", "InvalidCertificate", "RevokedCertificate"])
async def test_a_signed_firmware_may_be_turned_down(ready: Station16, query: Query, status: str) -> None:
    ready.answers["SignedUpdateFirmware"] = {"status": status}
    await operator.perform("SignedUpdateFirmware", signed())
    assert (await query(the_update)).status == status


async def test_an_update_that_is_given_up_for_another_is_cancelled(ready: Station16, query: Query) -> None:
    for status in ("Accepted", "AcceptedCanceled"):
        ready.answers["SignedUpdateFirmware"] = {"status": status}
        await operator.perform("SignedUpdateFirmware", signed())
    statuses = await query(lambda: list(FirmwareUpdate.objects.values_list("status", flat=True)))
    assert statuses == ["Accepted", "AcceptedCanceled"]


async def test_a_station_that_works_by_itself_comes_to_the_end_of_every_job(url: str, query: Query) -> None:
    async with Station16(url, "CP1", autonomous=True) as station:
        await station.boot()
        await operator.perform("GetDiagnostics")
        await operator.perform("UpdateFirmware", {"retrieveDate": RETRIEVE})
        await operator.perform("GetLog", {"logType": "SecurityLog"})
        await until(lambda: set(LogUpload.objects.values_list("status", flat=True)) == {"Uploaded"})
        await until(lambda: the_update().status == "Installed")
    update = await query(the_update)
    assert [each["status"] for each in update.reports] == ["Downloading", "Downloaded", "Installing", "Installed"]
    names = await query(lambda: list(LogUpload.objects.values_list("log_type", "file_name")))
    assert names == [("SecurityLog", "CP1-SecurityLog.log"), ("Diagnostics", "CP1-diagnostics.log")]


# Commands without an answer


async def test_a_report_before_the_answer_is_not_undone_by_it(ready: Station16, query: Query) -> None:
    reported = asyncio.Event()

    async def answer_later(payload: Payload) -> Payload:
        await reported.wait()
        return {"fileName": "late.zip"}

    ready.answers["GetDiagnostics"] = answer_later
    command_id = await operator.ask("GetDiagnostics")
    await ready.expect_call("GetDiagnostics")
    await ready.call("DiagnosticsStatusNotification", {"status": "Uploading"})
    assert (await query(the_log)).status == "Uploading"
    reported.set()
    assert (await operator.end_of(command_id)).status == "answered"
    job = await query(the_log)
    assert (job.status, job.file_name) == ("Uploading", "late.zip")


@pytest.mark.parametrize("action", ["GetDiagnostics", "GetLog"])
async def test_a_job_whose_command_is_answered_with_an_error_has_failed(
    ready: Station16, query: Query, action: str
) -> None:
    said = f"cannot read ftp://user:{SECRET}@csms.example"
    ready.answers[action] = CallError("NotSupported", said, {"location": f"ftp://user:{SECRET}@csms.example"})
    command = await operator.perform(action, {"logType": "SecurityLog"} if action == "GetLog" else {})
    assert command.status == "error"
    assert (await query(the_log)).status == "Failed"
    assert SECRET not in repr((command.payload, command.error))
    limitation = await query(lambda: ChargePoint.objects.get().limitations.get())
    assert (limitation.subject, SECRET in limitation.reason) == (action, False)


async def test_a_job_whose_command_is_not_answered_has_failed_until_the_station_reports(
    ready: Station16, query: Query, settings: Settings
) -> None:
    settings.OCPP_TIMEOUT = 0.2
    ready.answers["UpdateFirmware"] = None
    command = await operator.perform("UpdateFirmware", {"retrieveDate": RETRIEVE})
    assert command.status == "timeout"
    assert SECRET not in repr(command.payload)
    assert (await query(the_update)).status == "Failed"
    await ready.call("FirmwareStatusNotification", {"status": "Downloading"})
    assert (await query(the_update)).status == "Downloading"


async def test_an_answer_that_comes_late_brings_the_job_back(
    ready: Station16, query: Query, settings: Settings
) -> None:
    settings.OCPP_TIMEOUT = 0.2
    ready.answers["UpdateFirmware"] = None
    await operator.perform("UpdateFirmware", {"retrieveDate": RETRIEVE})
    assert (await query(the_update)).status == "Failed"
    await ready.send_raw(f'[3,"{ready.calls[-1].message_id}",{{}}]')
    await until(lambda: the_update().status == "Accepted")


async def test_a_job_that_never_reached_the_station_has_failed(ready: Station16, query: Query) -> None:
    command_id = await query(lambda: operator.create("GetDiagnostics"))
    await ready.disconnect()
    await until(lambda: not ChargePoint.objects.filter(node__isnull=False).exists())
    await query(lambda: operator.relay(command_id))
    assert (await operator.row_of(command_id)).status == "offline"
    assert (await query(the_log)).status == "Failed"


# What stations report by themselves


async def test_a_report_that_names_no_request_is_noted_unless_it_was_asked_for(ready: Station16, query: Query) -> None:
    def noted() -> dict[str, str]:
        return dict(ChargePoint.objects.get().deviations.values_list("kind", "example"))

    ready.answers["ExtendedTriggerMessage"] = {"status": "Accepted"}
    await operator.perform("ExtendedTriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
    await ready.call("SignedFirmwareStatusNotification", {"status": "InstallationFailed"})
    await ready.call("LogStatusNotification", {"status": "Idle"})
    await ready.call("LogStatusNotification", {"status": "Uploading", "requestId": 7})
    assert await query(noted) == {}
    await ready.call("LogStatusNotification", {"status": "Uploaded"})
    assert await query(noted) == {"request-id-missing": "Uploaded: None"}
    assert (await query(the_log)).status == "Uploaded"


async def test_a_request_id_that_no_database_holds_is_none(ready: Station16, query: Query) -> None:
    for number in (2**70, 1.5):
        await ready.call("SignedFirmwareStatusNotification", {"status": "Downloading", "requestId": number})
    job = await query(the_update)
    assert (job.status, job.request_id, job.signed) == ("Downloading", None, True)


async def test_a_word_that_is_none_of_ocpps_is_kept(ready: Station16, query: Query) -> None:
    await ready.call("DiagnosticsStatusNotification", {"status": "Compressing" + "x" * 100})
    job = await query(the_log)
    assert (job.status, job.last_word) == ("Unknown", ("Compressing" + "x" * 100)[:50])


async def test_while_pending_a_report_is_served_when_it_was_asked_for(
    server: OcppServer, url: str, query: Query
) -> None:
    await query(
        lambda: ChargePoint.objects.create(chargepoint_id="CP1", registration_status=RegistrationStatus.PENDING)
    )
    async with Station16(url, "CP1") as station:
        assert (await station.boot())["status"] == "Pending"
        report = {"status": "Installed"}
        with pytest.raises(CallError, match="SecurityError"):
            await station.call("FirmwareStatusNotification", report)
        station.answers["TriggerMessage"] = {"status": "Accepted"}
        await operator.perform("TriggerMessage", {"requestedMessage": "FirmwareStatusNotification"})
        assert await station.call("FirmwareStatusNotification", report) == {}
    assert (await query(the_update)).status == "Installed"


async def test_what_makes_no_sense_is_never_sent(ready: Station16, query: Query) -> None:
    with pytest.raises(InvalidBody):
        await operator.ask("GetDiagnostics", {"location": "C:\\logs"})
    assert not ready.calls
    assert not await query(LogUpload.objects.exists)
