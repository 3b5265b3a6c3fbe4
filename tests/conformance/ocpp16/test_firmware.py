"""Firmware Management profile."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp16.conftest import cold_boot, sent
from tests.simulator.v16 import Station16

LOCATION = "https://files.example.org/firmware.bin"
UPLOAD = "ftp://someone:secret@files.example.org/logs"


async def update(central: Central, station: Station16) -> None:
    station.answers["UpdateFirmware"] = {}
    at = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = await central.ask("UpdateFirmware", location=LOCATION, retrieve_date=at, retries=1, retry_interval=1)
    assert told == {}
    request = {"location": LOCATION, "retries": 1, "retrieveDate": at, "retryInterval": 1}
    assert sent(station, "UpdateFirmware") == [request]


async def firmware(station: Station16, *statuses: str) -> None:
    for status in statuses:
        assert await station.call("FirmwareStatusNotification", {"status": status}) == {}


async def the_job(central: Central, resource: str) -> tuple[str, list[str]]:
    """Return where the only job stands and what was reported of it."""
    [job] = await central.rows(resource)
    return job["status"], [report["status"] for report in job["reports"]]


async def install(central: Central, station: Station16) -> None:
    await update(central, station)
    await firmware(station, "Downloading", "Downloaded")
    for number in station.connectors:
        await station.status(number, "Unavailable")
    await firmware(station, "Installing")
    await station.disconnect()
    await station.connect()
    assert (await cold_boot(station))["status"] == "Accepted"


STEPS = ["Downloading", "Downloaded", "Installing"]


async def test_tc_044_1_firmware_update_download_and_install(central: Central, station: Station16) -> None:
    await install(central, station)
    await firmware(station, "Installed")
    assert await the_job(central, "firmwareupdate") == ("Installed", [*STEPS, "Installed"])


async def test_tc_044_2_firmware_update_download_failed(central: Central, station: Station16) -> None:
    await update(central, station)
    await firmware(station, "Downloading", "DownloadFailed")
    assert await the_job(central, "firmwareupdate") == ("DownloadFailed", ["Downloading", "DownloadFailed"])


async def test_tc_044_3_firmware_update_installation_failed(central: Central, station: Station16) -> None:
    await install(central, station)
    await firmware(station, "InstallationFailed")
    assert await the_job(central, "firmwareupdate") == ("InstallationFailed", [*STEPS, "InstallationFailed"])


async def diagnostics(central: Central, station: Station16, *statuses: str) -> Any:
    station.answers["GetDiagnostics"] = {"fileName": "diagnostics.log"}
    told = await central.ask("GetDiagnostics", location=UPLOAD, retries=1, retry_interval=1)
    assert told == {"file_name": "diagnostics.log"}
    assert sent(station, "GetDiagnostics") == [{"location": UPLOAD, "retries": 1, "retryInterval": 1}]
    for status in statuses:
        assert await station.call("DiagnosticsStatusNotification", {"status": status}) == {}
    [job] = await central.rows("logupload")
    assert job["file_name"] == "diagnostics.log"
    assert "secret" not in str(job)
    return await the_job(central, "logupload")


async def test_tc_045_1_get_diagnostics(central: Central, station: Station16) -> None:
    assert await diagnostics(central, station, "Uploading", "Uploaded") == ("Uploaded", ["Uploading", "Uploaded"])


async def test_tc_045_2_get_diagnostics_upload_failed(central: Central, station: Station16) -> None:
    status, reports = await diagnostics(central, station, "Uploading", "UploadFailed")
    assert (status, reports) == ("UploadFailure", ["Uploading", "UploadFailure"])
