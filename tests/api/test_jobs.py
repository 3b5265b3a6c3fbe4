"""Firmware updates and log uploads over REST: asked for by a command, and found again."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from chargers.models import FirmwareUpdate, LogUpload
from tasks.models import Command
from tasks.tasks import relay_command
from tests.api import rows

pytestmark = pytest.mark.django_db

SECRET = "hunter2-7f3a"
RETRIEVE = "2026-03-01T12:00:00Z"
CERTIFICATE = (Path(__file__).parents[1] / "data" / "signing-certificate.pem").read_text()
IMAGE = {"retrieve_date_time": RETRIEVE, "signing_certificate": CERTIFICATE, "signature": "c2lnbmVk"}


@pytest.fixture
def ask(operator: APIClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that asks a connected station for something and does not wait; it returns the response."""
    monkeypatch.setattr(relay_command, "apply_async", lambda kwargs, retry: None)
    settings.FTP_URL = f"ftp://user:{SECRET}@csms.example/files"
    settings.HTTP_FILES_URL = f"http://user:{SECRET}@csms.example/http/files"
    rows.station(connected=True, firmware_version="1.0")

    def ask(action: str, **body: Any) -> Any:
        return operator.post(f"/api/ocpp16/{action}/", {"chargepoint_id": "CP001", "sync": False, **body})

    return ask


# Reading


def test_log_uploads_come_newest_first_and_are_filtered(viewer: APIClient) -> None:
    station = rows.station()
    done = rows.log_upload(station, status="Uploaded", log_type="Diagnostics").pk
    security = rows.log_upload(station, log_type="SecurityLog").pk
    other = rows.log_upload(rows.station("CP2"), log_type="Diagnostics").pk

    def found(**query: str) -> list[int]:
        return [row["id"] for row in viewer.get("/api/logupload/", query).json()["results"]]

    assert found() == [other, security, done]
    assert found(chargepoint_id="cp001") == [security, done]
    assert found(status="Uploaded") == [done]
    assert found(log_type="Diagnostics") == [other, done]
    assert viewer.get("/api/logupload/", {"status": "Lost"}).json()["details"].keys() == {"status"}
    assert viewer.get("/api/logupload/", {"log_type": "Lost"}).json()["details"].keys() == {"log_type"}


def test_firmware_updates_come_newest_first_and_are_filtered(viewer: APIClient) -> None:
    station = rows.station()
    done = rows.firmware_update(station, status="Installed").pk
    other = rows.firmware_update(rows.station("CP2")).pk

    def found(**query: str) -> list[int]:
        return [row["id"] for row in viewer.get("/api/firmwareupdate/", query).json()["results"]]

    assert found() == [other, done]
    assert found(chargepoint_id="CP001") == [done]
    assert found(status="Requested") == [other]
    assert viewer.get("/api/firmwareupdate/", {"status": "Uploaded"}).json()["details"].keys() == {"status"}


def test_a_log_upload_is_read_by_its_id(viewer: APIClient, settings: Settings, tmp_path: Path) -> None:
    # Where no file server has ever run.
    settings.FILES_DIR = tmp_path / "missing"
    user, command = User.objects.create(username="ann"), uuid4()
    job = rows.log_upload(
        rows.station(),
        log_type="SecurityLog",
        request_id=4711,
        command_id=command,
        asked_by=user,
        location="ftp://user:********@h/logs/CP001/1/",
        path="logs/CP001/1/",
        file_name="a:b",
        retries=1,
        oldest=rows.NOON,
    )
    noon = "2026-03-01T12:00:00Z"
    assert viewer.get(f"/api/logupload/{job.pk}/").json() == {
        "id": job.pk,
        "chargepoint_id": "CP001",
        "request_id": 4711,
        "task_id": str(command),
        "location": "ftp://user:********@h/logs/CP001/1/",
        "path": "logs/CP001/1/a_b",
        "files": None,
        "flags": [],
        "retries": 1,
        "retry_interval": None,
        "asked_at": noon,
        "asked_by": "ann",
        "status_at": noon,
        "reports": [{"status": "Odd <b>1</b>", "at": noon, "received_at": noon}],
        "status": "Requested",
        "log_type": "SecurityLog",
        "file_name": "a:b",
        "oldest": noon,
        "latest": None,
    }
    assert viewer.get("/api/logupload/4711/").status_code == 404
    assert viewer.get("/api/logupload/x/").status_code == 404


