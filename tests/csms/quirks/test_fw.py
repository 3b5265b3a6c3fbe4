"""Firmware and logs as real stations have them: the group FW of the habits that docs/quirks.md lists."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.models import FirmwareUpdate, LogUpload
from chargers.services import jobs
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.station import Payload
from tests.simulator.v16 import Station16

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
def file_server(settings: Settings) -> None:
    settings.FTP_URL = "ftp://csms.example/files"
    settings.HTTP_UPLOAD_URL = "http://csms.example/http/upload"
    settings.HTTP_FILES_URL = "http://csms.example/http/files"


@pytest.fixture
async def ready(station: Station16) -> Station16:
    """A station that the database knows as connected, and that takes every job."""
    station.answers["GetDiagnostics"] = {"fileName": "diagnostics.log"}
    station.answers["UpdateFirmware"] = {}
    await station.heartbeat()
    return station


async def says(station: Station16, *words: str) -> None:
    for word in words:
        assert await station.call("DiagnosticsStatusNotification", {"status": word}) == {}


async def upload(station: Station16, *words: str) -> str:
    """Ask for diagnostics, and let the station report on them; return the protocol it was offered."""
    await operator.perform("GetDiagnostics")
    await says(station, *words)
    location: str = station.calls[-1].payload["location"]
    return location.partition(":")[0]


def the_log() -> LogUpload:
    return LogUpload.objects.get()


def give_up_after(hours: float) -> int:
    return jobs.time_out(now=datetime.now(UTC) + timedelta(hours=hours), changes=Changes())


async def test_fw_01_a_word_that_comes_without_end_is_answered_and_kept_once(ready: Station16, query: Query) -> None:
    await upload(ready, *["Uploading"] * 20)
    job = await query(the_log)
    [told] = job.reports
    assert (job.status, told["status"]) == ("Uploading", "Uploading")
    assert told["at"] < told["received_at"]
    await says(ready, "Uploaded")
    assert [each["status"] for each in (await query(the_log)).reports] == ["Uploading", "Uploaded"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("Downloading", "Installing", "Installed"), "Installed"),
        (("Installed",), "Installed"),
        (("Downloaded", "Downloading", "Installing"), "Installing"),
        (("Installed", "Installing", "Downloaded"), "Installed"),
        (("InstallationFailed",), "InstallationFailed"),
    ],
)
async def test_fw_02_steps_may_be_left_out_and_come_in_any_order(
    ready: Station16, query: Query, words: tuple[str, ...], status: str
) -> None:
    await operator.perform("UpdateFirmware", {"retrieveDate": NOW.isoformat()})
    for word in words:
        assert await ready.call("FirmwareStatusNotification", {"status": word}) == {}
    job = await query(lambda: FirmwareUpdate.objects.get())
    assert (job.status, [each["status"] for each in job.reports]) == (status, list(words))


async def test_fw_03_a_job_of_which_nothing_is_heard_ends_at_a_limit_of_our_own(
    ready: Station16, query: Query, settings: Settings
) -> None:
    settings.OCPP_JOB_TIMEOUT = 3600
    await upload(ready, "UploadFailed")
    assert (await query(the_log)).status == "UploadFailure"
    await upload(ready)
    assert await query(lambda: give_up_after(0.9)) == 0
    assert await query(lambda: give_up_after(1.1)) == 1
    assert await query(lambda: LogUpload.objects.first().status) == "TimedOut"  # type: ignore[union-attr]
    await says(ready, "Uploaded")
    assert await query(lambda: LogUpload.objects.first().status) == "Uploaded"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("diagnostics-2024-02-07T16:51:50.808ZblrG7o", "diagnostics-2024-02-07T16_51_50.808ZblrG7o"),
        ("../../../etc/cron.d/x", "_.._.._etc_cron.d_x"),
        ("C:\\temp\\a.log", "C_temp_a.log"),
        ("..", "_"),
    ],
)
async def test_fw_04_a_file_name_is_kept_as_told_and_made_safe_for_a_path(
    ready: Station16, query: Query, name: str, path: str
) -> None:
    ready.answers["GetDiagnostics"] = {"fileName": name}
    await upload(ready, "Uploaded")
    job = await query(the_log)
    assert (job.status, job.file_name, job.file_path) == ("Uploaded", name, f"logs/CP1/{job.pk}/{path}")


@pytest.mark.parametrize("answer", [{"fileName": ""}, {"fileName": "  "}, {}, {"fileName": None}], ids=str)
async def test_fw_04_an_empty_file_name_means_nothing_to_upload_until_something_is(
    ready: Station16, query: Query, answer: Payload
) -> None:
    ready.answers["GetDiagnostics"] = answer
    await upload(ready)
    job = await query(the_log)
    assert (job.status, job.file_name, job.file_path) == ("NothingToUpload", "", f"logs/CP1/{job.pk}/")
    await says(ready, "Uploading")
    assert (await query(the_log)).status == "Uploading"


@pytest.mark.parametrize(
    ("protocols", "log", "image"), [("FTP", "ftp", "ftp"), ("HTTP,HTTPS", "http", "http"), ("", "ftp", "http")]
)
async def test_fw_05_a_station_is_offered_a_protocol_that_it_names(
    ready: Station16, query: Query, protocols: str, log: str, image: str
) -> None:
    key = {"key": "SupportedFileTransferProtocols", "readonly": True, "value": protocols}
    ready.answers["GetConfiguration"] = {"configurationKey": [key]}
    await operator.perform("GetConfiguration")
    assert await upload(ready) == log
    await operator.perform("UpdateFirmware", {"retrieveDate": NOW.isoformat()})
    assert ready.calls[-1].payload["location"].startswith(f"{image}://csms.example/")


async def test_fw_05_a_station_that_fails_by_one_protocol_is_offered_the_other(ready: Station16, query: Query) -> None:
    assert await upload(ready, "UploadFailed") == "ftp"
    assert await upload(ready, "Uploading", "UploadFailed") == "ftp"
    assert await upload(ready, "Uploaded") == "http"
    assert await upload(ready) == "http"


async def test_fw_05_a_station_that_is_silent_on_one_protocol_is_offered_the_other(
    ready: Station16, query: Query
) -> None:
    for _ in range(2):
        assert await upload(ready) == "ftp"
        assert await query(lambda: give_up_after(2)) == 1
    assert await upload(ready) == "http"


async def test_fw_05_what_an_operator_names_is_sent_as_it_is(ready: Station16, query: Query) -> None:
    for _ in range(2):
        await upload(ready, "UploadFailed")
    await operator.perform("GetDiagnostics", {"location": "ftp://elsewhere.example/x"})
    assert ready.calls[-1].payload == {"location": "ftp://elsewhere.example/x"}
