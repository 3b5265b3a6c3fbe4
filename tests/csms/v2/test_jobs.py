"""OCPP 2.x: firmware updates and log uploads over real sockets (blocks L and N)."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from chargers.models import FirmwarePublication, FirmwareUpdate, LogUpload, SecurityEvent
from tasks.schemas import InvalidBody
from tests.csms import operator
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201

RETRIEVE = "2026-03-01T12:00:00Z"
INSTALL = "2026-03-01T13:00:00Z"
CERTIFICATE = (Path(__file__).parents[2] / "data" / "signing-certificate.pem").read_text()
STEPS = ("DownloadScheduled", "Downloading", "Downloaded", "SignatureVerified", "InstallRebooting", "Installed")


@pytest.fixture(autouse=True)
def file_server(settings: Settings) -> None:
    settings.FTP_URL = "ftp://user:hunter2@csms.example:2121/files"
    settings.HTTP_FILES_URL = "http://user:hunter2@csms.example:8080/http/files"


@pytest.fixture
def ready(ready: Station201) -> Station201:
    ready.answers |= {"UpdateFirmware": {"status": "Accepted"}, "GetLog": {"status": "Accepted"}}
    return ready


def image(**members: Any) -> Payload:
    return {"firmware": {"retrieveDateTime": RETRIEVE, **members}}


async def firmware_is(station: Station201, word: str, request_id: int | None) -> None:
    named = {} if request_id is None else {"requestId": request_id}
    assert await station.call("FirmwareStatusNotification", {"status": word, **named}) == {}


async def test_a_firmware_that_nobody_signed_is_asked_for_and_installed(ready: Station201, query: Query) -> None:
    await operator.perform("UpdateFirmware", {"retries": 2, **image()})
    job = await query(FirmwareUpdate.objects.get)
    location = f"http://user:hunter2@csms.example:8080/http/files/firmware/{job.pk}/firmware.bin"
    assert (await ready.expect_call("UpdateFirmware")).payload == {
        "retries": 2,
        "requestId": job.pk,
        "firmware": {"location": location, "retrieveDateTime": RETRIEVE},
    }
    assert (job.status, job.signed, job.firmware_before) == ("Accepted", False, "1.0")
    for word in STEPS:
        await firmware_is(ready, word, job.pk)
        assert (await query(FirmwareUpdate.objects.get)).status == word


async def test_a_signed_firmware_is_asked_for_with_its_signature(ready: Station201, query: Query) -> None:
    signing = {"signingCertificate": CERTIFICATE, "signature": "c2lnbmVk"}
    await operator.perform("UpdateFirmware", image(installDateTime=INSTALL, **signing))
    job = await query(FirmwareUpdate.objects.get)
    sent = (await ready.expect_call("UpdateFirmware")).payload["firmware"]
    assert {name: sent[name] for name in signing} == signing
    assert sent["installDateTime"] == INSTALL
    assert (job.signed, job.signature, job.signing_certificate) == (True, "c2lnbmVk", CERTIFICATE)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"signature": "c2lnbmVk"}, "firmware.signing_certificate"),
        ({"signingCertificate": CERTIFICATE}, "firmware.signature"),
        ({"signingCertificate": "none", "signature": "c2lnbmVk"}, "firmware.signing_certificate"),
        ({"installDateTime": "2026-03-01T11:00:00Z"}, "firmware.install_date_time"),
        ({"location": "gopher://host/x"}, "firmware.location"),
    ],
)
async def test_a_firmware_that_no_station_could_install_is_not_asked_for(
    ready: Station201, members: Payload, field: str
) -> None:
    with pytest.raises(InvalidBody) as refused:
        await operator.perform("UpdateFirmware", image(**members))
    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize("status", ["Rejected", "InvalidCertificate", "RevokedCertificate"])
async def test_an_update_may_be_turned_down(ready: Station201, status: str, query: Query) -> None:
    ready.answers["UpdateFirmware"] = {"status": status}
    await operator.perform("UpdateFirmware", image())
    assert (await query(FirmwareUpdate.objects.get)).status == status


@pytest.mark.parametrize(("action", "model"), [("UpdateFirmware", FirmwareUpdate), ("GetLog", LogUpload)])
async def test_a_job_that_is_given_up_for_another_is_cancelled(
    ready: Station201, action: str, model: Any, query: Query
) -> None:
    asked = image() if action == "UpdateFirmware" else {"logType": "SecurityLog"}
    await operator.perform(action, asked)
    ready.answers[action] = {"status": "AcceptedCanceled"}
    await operator.perform(action, asked)
    statuses = await query(lambda: list(model.objects.order_by("pk").values_list("status", flat=True)))
    assert statuses == ["AcceptedCanceled", "Accepted"]


async def test_a_report_counts_for_the_update_that_it_names(ready: Station201, query: Query) -> None:
    for _ in range(2):
        await operator.perform("UpdateFirmware", image())
    first = await query(lambda: FirmwareUpdate.objects.earliest("pk"))
    await firmware_is(ready, "InstallationFailed", first.pk)
    await firmware_is(ready, "Idle", None)
    statuses = await query(lambda: list(FirmwareUpdate.objects.order_by("pk").values_list("status", flat=True)))
    assert statuses == ["InstallationFailed", "Accepted"]


async def test_an_update_that_nobody_asked_for_is_kept_and_is_not_taken_for_signed(
    ready: Station201, query: Query
) -> None:
    await firmware_is(ready, "Installed", 77)
    job = await query(FirmwareUpdate.objects.get)
    assert (job.request_id, job.status, job.signed, job.command_id) == (77, "Installed", False, None)


@pytest.mark.parametrize("log_type", ["DiagnosticsLog", "SecurityLog"])
async def test_a_log_is_asked_for_and_uploaded(ready: Station201, log_type: str, query: Query) -> None:
    ready.answers["GetLog"] = {"status": "Accepted", "filename": "a.log"}
    await operator.perform("GetLog", {"logType": log_type, "log": {"oldestTimestamp": RETRIEVE}})
    job = await query(LogUpload.objects.get)
    assert (await ready.expect_call("GetLog")).payload == {
        "log": {
            "remoteLocation": f"ftp://user:hunter2@csms.example:2121/files/logs/CP1/{job.pk}/",
            "oldestTimestamp": RETRIEVE,
        },
        "logType": log_type,
        "requestId": job.pk,
    }
    assert (job.status, job.log_type, job.file_name) == ("Accepted", log_type, "a.log")
    for word in ("Uploading", "UploadFailure", "Uploaded"):
        assert await ready.call("LogStatusNotification", {"status": word, "requestId": job.pk}) == {}
        assert (await query(LogUpload.objects.get)).status == word


async def test_a_log_may_be_given_up_by_the_station(ready: Station201, query: Query) -> None:
    await operator.perform("GetLog", {"logType": "DiagnosticsLog"})
    job = await query(LogUpload.objects.get)
    await ready.call("LogStatusNotification", {"status": "AcceptedCanceled", "requestId": job.pk})
    assert (await query(LogUpload.objects.get)).status == "AcceptedCanceled"


async def test_a_station_that_works_by_itself_comes_to_the_end_of_every_job(url: str, query: Query) -> None:
    async with Station201(url, "CP1", autonomous=True) as station:
        await station.boot()
        await operator.perform("UpdateFirmware", image())
        await operator.perform("GetLog", {"logType": "SecurityLog"})
        checksum = "d41d8cd98f00b204e9800998ecf8427e"
        await operator.perform("PublishFirmware", {"location": "https://maker.example/2.bin", "checksum": checksum})
        await until(lambda: FirmwareUpdate.objects.get().status == "Installed")
        await until(lambda: LogUpload.objects.get().status == "Uploaded")
        await until(lambda: FirmwarePublication.objects.get().status == "Published")
        await until(lambda: SecurityEvent.objects.filter(type="FirmwareUpdated").exists())


async def test_a_silent_station_leaves_a_failed_job(ready: Station201, settings: Settings, query: Query) -> None:
    settings.OCPP_TIMEOUT = 0.3
    ready.answers |= {"GetLog": None, "UpdateFirmware": None}
    await operator.perform("GetLog", {"logType": "DiagnosticsLog"})
    await operator.perform("UpdateFirmware", image())
    assert (await query(LogUpload.objects.get)).status == "Failed"
    assert (await query(FirmwareUpdate.objects.get)).status == "Failed"