def test_a_firmware_update_tells_both_versions(viewer: APIClient) -> None:
    job = rows.firmware_update(rows.station(), firmware_before="1.0", firmware_after="2.0", retrieve_at=rows.NOON)
    answer = viewer.get(f"/api/firmwareupdate/{job.pk}/").json()
    assert (answer["firmware_before"], answer["firmware_after"]) == ("1.0", "2.0")
    assert (answer["retrieve_at"], answer["install_at"], answer["task_id"]) == ("2026-03-01T12:00:00Z", None, None)
    assert viewer.get("/api/firmwareupdate/x/").status_code == 404


def put(files_dir: Path, path: str, content: bytes = b"12345") -> None:
    (files_dir / path).parent.mkdir(parents=True, exist_ok=True)
    (files_dir / path).write_bytes(content)


def test_a_log_upload_shows_what_the_station_uploaded_by_whatever_name(viewer: APIClient, files_dir: Path) -> None:
    job = rows.log_upload(rows.station(), path="logs/CP001/1/", file_name="told.log", status="Uploaded")
    put(files_dir, "logs/CP001/1/10.log")
    put(files_dir, "logs/CP001/1/9.log", b"123")
    put(files_dir, "logs/CP001/1/.half.log")
    put(files_dir, "logs/CP001/2/other.log")
    shown = viewer.get(f"/api/logupload/{job.pk}/").json()
    assert [(each["path"], each["size"]) for each in shown["files"]] == [
        ("logs/CP001/1/9.log", 3),
        ("logs/CP001/1/10.log", 5),
    ]
    assert viewer.get(shown["files"][0]["url"]).getvalue() == b"123"
    assert shown["flags"] == []


@pytest.mark.parametrize(
    ("resource", "status", "present", "flags"),
    [
        ("logupload", "Uploaded", True, []),
        ("logupload", "Uploaded", False, ["file_missing"]),
        ("logupload", "Uploading", False, []),
        ("logupload", "Uploading", True, []),
        ("logupload", "UploadFailure", True, ["file_unreported"]),
        ("logupload", "UploadFailure", False, []),
        ("logupload", "TimedOut", True, ["file_unreported"]),
        ("firmwareupdate", "Accepted", False, ["file_missing"]),
        ("firmwareupdate", "Accepted", True, []),
        ("firmwareupdate", "DownloadFailed", False, ["file_missing"]),
        ("firmwareupdate", "Installed", False, []),
    ],
)
def test_a_file_that_is_not_where_it_is_said_to_be_catches_the_eye(
    viewer: APIClient, files_dir: Path, resource: str, status: str, present: bool, flags: list[str]
) -> None:
    if resource == "logupload":
        job: Any = rows.log_upload(rows.station(), path="logs/CP001/1/", status=status)
        name = f"{job.path}a.log"
    else:
        job = rows.firmware_update(rows.station(), path="firmware/1/firmware.bin", status=status)
        name = job.path
    if present:
        put(files_dir, name)
    shown = viewer.get(f"/api/{resource}/{job.pk}/").json()
    assert (shown["flags"], len(shown["files"])) == (flags, int(present))


def test_files_that_lie_elsewhere_are_not_missed(viewer: APIClient, files_dir: Path) -> None:
    job = rows.log_upload(rows.station(), location="ftp://files.example/", path="", status="Uploaded")
    shown = viewer.get(f"/api/logupload/{job.pk}/").json()
    assert (shown["files"], shown["flags"]) == (None, [])


def test_a_job_with_very_many_files_shows_the_first_hundred(viewer: APIClient, files_dir: Path) -> None:
    job = rows.log_upload(rows.station(), path="logs/CP001/1/")
    for number in range(101):
        put(files_dir, f"logs/CP001/1/{number}")
    assert len(viewer.get(f"/api/logupload/{job.pk}/").json()["files"]) == 100
    assert viewer.get("/api/file/", {"job": job.pk}).json()["count"] == 101


