import socket
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.launcher import wait_until
from tests.fileservers import FileServer
from tests.http_file_server.conftest import Connect, Start
from tests.http_file_server.raw import AUTHORIZATION, open_request
from tests.http_file_server.test_uploads import problem

FIRMWARE = bytes(range(256)) * 4000


@pytest.fixture
def firmware(server: FileServer) -> str:
    """The URL of a firmware that an operator has put there."""
    path = server.folder / "firmware/7/firmware.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FIRMWARE)
    return "/http/files/firmware/7/firmware.bin"


def test_firmware_is_fetched_from_where_its_url_says(client: httpx.Client, firmware: str) -> None:
    answer = client.get(firmware)

    assert answer.status_code == 200
    assert answer.content == client.get("/firmware/7/firmware.bin").content == FIRMWARE
    assert answer.headers["Content-Length"] == str(len(FIRMWARE))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_header_that_is_no_text_does_not_matter(client: httpx.Client, firmware: str) -> None:
    answer = client.get(firmware, headers=[(b"Cookie", b"a=\xff"), (b"Range", b"bytes=100-199")])

    assert answer.status_code == 206
    assert answer.content == FIRMWARE[100:200]


def test_head_tells_of_a_file_without_it(client: httpx.Client, firmware: str) -> None:
    answer = client.head(firmware)

    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == str(len(FIRMWARE))
    assert not answer.content


@pytest.mark.parametrize(
    ("asked", "told", "part"),
    [
        ("bytes=100-199", "bytes 100-199/1024000", FIRMWARE[100:200]),
        ("bytes=1000000-", "bytes 1000000-1023999/1024000", FIRMWARE[1_000_000:]),
        ("bytes=-10", "bytes 1023990-1023999/1024000", FIRMWARE[-10:]),
        ("bytes=1023999-2000000", "bytes 1023999-1023999/1024000", FIRMWARE[-1:]),
    ],
)
def test_a_part_of_a_file_is_sent(client: httpx.Client, firmware: str, asked: str, told: str, part: bytes) -> None:
    answer = client.get(firmware, headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == told
    assert answer.content == part


@pytest.mark.parametrize("asked", ["bytes=1024000-", "bytes=5-1", "lines=1-2"])
def test_a_part_that_is_not_there_is_refused(client: httpx.Client, firmware: str, asked: str) -> None:
    answer = client.get(firmware, headers={"Range": asked})

    assert problem(answer) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == "bytes */1024000"


def test_a_file_that_has_not_changed_is_not_sent_again(client: httpx.Client, firmware: str) -> None:
    first = client.get(firmware)

    for headers in (
        {"If-None-Match": first.headers["ETag"]},
        {"If-Modified-Since": first.headers["Last-Modified"]},
    ):
        assert client.get(firmware, headers=headers).status_code == 304
    resumed = {"Range": "bytes=10-", "If-Range": "Thu, 01 Jan 1970 00:00:00 GMT"}
    assert client.get(firmware, headers=resumed).status_code == 200


def test_a_client_that_takes_gzip_gets_the_file_that_it_asked_for(
    server: FileServer, client: httpx.Client, firmware: str
) -> None:
    (server.folder / "firmware/7/firmware.bin.gz").write_bytes(b"another upload")

    assert client.get(firmware, headers={"Accept-Encoding": "gzip"}).content == FIRMWARE


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/.uploads",
        "/.uploads/x",
        "/.hidden",
        "/out/secret",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%00",
        "/" + "x" * 300,
    ],
)
def test_nothing_else_can_be_fetched(server: FileServer, client: httpx.Client, tmp_path: Path, path: str) -> None:
    (server.folder / ".hidden").write_text("hidden")
    (tmp_path / "secret").write_text("secret")
    link = server.folder / "out"
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path)

    assert problem(client.get(path)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/firmware/7", "/firmware/7/", "/http/files/firmware/7/"])
def test_a_folder_tells_what_is_in_it(server: FileServer, client: httpx.Client, firmware: str, path: str) -> None:
    (server.folder / "firmware/7/.hidden").write_text("hidden")
    (server.folder / "firmware/7/firmware.bin.gz").unlink(missing_ok=True)
    (server.folder / "firmware/7/old").mkdir(exist_ok=True)
    (server.folder / "firmware/7/broken").unlink(missing_ok=True)
    (server.folder / "firmware/7/broken").symlink_to("nowhere")

    listing = client.get(path).json()

    assert listing["path"] == "firmware/7"
    assert [(entry["name"], entry["type"], entry.get("size")) for entry in listing["entries"]] == [
        ("firmware.bin", "file", len(FIRMWARE)),
        ("old", "folder", None),
    ]
    assert all(entry["modified"].endswith("Z") for entry in listing["entries"])


def test_the_whole_folder_tells_what_is_in_it(client: httpx.Client, firmware: str) -> None:
    listing = client.get("/http/files/").json()

    assert listing["path"] == ""
    assert "firmware" in [entry["name"] for entry in listing["entries"]]


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "MKCOL", "OPTIONS"])
def test_files_are_neither_deleted_nor_changed(client: httpx.Client, firmware: str, method: str) -> None:
    answer = client.request(method, firmware)

    assert problem(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST, PUT"
    assert client.get(firmware).content == FIRMWARE


def test_a_client_that_does_not_read_is_left(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_HTTP_TIMEOUT="1")
    with (server.folder / "large.bin").open("wb") as file:
        file.truncate(200_000_000)
    connection = open_request(server, "GET /large.bin", AUTHORIZATION)
    connection.recv(1)

    with pytest.raises(ConnectionResetError):
        _read_when_left(server, connection)


def _read_when_left(server: FileServer, connection: socket.socket) -> None:
    """Read what the kernel still has once the server has no connection any more."""
    process = psutil.Process(server.process.pid)
    wait_until(lambda: not any(each.raddr for each in process.net_connections()), 20, server.log)
    with connection:
        while connection.recv(1_000_000):
            pass
