"""The files of stations over REST: found by whose they are, downloaded, put there and deleted."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from tests.api import rows
from tests.api.conftest import Listen

pytestmark = pytest.mark.django_db

Put = Callable[..., str]


@pytest.fixture
def put(files_dir: Path) -> Put:
    """Return a function that puts a file somewhere and returns its path."""

    def put(path: str, content: bytes = b"content") -> str:
        (files_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (files_dir / path).write_bytes(content)
        return path

    return put


def found(client: APIClient, **query: Any) -> list[str]:
    return [each["path"] for each in client.get("/api/file/", query).json()["results"]]


# Listing


def test_a_log_tells_its_job_and_station_and_where_to_download_it(viewer: APIClient, files_dir: Path, put: Put) -> None:
    job = rows.log_upload(rows.station("CP 1"), path="logs/CP_1/1/", pk=1)
    os.utime(files_dir / put("logs/CP_1/1/a b.zip"), (0, rows.NOON.timestamp()))
    assert viewer.get("/api/file/").json() == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [
            {
                "path": "logs/CP_1/1/a b.zip",
                "size": 7,
                "modified": "2026-03-01T12:00:00Z",
                "url": "/api/file/logs/CP_1/1/a%20b.zip",
                "kind": "log",
                "chargepoint_id": "CP 1",
                "logupload": job.pk,
                "firmwareupdate": None,
            }
        ],
    }


def test_files_are_found_by_kind_station_and_job(viewer: APIClient, put: Put) -> None:
    one, two = rows.station("CP1"), rows.station("CP2")
    log = rows.log_upload(one, pk=3, path="logs/CP1/3/")
    rows.log_upload(two, pk=4, path="logs/CP2/4/")
    rows.firmware_update(one, pk=3, path="firmware/3/firmware.bin")
    rows.firmware_update(one, pk=5, path="acme/2.0.bin")
    rows.firmware_update(two, pk=6, path="acme/2.0.bin")
    # Never put there.
    rows.firmware_update(two, pk=7, path="firmware/7/firmware.bin")
    first, second = put("logs/CP1/3/a.log"), put("logs/CP2/4/b.log")
    # What was deleted from the database, what a station put beside its job's folder, and into the root.
    lost, beside, root = put("logs/CP1/99/c.log"), put("logs/CP1/d.log"), put("firmware.zip")
    image, shared = put("firmware/3/firmware.bin"), put("acme/2.0.bin")

    top = put("logs/e.log")

    assert found(viewer) == [shared, image, root, first, lost, beside, second, top]
    assert found(viewer, kind="log") == [first, lost, beside, second, top]
    assert found(viewer, kind="firmware") == [shared, image]
    assert found(viewer, kind="other") == [root]
    assert found(viewer, chargepoint_id="cp1") == [shared, image, first, lost, beside]
    assert found(viewer, chargepoint_id="CP2") == [shared, second]
    assert found(viewer, chargepoint_id="CP2", kind="log") == [second]
    assert found(viewer, chargepoint_id="CP2", kind="other") == []
    assert found(viewer, chargepoint_id="nobody") == []
    assert found(viewer, job=3) == [image, first]
    assert found(viewer, job=log.pk, kind="log") == [first]
    assert found(viewer, job=3, chargepoint_id="CP2") == []
    assert found(viewer, job=7) == []


def test_firmware_for_many_tells_the_newest_update_or_the_one_asked_for(viewer: APIClient, put: Put) -> None:
    for key in (1, 2):
        rows.firmware_update(rows.station(f"CP{key}"), pk=key, path="acme/2.0.bin")
    put("acme/2.0.bin")

    def shown(**query: Any) -> tuple[str, int]:
        (only,) = viewer.get("/api/file/", query).json()["results"]
        return only["chargepoint_id"], only["firmwareupdate"]

    assert shown() == shown(chargepoint_id="CP2") == ("CP2", 2)
    assert shown(chargepoint_id="CP1") == shown(job=1) == ("CP1", 1)


def test_stations_whose_names_are_one_in_a_path_are_told_apart(viewer: APIClient, put: Put) -> None:
    rows.log_upload(rows.station("a:b"), pk=1, path="logs/a_b/1/")
    rows.log_upload(rows.station("a_b"), pk=2, path="logs/a_b/2/")
    odd, plain, unclaimed = put("logs/a_b/1/x"), put("logs/a_b/2/x"), put("logs/a_b/y")
    assert found(viewer, chargepoint_id="a:b") == [odd]
    assert found(viewer, chargepoint_id="a_b") == [plain, unclaimed]


def test_a_deleted_station_leaves_its_logs(viewer: APIClient, put: Put) -> None:
    station = rows.station("GONE")
    rows.log_upload(station, pk=1, path="logs/GONE/1/")
    station.delete()
    log = put("logs/GONE/1/x")
    assert found(viewer, chargepoint_id="GONE") == [log]


def test_what_is_hidden_or_leads_elsewhere_is_not_listed(
    viewer: APIClient, files_dir: Path, put: Put, tmp_path: Path
) -> None:
    seen = put("logs/CP1/1/a.log")
    put(".uploads/half")
    put("logs/CP1/1/.a.log.part")
    (tmp_path / "secret").write_text("secret")
    (files_dir / "link").symlink_to(tmp_path / "secret")
    (files_dir / "logs" / "loop").symlink_to(files_dir / "logs")
    os.mkfifo(files_dir / "pipe")
    put("line\nend.log")
    with open(os.fsencode(files_dir) + b"/\xff.log", "wb"):
        pass
    assert found(viewer) == [seen]


def test_numbers_in_names_count_as_such_in_both_directions(viewer: APIClient, put: Put) -> None:
    ordered = [put(f"logs/CP1/{number}/x") for number in ("01", "1", "9", "10")]
    assert found(viewer) == found(viewer, kind="log", ordering="path") == ordered
    assert found(viewer, ordering="-path") == ordered[::-1]


def test_pages_look_at_no_more_than_they_show(
    viewer: APIClient, put: Put, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        put(f"logs/CP1/{number}/x")
    looked_at: list[Path] = []
    lstat = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda path: (looked_at.append(path), lstat(path))[1])
    with django_assert_max_num_queries(6):
        page = viewer.get("/api/file/", {"limit": 10, "offset": 10, "fields": "path,size"}).json()
    assert (page["count"], page["results"][0]) == (30, {"path": "logs/CP1/10/x", "size": 7})
    assert len(looked_at) == 10
    assert "offset=20" in page["next"]


def test_what_is_asked_for_is_found_without_a_walk_through_the_rest(
    viewer: APIClient, files_dir: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.log_upload(rows.station("CP1"), pk=1, path="logs/CP1/1/")
    wanted = put("logs/CP1/1/x")
    for other in ("logs/CP2/2/x", "firmware/1/firmware.bin", "acme/x"):
        put(other)
    scanned: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (scanned.append(str(path)), scandir(path))[1])

    def walked() -> set[str]:
        """Return the folders looked into since the last time."""
        below = {path.removeprefix(f"{files_dir}/") for path in scanned if path.startswith(str(files_dir))}
        scanned.clear()
        return below

    assert found(viewer, chargepoint_id="CP1") == [wanted]
    assert walked() == {"logs/CP1", "logs/CP1/1"}
    assert found(viewer, job=1) == [wanted]
    assert walked() == {"logs/CP1/1"}
    assert found(viewer, kind="firmware") == ["firmware/1/firmware.bin"]
    assert walked() == {"firmware", "firmware/1"}
    assert found(viewer, kind="other") == ["acme/x"]
    assert walked() == {str(files_dir), "acme"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"kind": "x"}, "kind"),
        *(({"job": number}, "job") for number in ("x", 0, 2**40)),
        ({"ordering": "size"}, "ordering"),
        ({"fields": "x"}, "fields"),
        ({"chargepoint_id": "a\0"}, "chargepoint_id"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(
    viewer: APIClient, files_dir: Path, query: dict[str, Any], field: str
) -> None:
    refused = viewer.get("/api/file/", query)
    assert (refused.status_code, list(refused.json()["details"])) == (400, [field])


def test_without_a_folder_there_are_no_files(viewer: APIClient, settings: Settings, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path / "missing"
    assert viewer.get("/api/file/").json()["count"] == 0


# Downloading


def test_a_file_is_downloaded_to_be_saved_and_never_shown(viewer: APIClient, put: Put) -> None:
    content = os.urandom(1_000_000)
    put("logs/CP1/1/ü <b>.html", content)
    answer = viewer.get("/api/file/logs/CP1/1/%C3%BC%20%3Cb%3E.html", headers={"accept": "application/octet-stream"})
    assert answer.status_code == 200
    assert answer.getvalue() == content
    assert answer["Content-Length"] == "1000000"
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == "attachment; filename*=utf-8''%C3%BC%20%3Cb%3E.html"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_head_tells_the_size(viewer: APIClient, put: Put) -> None:
    answer = viewer.head(f"/api/file/{put('a.zip')}")
    assert (answer.status_code, answer["Content-Length"], answer.getvalue()) == (200, "7", b"")


@pytest.mark.parametrize(
    "path",
    [
        *("missing", "logs", "logs/CP1/1", "logs/CP1/1/a.log/x", "../secret", "logs/../../secret", "..%2fsecret"),
        *("%2e%2e/secret", "logs/%2e%2e/%2e%2e/secret", "/etc/passwd", "%2fetc%2fpasswd", "logs//CP1/1/a.log"),
        *(
            "link",
            "linked/secret",
            ".hidden",
            ".uploads/half",
            "logs/CP1/1/.part",
            "a%00b",
            "line%0Aend",
            "pipe",
            "x" * 300,
        ),
    ],
)
def test_what_is_no_file_of_the_folder_is_not_found(
    viewer: APIClient, files_dir: Path, put: Put, tmp_path: Path, path: str
) -> None:
    for name in ("logs/CP1/1/a.log", "line\nend", ".hidden", ".uploads/half", "logs/CP1/1/.part"):
        put(name)
    (tmp_path / "secret").write_text("secret")
    (files_dir / "link").symlink_to(tmp_path / "secret")
    (files_dir / "linked").symlink_to(tmp_path)
    os.mkfifo(files_dir / "pipe")
    for method in (viewer.get, viewer.head):
        answer = method(f"/api/file/{path}")
        assert answer.status_code == 404
        assert "secret" not in str(getattr(answer, "content", b"")) or "secret" in path
    assert viewer.get(f"/api/file/{path}").json()["code"] in ("FILE_DOES_NOT_EXIST", "not_found")


# Putting and deleting


def send(
    client: APIClient, path: str, content: bytes = b"image", content_type: str = "application/octet-stream"
) -> Any:
    return client.put(f"/api/file/{path}", content, content_type=content_type)


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "application/json", "application/x-www-form-urlencoded"]
)
def test_an_operator_puts_firmware_where_its_update_looks_for_it(
    operator: APIClient, files_dir: Path, listen: Listen, content_type: str
) -> None:
    job = rows.firmware_update(rows.station(), path="firmware/1/firmware.bin", status="Accepted", pk=1)
    content = os.urandom(3_000_000)
    with listen() as news:
        answer = send(operator, "firmware/1/firmware.bin", content, content_type)
        assert answer.status_code == 201, answer.json()
    assert (answer.json()["size"], answer.json()["firmwareupdate"]) == (3_000_000, job.pk)
    assert (files_dir / "firmware/1/firmware.bin").read_bytes() == content
    assert [(topic, event, data["flags"]) for topic, event, data in news] == [("firmwareupdate", "updated", [])]


def test_no_file_is_replaced(operator: APIClient, files_dir: Path, put: Put) -> None:
    refused = send(operator, put("acme/2.0.bin"))
    assert (refused.status_code, refused.json()["code"]) == (409, "FILE_EXISTS")
    assert (files_dir / "acme/2.0.bin").read_bytes() == b"content"
    for path in ("acme", "acme/2.0.bin/x"):
        assert send(operator, path).status_code == 409


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *((path, "path") for path in (".hidden", "logs/.part", "a b.bin", "ü.bin", "../x", "a%00b", "a//b", "x" * 101)),
        ("/".join("x" * 21), "path"),
        ("empty.bin", "body"),
    ],
)
def test_a_file_that_no_station_could_ask_for_is_refused(
    operator: APIClient, files_dir: Path, path: str, field: str
) -> None:
    refused = send(operator, path, b"" if field == "body" else b"image")
    assert (refused.status_code, list(refused.json()["details"])) == (400, [field])
    assert not [each for each in files_dir.rglob("*") if each.is_file()]


def test_a_file_that_is_too_large_leaves_nothing(operator: APIClient, files_dir: Path, settings: Settings) -> None:
    settings.FILES_MAX_SIZE = 1000
    refused = send(operator, "a.bin", bytes(1001))
    assert (refused.status_code, refused.json()["code"]) == (413, "FILE_TOO_LARGE")
    assert not [each for each in files_dir.rglob("*") if each.is_file()]
    assert send(operator, "a.bin", bytes(1000)).status_code == 201


def test_a_disk_that_is_too_full_is_told(operator: APIClient, files_dir: Path, settings: Settings) -> None:
    settings.FILES_MIN_FREE = 2**60
    refused = send(operator, "a.bin")
    assert (refused.status_code, refused.json()["code"]) == (507, "STORAGE_FULL")


def test_a_folder_that_cannot_be_written_to_is_told(
    operator: APIClient, administrator: APIClient, settings: Settings
) -> None:
    # Not even root writes there.
    settings.FILES_DIR = Path("/proc/self")
    for refused in (send(operator, "a.bin"), administrator.delete("/api/file/status")):
        assert (refused.status_code, refused.json()["code"]) == (503, "STORAGE_READ_ONLY")


def test_administrators_delete_files_and_nobody_else(
    viewer: APIClient, operator: APIClient, administrator: APIClient, files_dir: Path, put: Put, listen: Listen
) -> None:
    rows.log_upload(rows.station(), pk=1, path="logs/CP001/1/", status="Uploaded")
    path = put("logs/CP001/1/a.log")
    for client in (viewer, operator):
        assert client.delete(f"/api/file/{path}").status_code == 403
    assert send(viewer, "a.bin").status_code == 403
    with listen() as news:
        assert administrator.delete(f"/api/file/{path}").status_code == 204
    assert [(topic, data["flags"]) for topic, _, data in news] == [("logupload", ["file_missing"])]
    assert administrator.delete(f"/api/file/{path}").status_code == 404
    for missing in ("logs/CP001/1", "a%00b", "../files"):
        assert administrator.delete(f"/api/file/{missing}").status_code == 404


def test_without_a_token_there_are_no_files(anonymous: APIClient, put: Put) -> None:
    put("a.log")
    assert anonymous.get("/api/file/").status_code == 401
    assert anonymous.get("/api/file/a.log").status_code == 401
    assert anonymous.delete("/api/file/a.log").status_code == 401
    assert send(anonymous, "b.log").status_code == 401