# Asking


@pytest.mark.parametrize(
    ("action", "body", "resource"),
    [
        ("getdiagnostics", {}, "logupload"),
        ("getlog", {"log_type": "SecurityLog"}, "logupload"),
        ("updatefirmware", {"retrieve_date": RETRIEVE}, "firmwareupdate"),
        ("signedupdatefirmware", {"firmware": IMAGE}, "firmwareupdate"),
    ],
)
def test_who_asks_finds_the_job_and_nowhere_a_password(
    action: str, body: dict[str, Any], resource: str, ask: Any, viewer: APIClient
) -> None:
    response = ask(action, **body)
    assert response.status_code == 202
    task = viewer.get(f"/api/task/{response.json()['task_id']}/")
    listed = viewer.get(f"/api/{resource}/")
    [job] = listed.json()["results"]
    assert (job["task_id"], job["status"], job["asked_by"]) == (
        response.json()["task_id"],
        "Requested",
        "operating_user",
    )
    assert job["location"].startswith(("ftp://user:********@csms.example/files/", "http://user:********@csms.example/"))
    assert SECRET not in (response.content + task.content + listed.content).decode()
    assert SECRET in repr(Command.objects.get().payload)


def test_a_job_is_asked_for_with_every_detail(ask: Any) -> None:
    body = {"location": "acme/2.0.bin", "retrieve_date": RETRIEVE, "retries": 3, "retry_interval": 60}
    assert ask("updatefirmware", **body).status_code == 202
    job = FirmwareUpdate.objects.get()
    assert (job.path, job.retrieve_at, job.retries, job.retry_interval) == ("acme/2.0.bin", rows.NOON, 3, 60)
    assert job.firmware_before == "1.0"


LOG = {"remote_location": "ftp://h/x"}


