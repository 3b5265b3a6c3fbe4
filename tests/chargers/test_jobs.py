"""Firmware updates and log uploads: what stations report of them is believed, however late and in whatever order."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django.fixtures import Settings

from chargers.changes import Changes
from chargers.choices import FirmwareUpdateStatus, LimitationKind, LogUploadStatus
from chargers.models import ChargePoint, FirmwareUpdate, Limitation, LogUpload
from chargers.models.job import MAX_REPORTS
from chargers.services import firmware, jobs, limitations, logs
from chargers.values import Facts, JobAnswer, JobReport, JobRequest
from tests.chargers import told
from tests.chargers.told import at

pytestmark = pytest.mark.django_db

# Minutes of silence after which a job is given up.
LIMIT = 60


@pytest.fixture(autouse=True)
def platform(db: None, settings: Settings) -> None:
    settings.OCPP_JOB_TIMEOUT = LIMIT * 60
    settings.FTP_URL = "ftp://user:secret@csms.example/files"
    settings.HTTP_UPLOAD_URL = "http://user:secret@csms.example/http/upload/"
    settings.HTTP_FILES_URL = "http://user:secret@csms.example/http/files"
    told.station("CP1", firmware_version="1.0")
    told.station("CP2")


def facts(station: str = "CP1") -> Facts:
    (known,) = limitations.facts([station], Changes())
    return known


def a_request(minute: float = 0, *, numbered: bool = False, **members: Any) -> JobRequest:
    defaults = {"station": "CP1", "command_id": uuid4(), "asked_by": None, "at": at(minute), "location": ""}
    return JobRequest(numbered=numbered, **defaults | members)


def ask_log(minute: float = 0, *, numbered: bool = False, changes: Changes | None = None, **members: Any) -> LogUpload:
    """Ask for a log, by a message that names its request or by one that does not."""
    job, _ = logs.ask(
        a_request(minute, numbered=numbered, **members),
        facts=facts(members.get("station", "CP1")),
        log_type="SecurityLog" if numbered else "Diagnostics",
        oldest=None,
        latest=None,
        changes=changes if changes is not None else Changes(),
    )
    return job


def ask_update(
    minute: float = 0, *, retrieve: float = 0, install: float | None = None, numbered: bool = False, **members: Any
) -> FirmwareUpdate:
    job, _ = firmware.ask(
        a_request(minute, numbered=numbered, **members),
        facts=facts(),
        retrieve_at=at(retrieve),
        install_at=None if install is None else at(install),
        signature="c2lnbmVk" if numbered else "",
        changes=Changes(),
    )
    return job


def log_says(word: str, minute: float = 1, *, changes: Changes | None = None, **members: Any) -> None:
    report = JobReport(
        **{"station": "CP1", "numbered": "request_id" in members} | members, status=word, received_at=at(minute)
    )
    assert logs.record([report], changes if changes is not None else Changes()) == [None]


def update_says(word: str, minute: float = 1, **members: Any) -> None:
    numbered = "request_id" in members
    report = JobReport(
        **{"station": "CP1", "numbered": numbered, "signed": numbered} | members, status=word, received_at=at(minute)
    )
    assert firmware.record([report], Changes()) == [None]


def answer_log(job: LogUpload, status: str = "Accepted", minute: float = 0.5, **members: Any) -> None:
    assert job.command_id is not None
    value = JobAnswer("CP1", job.command_id, status, at(minute), **members)
    assert logs.answer([value], Changes()) == [None]


def status(job: LogUpload | FirmwareUpdate) -> str:
    job.refresh_from_db()
    return job.status


def said(job: LogUpload | FirmwareUpdate) -> list[str]:
    job.refresh_from_db()
    return [each["status"] for each in job.reports]


def given_up(minute: float) -> int:
    return jobs.time_out(now=at(minute), changes=Changes())


# Asking


def test_a_job_is_kept_as_it_was_asked_for() -> None:
    changes = Changes()
    job = ask_log(changes=changes, retries=2, retry_interval=30, location="ftp://u:hunter2@host/x/")
    job.refresh_from_db()
    assert (job.status, job.status_at, job.asked_at) == ("Requested", at(0), at(0))
    assert (job.retries, job.retry_interval, job.request_id) == (2, 30, None)
    assert (job.location, job.path) == ("ftp://u:********@host/x/", "")
    assert changes.rows == {"logupload": {job.pk: "created"}}


def test_a_request_is_numbered_by_the_jobs_own_key() -> None:
    job = ask_log(numbered=True)
    assert job.request_id == job.pk


def test_a_number_that_an_operator_gave_to_another_job_is_passed_over() -> None:
    first = ask_log(numbered=True)
    ask_log(numbered=True, request_id=first.pk + 2)
    third = ask_log(numbered=True)
    assert third.pk == first.pk + 2
    assert third.request_id == first.pk + 3


def test_a_number_is_taken_while_the_station_is_at_that_job() -> None:
    job = ask_log(numbered=True, request_id=7)
    assert jobs.is_taken(LogUpload, "CP1", 7)
    assert not jobs.is_taken(LogUpload, "CP2", 7)
    assert not jobs.is_taken(FirmwareUpdate, "CP1", 7)
    log_says("Uploaded", request_id=7)
    assert status(job) == "Uploaded"
    assert not jobs.is_taken(LogUpload, "CP1", 7)


def test_a_log_goes_to_a_folder_of_its_own_on_the_platforms_file_server() -> None:
    told.station("depot/1 ü:2")
    job, location = logs.ask(
        a_request(station="depot/1 ü:2"),
        facts=facts(),
        log_type="Diagnostics",
        oldest=None,
        latest=None,
        changes=Changes(),
    )
    assert location == f"ftp://user:secret@csms.example/files/logs/depot_1_2/{job.pk}/"
    job.refresh_from_db()
    assert (job.location, job.path) == (location.replace("secret", "********"), f"logs/depot_1_2/{job.pk}/")


@pytest.mark.parametrize(
    ("given", "path"),
    [("", "firmware/{}/firmware.bin"), ("acme/2.0 é.bin", "acme/2.0 é.bin"), ("/acme/2.0?#%.bin", "acme/2.0?#%.bin")],
)
def test_firmware_is_found_on_the_platforms_file_server(given: str, path: str) -> None:
    job, location = firmware.ask(a_request(location=given), facts=facts(), retrieve_at=at(0), changes=Changes())
    job.refresh_from_db()
    assert job.path == path.format(job.pk)
    url = location.removeprefix("http://user:secret@csms.example/http/files/")
    assert url == job.path.replace("%", "%25").replace(" ", "%20").replace("é", "%C3%A9").replace("?", "%3F").replace(
        "#", "%23"
    )


# Answers and reports


def test_a_job_goes_on_as_the_station_reports() -> None:
    job = ask_log()
    answer_log(job, file_name="a.zip")
    assert status(job) == "Accepted"
    log_says("Uploading", 1)
    assert (status(job), job.status_at) == ("Uploading", at(1))
    log_says("Uploaded", 2)
    assert (status(job), job.status_at, job.file_name) == ("Uploaded", at(2), "a.zip")
    assert job.file_path == f"{job.path}a.zip"
    assert said(job) == ["Uploading", "Uploaded"]


def test_a_file_name_that_is_the_whole_url_is_kept_without_its_password() -> None:
    job = ask_log()
    answer_log(job, file_name="ftp://user:hunter2@files.example/a.zip")
    job.refresh_from_db()
    assert job.file_name == "ftp://user:********@files.example/a.zip"
    assert "hunter2" not in job.file_path


@pytest.mark.parametrize("answered", ["Accepted", "Rejected", "NothingToUpload"])
def test_an_answer_that_comes_behind_reports_does_not_move_a_job_back(answered: str) -> None:
    job = ask_log()
    log_says("Uploading")
    answer_log(job, answered, 2, file_name="a.zip")
    assert (status(job), job.file_name) == ("Uploading", "a.zip")


def test_each_word_is_kept_once_with_the_times_it_first_and_last_came() -> None:
    job = ask_log()
    for minute in range(1, 6):
        changes = Changes()
        log_says("Uploading", minute, changes=changes)
        assert bool(changes) is (minute == 1)
    log_says("Uploaded", 6)
    log_says("Uploading", 7)
    job.refresh_from_db()
    assert job.reports == [
        {"status": "Uploading", "at": at(1).isoformat(), "received_at": at(5).isoformat()},
        {"status": "Uploaded", "at": at(6).isoformat(), "received_at": at(6).isoformat()},
        {"status": "Uploading", "at": at(7).isoformat(), "received_at": at(7).isoformat()},
    ]


def test_of_a_station_that_goes_round_in_circles_the_latest_reports_are_kept() -> None:
    job = ask_log()
    for minute in range(2 * MAX_REPORTS):
        log_says("UploadFailure" if minute % 2 else "Uploading", minute)
    job.refresh_from_db()
    assert len(job.reports) == MAX_REPORTS
    assert job.reports[-1]["at"] == at(2 * MAX_REPORTS - 1).isoformat()


@pytest.mark.parametrize("late", ["Downloading", "Downloaded", "Installing", "Odd"])
def test_steps_that_come_late_do_not_undo_a_success(late: str) -> None:
    job = ask_update()
    update_says("Installed", 1)
    update_says(late, 2)
    assert (status(job), said(job)) == ("Installed", ["Installed", late])


def test_a_failure_after_a_success_is_believed() -> None:
    job = ask_update()
    update_says("Installed", 1)
    update_says("InstallationFailed", 2)
    assert status(job) == "InstallationFailed"


def test_a_failure_may_be_tried_again() -> None:
    job = ask_log()
    for minute, word in enumerate(("UploadFailure", "Uploading", "Uploaded")):
        log_says(word, minute)
        assert status(job) == word


@pytest.mark.parametrize("kind", [FirmwareUpdateStatus, LogUploadStatus])
def test_a_word_that_only_the_platform_says_is_not_taken_from_a_station(kind: Any) -> None:
    job = ask_log() if kind is LogUploadStatus else ask_update()
    says = log_says if kind is LogUploadStatus else update_says
    for word in ("Requested", "Failed", "TimedOut", "Verifying"):
        says(word)
        assert (status(job), job.last_word) == ("Unknown", word)


def test_idle_is_about_no_job() -> None:
    log_says("Idle")
    update_says("Idle")
    assert not LogUpload.objects.exists()
    assert not FirmwareUpdate.objects.exists()
    job = ask_log(numbered=True)
    log_says("Idle", request_id=job.request_id)
    assert (status(job), said(job)) == ("Requested", [])


def test_a_command_without_an_answer_ends_the_job_unless_the_station_has_reported() -> None:
    silent, running = ask_log(), ask_log()
    log_says("Uploading")
    changes = Changes()
    ids: list[UUID] = [job.command_id for job in (silent, running) if job.command_id]
    jobs.fail(LogUpload, ids, now=at(2), changes=changes)
    assert (status(silent), silent.status_at, status(running)) == ("Failed", at(2), "Uploading")
    assert changes.rows == {"logupload": {silent.pk: "updated"}}
    log_says("Uploaded", 3)
    answer_log(silent, minute=4)
    assert (status(silent), status(running)) == ("Accepted", "Uploaded")


def test_a_job_that_the_station_gave_up_for_another_is_cancelled() -> None:
    plain, over, running, elsewhere = (
        ask_log(),
        ask_log(numbered=True),
        ask_log(numbered=True),
        ask_log(numbered=True, station="CP2"),
    )
    log_says("Uploaded", request_id=over.request_id)
    log_says("Uploading", request_id=running.request_id)
    job = ask_log(numbered=True)
    answer_log(job, cancels=True)
    assert [status(each) for each in (plain, over, running, elsewhere, job)] == [
        "Requested",
        "Uploaded",
        "AcceptedCanceled",
        "Requested",
        "Accepted",
    ]


def test_an_answer_to_a_command_without_a_job_changes_nothing() -> None:
    assert logs.answer([JobAnswer("CP1", uuid4(), "Accepted", at(0))], Changes()) == [None]
    assert firmware.answer([JobAnswer("CP1", uuid4(), "Accepted", at(0))], Changes()) == [None]


# Which job a report is about


def test_a_report_is_about_the_request_it_names() -> None:
    first, second, elsewhere = (
        ask_log(numbered=True),
        ask_log(numbered=True),
        ask_log(numbered=True, station="CP2", request_id=1),
    )
    log_says("Uploading", request_id=first.request_id)
    assert [status(job) for job in (first, second, elsewhere)] == ["Uploading", "Requested", "Requested"]


def test_of_two_requests_by_one_id_the_newer_is_meant() -> None:
    old = ask_log(numbered=True, request_id=7)
    log_says("Uploaded", request_id=7)
    new = ask_log(numbered=True, request_id=7)
    log_says("Uploading", request_id=7)
    assert (status(old), status(new)) == ("Uploaded", "Uploading")


def test_a_report_about_a_request_that_nobody_made_is_kept() -> None:
    ask_log(numbered=True)
    changes = Changes()
    log_says("Uploading", 1, request_id=4711, changes=changes)
    log_says("Uploaded", 2, request_id=4711)
    job = LogUpload.objects.get(request_id=4711)
    assert (job.status, said(job), job.log_type) == ("Uploaded", ["Uploading", "Uploaded"], "")
    assert (job.command_id, job.asked_at, job.location) == (None, None, "")
    assert changes.rows == {"logupload": {job.pk: "created"}}


def test_a_report_of_a_station_that_was_asked_for_nothing_is_kept() -> None:
    log_says("Uploading", 1)
    log_says("Uploaded", 2)
    update_says("Downloading", 1)
    update_says("Downloading", 1, numbered=True, signed=True, station="CP2")
    upload = LogUpload.objects.get()
    assert (upload.status, upload.log_type, upload.request_id) == ("Uploaded", "Diagnostics", None)
    [unsigned, signed] = FirmwareUpdate.objects.order_by("pk")
    assert (unsigned.signed, unsigned.firmware_before, signed.signed) == (False, "1.0", True)


def test_without_an_id_the_newest_job_is_meant() -> None:
    old, new = ask_log(), ask_log(1)
    log_says("Uploading", 2)
    assert (status(old), status(new)) == ("Requested", "Uploading")


def test_without_an_id_the_newest_job_of_the_same_kind_of_message_is_meant() -> None:
    plain, numbered = ask_log(), ask_log(numbered=True)
    log_says("Uploading")
    log_says("UploadFailure", numbered=True)
    assert (status(plain), status(numbered)) == ("Uploading", "UploadFailure")


def test_a_station_may_report_on_a_numbered_job_without_its_number() -> None:
    job = ask_update(numbered=True)
    update_says("Downloading")
    assert (status(job), FirmwareUpdate.objects.count()) == ("Downloading", 1)


def test_while_a_newer_job_was_turned_down_the_one_that_runs_is_meant() -> None:
    running, refused = ask_log(), ask_log(1)
    answer_log(refused, "Rejected", 2)
    log_says("Uploading", 3)
    assert (status(running), status(refused)) == ("Uploading", "Rejected")


def test_a_job_that_is_over_may_repeat_itself_while_another_waits() -> None:
    waiting, done = ask_log(), ask_log(1)
    log_says("Uploaded", 2)
    log_says("Uploaded", 3)
    assert (status(waiting), status(done), said(done)) == ("Requested", "Uploaded", ["Uploaded"])


def test_a_station_that_turned_a_job_down_and_does_it_all_the_same_is_believed() -> None:
    job = ask_log()
    answer_log(job, "Rejected")
    log_says("Uploading")
    assert status(job) == "Uploading"


def test_a_station_that_is_long_done_is_at_something_nobody_asked_for() -> None:
    job = ask_update()
    update_says("Installed", 1)
    update_says("Installed", LIMIT + 5)
    assert FirmwareUpdate.objects.count() == 1
    update_says("Downloading", 2 * LIMIT + 4)
    assert (FirmwareUpdate.objects.count(), said(job)) == (1, ["Installed", "Downloading"])
    update_says("Installing", 4 * LIMIT)
    other = FirmwareUpdate.objects.exclude(pk=job.pk).get()
    assert (status(job), other.status, other.command_id) == ("Installed", "Installing", None)


def test_many_reports_of_one_station_in_a_batch_are_taken_in_order() -> None:
    job = ask_log()
    words = ("Uploading", "UploadFailure", "Uploading", "Uploaded")
    batch = [JobReport("CP1", word, at(1), numbered=False) for word in words]
    assert logs.record(batch, Changes()) == [None] * 4
    assert (status(job), said(job)) == ("Uploaded", list(words))


def test_jobs_outlive_their_station() -> None:
    job = ask_log()
    ChargePoint.objects.get(pk="CP1").delete()
    log_says("Uploading")
    job.refresh_from_db()
    assert (job.chargepoint_id, job.status) == ("CP1", "Uploading")


# The time limit


def test_a_job_is_given_up_when_nothing_is_heard_of_it_any_more() -> None:
    job, fresh = ask_log(), ask_log(30, station="CP2")
    changes = Changes()
    assert given_up(LIMIT) == 0
    assert jobs.time_out(now=at(LIMIT + 1), changes=changes) == 1
    assert (status(job), job.status_at, status(fresh)) == ("TimedOut", at(LIMIT + 1), "Requested")
    assert changes.rows == {"logupload": {job.pk: "updated"}}
    assert given_up(LIMIT + 2) == 0


def test_each_sign_of_life_prolongs_a_job() -> None:
    job = ask_log()
    answer_log(job, minute=10)
    assert given_up(LIMIT + 5) == 0
    log_says("Uploading", 40)
    log_says("Uploading", 50)
    assert given_up(LIMIT + 45) == 0
    assert given_up(LIMIT + 51) == 1
    assert status(job) == "TimedOut"


@pytest.mark.parametrize(("retrieve", "install"), [(500, None), (10, 500), (500, 10)])
def test_the_limit_counts_from_the_dates_the_station_was_told_to_wait_for(
    retrieve: float, install: float | None
) -> None:
    job = ask_update(retrieve=retrieve, install=install)
    update_says("DownloadScheduled", 1)
    assert given_up(500 + LIMIT) == 0
    assert given_up(500 + LIMIT + 1) == 1
    assert status(job) == "TimedOut"


@pytest.mark.parametrize("word", ["Uploading", "Uploaded", "UploadFailure"])
def test_a_job_that_was_given_up_lives_again_when_the_station_reports(word: str) -> None:
    job = ask_log()
    log_says("Uploading")
    assert given_up(2 * LIMIT) == 1
    log_says(word, 10 * LIMIT)
    assert (status(job), LogUpload.objects.count()) == (word, 1)


def test_what_is_over_is_not_given_up() -> None:
    for word in ("Uploaded", "UploadFailure", "BadMessage", "PermissionDenied", "NotSupportedOperation"):
        log_says(word, request_id=len(word))
    assert given_up(10 * LIMIT) == 0


# Protocols


def tells(protocols: str, station: str = "CP1") -> Facts:
    return Facts({"supportedfiletransferprotocols": protocols}, frozenset())


@pytest.mark.parametrize(
    ("protocols", "log", "image"),
    [
        ("", "ftp", "http"),
        ("FTP", "ftp", "ftp"),
        ("HTTP", "http", "http"),
        ("http, FTP", "ftp", "http"),
        ("HTTPS,FTPS", "ftp", "http"),
        ("SFTP", "ftp", "http"),
    ],
)
def test_a_protocol_that_the_station_names_is_chosen(protocols: str, log: str, image: str) -> None:
    upload, _ = logs.ask(
        a_request(), facts=tells(protocols), log_type="Diagnostics", oldest=None, latest=None, changes=Changes()
    )
    update, _ = firmware.ask(a_request(), facts=tells(protocols), retrieve_at=at(0), changes=Changes())
    assert (upload.location.partition(":")[0], update.location.partition(":")[0]) == (log, image)


def test_secure_protocols_are_offered_where_the_file_server_has_them(settings: Settings) -> None:
    settings.FTP_URL, settings.HTTP_FILES_URL = "ftps://csms.example", "https://csms.example"
    settings.HTTP_UPLOAD_URL = "https://csms.example"
    _, location = firmware.ask(a_request(), facts=tells("FTP,FTPS,HTTP"), retrieve_at=at(0), changes=Changes())
    assert location.startswith("ftps://csms.example/firmware/")
    _, location = firmware.ask(a_request(), facts=tells("FTP,HTTPS"), retrieve_at=at(0), changes=Changes())
    assert location.startswith("https://csms.example/firmware/")


def scheme(job: LogUpload | FirmwareUpdate) -> str:
    return job.location.partition(":")[0]


def test_a_protocol_that_failed_twice_in_a_row_gives_way_to_the_other() -> None:
    for minute in (0, 10):
        assert scheme(ask_log(minute)) == "ftp"
        log_says("UploadFailure", minute + 1)
    limitation = Limitation.objects.get()
    assert (limitation.kind, limitation.subject, limitation.is_certain) == (LimitationKind.FILE_PROTOCOL, "ftp", True)
    assert limitation.reason == f"{LogUpload.objects.first()}: UploadFailure"
    assert scheme(ask_log(20)) == "http"


def test_the_tries_of_one_job_count_once() -> None:
    ask_log()
    for minute in range(6):
        log_says("Uploading" if minute % 2 else "UploadFailure", minute)
    assert not Limitation.objects.get().is_certain
    assert scheme(ask_log(10)) == "ftp"


def test_a_transfer_that_works_clears_the_protocol() -> None:
    ask_update()
    update_says("DownloadFailed", 1)
    assert Limitation.objects.get().subject == "http"
    ask_update(2)
    update_says("Installed", 3)
    assert not Limitation.objects.exists()


def test_when_both_protocols_failed_the_first_is_offered_again() -> None:
    for minute in (0, 10, 20, 30):
        ask_log(minute)
        log_says("UploadFailure", minute + 1)
    assert set(Limitation.objects.values_list("subject", flat=True)) == {"ftp", "http"}
    assert scheme(ask_log(40)) == "ftp"


def test_of_a_location_that_an_operator_named_nothing_is_learnt() -> None:
    for minute in (0, 10):
        ask_log(minute, location="ftp://elsewhere.example/x/")
        log_says("UploadFailure", minute + 1)
    log_says("UploadFailure", request_id=99)
    assert not Limitation.objects.exists()


def test_a_log_of_which_nothing_is_ever_heard_counts_as_failed() -> None:
    for minute in (0, 100):
        answer_log(ask_log(minute), minute=minute, file_name="a.zip")
        given_up(minute + LIMIT + 1)
    assert scheme(ask_log(200)) == "http"


def test_a_job_that_was_never_answered_or_began_to_upload_tells_nothing_of_the_protocol_by_its_silence() -> None:
    ask_log()
    given_up(LIMIT + 1)
    ask_log(100)
    log_says("Uploading", 101)
    given_up(101 + LIMIT + 1)
    assert list(LogUpload.objects.values_list("status", flat=True)) == ["TimedOut", "TimedOut"]
    assert not Limitation.objects.exists()


# Versions


def test_the_first_other_version_that_a_station_boots_with_is_kept_with_the_update() -> None:
    job = ask_update()
    told.boot(1, firmware_version="1.0")
    assert status(job) == "Requested"
    assert (job.firmware_before, job.firmware_after) == ("1.0", "")
    update_says("Installed", 2)
    told.boot(3, firmware_version="2.0")
    told.boot(4, firmware_version="3.0")
    job.refresh_from_db()
    assert (job.firmware_before, job.firmware_after, job.status) == ("1.0", "2.0", "Installed")


def test_an_update_that_was_turned_down_has_no_part_in_a_new_version() -> None:
    older, refused = ask_update(), ask_update(numbered=True)
    assert refused.command_id is not None
    firmware.answer([JobAnswer("CP1", refused.command_id, "InvalidCertificate", at(1))], Changes())
    assert status(refused) == "InvalidCertificate"
    told.boot(2, firmware_version="2.0")
    assert (status(older), older.firmware_after) == ("Requested", "2.0")
    refused.refresh_from_db()
    assert refused.firmware_after == ""


def test_a_version_is_not_kept_with_an_update_before_the_newest() -> None:
    old = ask_update()
    update_says("DownloadFailed", 1)
    new = ask_update(2)
    update_says("Installed", 3)
    for version in ("2.0", "3.0"):
        told.boot(4, firmware_version=version)
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.firmware_after, new.firmware_after) == ("", "2.0")