@pytest.mark.parametrize(
    ("action", "body", "fields"),
    [
        ("getdiagnostics", {"location": "C:"}, {"location"}),
        ("getdiagnostics", {"location": ""}, {"location"}),
        ("getdiagnostics", {"location": "logs/here"}, {"location"}),
        ("getdiagnostics", {"location": "gopher://h/x"}, {"location"}),
        ("getdiagnostics", {"location": "ftp:///x"}, {"location"}),
        ("getdiagnostics", {"location": "ftp://user@/x"}, {"location"}),
        ("getdiagnostics", {"location": "ftp:host/x"}, {"location"}),
        ("getdiagnostics", {"location": "ftp://h:99999/x"}, {"location"}),
        ("getdiagnostics", {"location": "ftp://user:pa/ss@h/x"}, {"location"}),
        ("getdiagnostics", {"location": "ftp://h/a b"}, {"location"}),
        ("getdiagnostics", {"location": "ftp://[h/x"}, {"location"}),
        ("getdiagnostics", {"location": "ftp://h/\nx"}, {"location"}),
        ("getdiagnostics", {"location": 7}, {"location"}),
        ("getdiagnostics", {"retries": -1, "retry_interval": -1}, {"retries", "retry_interval"}),
        ("getdiagnostics", {"retries": 2**31}, {"retries"}),
        ("getdiagnostics", {"start_time": "noon"}, {"start_time"}),
        ("getdiagnostics", {"start_time": RETRIEVE, "stop_time": "2026-03-01T11:59:59Z"}, {"stop_time"}),
        ("getdiagnostics", {"start_time": "2026-12-31T23:59:60Z"}, {"start_time"}),
        ("getdiagnostics", {"stop_time": "9999-12-31T23:59:59-01:00"}, {"stop_time"}),
        ("getlog", {}, {"log_type"}),
        ("getlog", {"log_type": "SecurityLog", "request_id": -1}, {"request_id"}),
        ("getlog", {"log_type": "SecurityLog", "request_id": 2**31}, {"request_id"}),
        ("getlog", {"log_type": "SecurityLog", "log": {"remote_location": "x"}}, {"log.remote_location"}),
        ("getlog", {"log_type": "SecurityLog", "log": {"remote_location": "ftp://h/a b"}}, {"log.remote_location"}),
        ("getlog", {"log_type": "SecurityLog", "log": {"remote_location": "ftp://h/a\tb"}}, {"log.remote_location"}),
        (
            "getlog",
            {"log_type": "SecurityLog", "log": {"remote_location": "ftp://h/" + "x" * 600}},
            {"log.remote_location"},
        ),
        (
            "getlog",
            {
                "log_type": "SecurityLog",
                "log": {**LOG, "oldest_timestamp": RETRIEVE, "latest_timestamp": "2020-01-01T00:00:00Z"},
            },
            {"log.latest_timestamp"},
        ),
        ("updatefirmware", {}, {"retrieve_date"}),
        ("updatefirmware", {"retrieve_date": "now"}, {"retrieve_date"}),
        ("updatefirmware", {"retrieve_date": RETRIEVE, "location": "a/../../x"}, {"location"}),
        ("updatefirmware", {"retrieve_date": RETRIEVE, "location": "a//x"}, {"location"}),
        ("updatefirmware", {"retrieve_date": RETRIEVE, "location": "folder/"}, {"location"}),
        ("updatefirmware", {"retrieve_date": RETRIEVE, "location": "file:///x"}, {"location"}),
        ("signedupdatefirmware", {}, {"firmware"}),
        (
            "signedupdatefirmware",
            {"firmware": {**IMAGE, "signing_certificate": "x", "signature": "?", "location": "ldap://h"}},
            {"firmware.signing_certificate", "firmware.signature", "firmware.location"},
        ),
        ("signedupdatefirmware", {"firmware": {**IMAGE, "signature": ""}}, {"firmware.signature"}),
        (
            "signedupdatefirmware",
            {"firmware": {**IMAGE, "install_date_time": "2026-03-01T11:00:00Z"}},
            {"firmware.install_date_time"},
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(action: str, body: dict[str, Any], fields: set[str], ask: Any) -> None:
    response = ask(action, **body)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert response.json()["details"].keys() == fields
    assert not Command.objects.exists()
    assert not LogUpload.objects.exists()
    assert not FirmwareUpdate.objects.exists()


@pytest.mark.parametrize("url", ["ftp://u:p@h/x", "ftps://h", "http://h:81/x", "HTTPS://h/x?sig=1", "sftp://[::1]/x"])
def test_a_url_of_a_file_transfer_protocol_is_taken(url: str, ask: Any) -> None:
    assert ask("getdiagnostics", location=url).status_code == 202
    assert Command.objects.get().payload == {"location": url}


def test_a_request_id_in_use_is_refused(ask: Any) -> None:
    rows.log_upload(rows.ChargePoint.objects.get(), request_id=7)
    rows.log_upload(rows.ChargePoint.objects.get(), request_id=8, status="Uploaded")
    refused = ask("getlog", log_type="SecurityLog", request_id=7)
    assert refused.json()["details"] == {"request_id": ["The station is still at another request by this id."]}
    assert ask("getlog", log_type="SecurityLog", request_id=8).status_code == 202
    assert ask("signedupdatefirmware", firmware=IMAGE, request_id=7).status_code == 202


def test_a_location_of_ours_that_is_too_long_is_refused_without_its_password(ask: Any, settings: Settings) -> None:
    settings.FTP_URL += "/" + "x" * 500
    refused = ask("getlog", log_type="SecurityLog")
    assert refused.json()["details"].keys() == {"log.remote_location"}
    assert SECRET not in refused.content.decode()
    assert not LogUpload.objects.exists()


def test_the_documentation_says_where_files_go(anonymous: APIClient) -> None:
    paths = anonymous.get("/api/schema/").json()["paths"]
    assert "/api/logupload/" in paths["/api/ocpp16/getlog/"]["post"]["description"]
    firmware = paths["/api/ocpp16/updatefirmware/"]["post"]
    assert "firmware/<id>/firmware.bin" in firmware["description"]
    required = firmware["requestBody"]["content"]["application/json"]["schema"]["required"]
    assert set(required) == {"chargepoint_id", "retrieve_date"}
