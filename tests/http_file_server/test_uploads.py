import base64
import contextlib
import gzip
import json
import os
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.launcher import wait_until
from tests.fileservers import FileServer, cut
from tests.http_file_server.conftest import Connect, Start
from tests.http_file_server.raw import AUTHORIZATION, open_request, read_all

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def station() -> str:
    """A station that no other test has."""
    return f"CP-{uuid4().hex[:8]}"


def stored(answer: httpx.Response) -> str:
    """Return where the server says that the one file of an upload is."""
    assert answer.status_code == 201, answer.text
    [file] = answer.json()["files"]
    assert answer.headers["Location"] == file["url"] == f"/http/files/{quote(file['path'])}"
    return str(file["path"])


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    assert answer.headers["Content-Type"].startswith("application/json")
    assert set(answer.json()) == {"code", "message"}
    return answer.status_code, answer.json()["code"]


# Ways to the folder of http://<account>@<host>/http/upload/logs/<station>/12/


@pytest.mark.parametrize("prefix", ["/http/upload", ""])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_body_is_stored_at_the_path(
    server: FileServer, client: httpx.Client, station: str, method: str, prefix: str
) -> None:
    answer = client.request(method, f"{prefix}/logs/{station}/12/log.zip", content=CONTENT)

    assert stored(answer) == f"logs/{station}/12/log.zip"
    assert answer.json()["files"][0]["size"] == len(CONTENT)
    assert server.files()[f"logs/{station}/12/log.zip"] == CONTENT


@pytest.mark.parametrize("path", ["/http/upload/logs/{}/12/", "/logs/{}/12", "/logs/{}/12/log.zip"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_form_is_stored_by_the_name_in_it(
    server: FileServer, client: httpx.Client, station: str, method: str, path: str
) -> None:
    form = {"comment": (None, b"a field"), "file": ("log.zip", CONTENT, "application/zip")}

    answer = client.request(method, path.format(station), files=form)

    assert stored(answer) == f"logs/{station}/12/log.zip"
    assert server.files()[f"logs/{station}/12/log.zip"] == CONTENT


def test_a_form_may_have_several_files(server: FileServer, client: httpx.Client, station: str) -> None:
    form = [("file", (name, name.encode() * 100_000)) for name in ("a.log", "b.log", "a.log")]

    answer = client.post(f"/{station}/", files=form)

    assert [file["path"] for file in answer.json()["files"]] == [
        f"{station}/{name}" for name in ("a.log", "b.log", "a-1.log")
    ]
    assert server.files()[f"{station}/b.log"] == b"b.log" * 100_000


def test_a_form_in_base64_is_decoded(server: FileServer, client: httpx.Client, station: str) -> None:
    body = (
        b'--xx\r\nContent-Disposition: form-data; name="file"; filename="log.zip"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(CONTENT) + b"\r\n--xx--\r\n"
    )
    answer = client.post(f"/{station}/", content=body, headers={"Content-Type": "multipart/form-data; boundary=xx"})

    assert server.files()[stored(answer)] == CONTENT


@pytest.mark.parametrize("path", ["/{}/", "/{}"])
def test_a_body_may_have_its_name_in_a_header(client: httpx.Client, station: str, path: str) -> None:
    headers = {"Content-Disposition": "attachment; filename*=UTF-8''log%20of%20today.zip"}

    assert stored(client.post(path.format(station), content=CONTENT, headers=headers)) == f"{station}/log_of_today.zip"


def test_a_body_without_a_name_gets_one(server: FileServer, client: httpx.Client, station: str) -> None:
    paths = {
        stored(client.post(f"/{station}/", content=CONTENT, headers={"Content-Type": "application/zip"}))
        for _ in range(2)
    }

    assert len(paths) == 2
    assert all(re.fullmatch(rf"{station}/upload-\d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}\.zip", path) for path in paths)
    assert stored(client.post(f"/{station}", content=CONTENT)).startswith(f"{station}/upload-")


def test_a_body_of_unknown_length_is_stored(server: FileServer, client: httpx.Client, station: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield CONTENT
        yield CONTENT

    stored(client.put(f"/{station}/log.zip", content=chunks()))

    assert server.files()[f"{station}/log.zip"] == CONTENT * 2


# Names

SEGMENTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "..",
        ".",
        "",
        "/",
        "../..",
        "\\",
        "\0",
        "x" * 300,
        ".hidden",
        "http",
        "upload",
        "files",
        "healthz",
        "auth",
        "é",
        "\u202e",
    ]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    segments=st.lists(
        SEGMENTS.map(lambda name: quote(name, safe="")) | st.sampled_from(["..", ".", "%2e%2e", "%ff", "%zz"]),
        max_size=5,
    ),
    prefix=st.sampled_from(["", "/http/upload", "/http/files"]),
    slash=st.sampled_from(["", "/"]),
    form=st.none() | SEGMENTS,
)
def test_whatever_the_name_is_the_file_lies_inside_and_can_be_fetched(
    server: FileServer, client: httpx.Client, segments: list[str], prefix: str, slash: str, form: str | None
) -> None:
    content = os.urandom(16)
    target = f"{prefix}/{'/'.join(segments)}{slash}"
    body, headers = content, [f"Content-Length: {len(content)}"]
    if form is not None:
        disposition = f"Content-Disposition: form-data; name=file; filename*=UTF-8''{quote(form, safe='')}"
        body = f"--xx\r\n{disposition}\r\n\r\n".encode() + content + b"\r\n--xx--\r\n"
        headers = [f"Content-Length: {len(body)}", "Content-Type: multipart/form-data; boundary=xx"]
    head, _, answer = read_all(
        open_request(server, f"PUT {target}", AUTHORIZATION, "Connection: close", *headers, body=body)
    ).partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 4"):
        assert json.loads(answer)["code"] in ("invalid", "conflict")
        return
    [file] = json.loads(answer)["files"]
    lies = (server.folder / file["path"]).resolve()
    assert lies.is_relative_to(server.folder)
    assert lies.read_bytes() == content
    assert client.get(file["url"]).content == content


def test_a_path_without_end_is_refused(client: httpx.Client) -> None:
    assert problem(client.put("/a" * 50, content=b"x")) == (400, "invalid")


# Whole files only


def test_no_file_is_overwritten(server: FileServer, client: httpx.Client, station: str) -> None:
    paths = [stored(client.put(f"/{station}/log.tar.gz", content=b"%d" % number)) for number in range(3)]

    assert paths == [f"{station}/log{suffix}.tar.gz" for suffix in ("", "-1", "-2")]
    assert [server.files()[path] for path in paths] == [b"0", b"1", b"2"]


def has_begun(server: FileServer) -> None:
    """Wait until the server has a part of an upload."""
    wait_until(lambda: any(path.stat().st_size for path in server.temporary_files()), 10, server.log)


HALF = b"x" * 1_000_000
PARTS = {
    "with a length": (("Content-Length: 2000000",), HALF),
    "in chunks": (("Transfer-Encoding: chunked",), b"f4240\r\n" + HALF + b"\r\n"),
    "as a form": (
        ("Content-Length: 2000000", "Content-Type: multipart/form-data; boundary=xx"),
        b"--xx\r\nContent-Disposition: form-data; name=f; filename=a.log\r\n\r\n" + HALF,
    ),
}


@pytest.mark.parametrize("how", PARTS)
@pytest.mark.parametrize("end", [socket.socket.close, cut])
def test_a_client_that_disconnects_midway_leaves_nothing(emptied: FileServer, how: str, end: object) -> None:
    headers, body = PARTS[how]
    connection = open_request(emptied, "PUT /logs/CP1/1/log.zip", AUTHORIZATION, *headers, body=body)
    has_begun(emptied)
    assert emptied.files() == {}

    end(connection)  # type: ignore[operator]

    wait_until(emptied.is_empty, 10, emptied.log)


def test_a_client_that_stops_sending_is_left(start: Start) -> None:
    server = start(OV2XMP_HTTP_TIMEOUT="0.3")
    for headers, body in PARTS.values():
        answer = read_all(open_request(server, "PUT /log.zip", AUTHORIZATION, *headers, body=body))

        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b'"code": "timeout"' in answer
        assert server.is_empty()


def test_a_form_that_breaks_off_is_refused_whole(emptied: FileServer, client: httpx.Client) -> None:
    part = b'--xx\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n'
    answer = client.post(
        "/logs/",
        content=part % (b"a.log", b"whole") + (part % (b"b.log", b"half"))[:-2],
        headers={"Content-Type": "multipart/form-data; boundary=xx"},
    )

    assert problem(answer) == (400, "invalid")
    assert emptied.is_empty()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=xx", b""),
        ("multipart/form-data; boundary=xx", b"--xx--\r\n"),
        (
            "multipart/form-data; boundary=xx",
            b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--xx--\r\n',
        ),
        ("multipart/form-data; boundary=xx", b"rubbish"),
        ("multipart/form-data; boundary=xx", b"--xx\r\n\x00\r\n\r\nx\r\n--xx--\r\n"),
        ("multipart/form-data; boundary=xx", b"--xx\r\nX: " + b"x" * 9000 + b"\r\n\r\nx\r\n--xx--\r\n"),
        ("multipart/form-data", b"--xx--\r\n"),
        (
            "multipart/form-data; boundary=xx",
            b'--xx\r\nContent-Disposition: form-data; filename="a"\r\nContent-Transfer-Encoding: rot13\r\n\r\nb\r\n--xx--\r\n',
        ),
        (
            "multipart/form-data; boundary=xx",
            b'--xx\r\nContent-Disposition: form-data; filename="a"\r\n\r\nb\r\n' * 101 + b"--xx--\r\n",
        ),
    ],
)
def test_a_form_without_a_file_that_can_be_read_is_refused(
    emptied: FileServer, client: httpx.Client, kind: str, body: bytes
) -> None:

    assert problem(client.post("/logs/", content=body, headers={"Content-Type": kind})) == (400, "invalid")
    assert emptied.is_empty()


def test_a_compressed_body_stays_as_it_is(server: FileServer, client: httpx.Client, station: str) -> None:
    content = gzip.compress(CONTENT)
    stored(client.put(f"/{station}/log.tar.gz", content=content, headers={"Content-Encoding": "gzip"}))

    assert server.files()[f"{station}/log.tar.gz"] == content


def test_a_killed_server_leaves_no_file_and_sweeps_what_it_left(start: Start) -> None:
    server = start()
    with contextlib.closing(open_request(server, "PUT /log.zip", AUTHORIZATION, "Content-Length: 2000000", body=HALF)):
        has_begun(server)
        server.kill()
    assert server.files() == {}
    for path in server.temporary_files():
        os.utime(path, (0, 0))

    again = start(folder=server.folder)
    wait_until(again.is_empty, 10, again.log)


# Refusals


def test_a_file_that_is_too_large_is_refused(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FILES_MAX_SIZE="1000")
    client = connect(server)
    body = b"x" * 1001
    for content in (body, iter([body])):
        assert problem(client.put("/logs/log.zip", content=content)) == (413, "too_large")
        assert server.is_empty()
    stored(client.put("/logs/log.zip", content=b"x" * 1000))


def test_a_full_disk_is_told_and_leaves_nothing(start: Start, connect: Connect) -> None:
    server = start()
    server.limit_file_size(500_000)
    client = connect(server)

    assert problem(client.put("/logs/log.zip", content=CONTENT)) == (507, "insufficient_storage")
    assert problem(client.post("/logs/", files={"f": ("log.zip", CONTENT)})) == (507, "insufficient_storage")
    assert server.is_empty()
    stored(client.put("/logs/log.zip", content=CONTENT[:1000]))


def test_what_must_stay_free_is_not_written(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FILES_MIN_FREE=str(2**62))
    client = connect(server)

    assert problem(client.put("/log.zip", content=CONTENT)) == (507, "insufficient_storage")
    assert server.is_empty()
    assert problem(client.get("/healthz")) == (503, "unavailable")


def test_a_file_does_not_get_in_the_way_of_a_folder(client: httpx.Client, station: str) -> None:
    stored(client.put(f"/{station}/12", content=CONTENT))

    assert problem(client.put(f"/{station}/12/log.zip", content=CONTENT)) == (409, "conflict")


# 100-continue


def test_a_station_without_the_account_does_not_send_its_body(server: FileServer) -> None:
    connection = open_request(server, "PUT /log.zip", "Content-Length: 2000000", "Expect: 100-continue")

    answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"Connection: close" in answer
    connection.close()


def test_a_station_does_not_send_a_body_that_is_too_large(server: FileServer) -> None:
    connection = open_request(server, "PUT /log.zip", AUTHORIZATION, f"Content-Length: {2**50}", "Expect: 100-continue")

    assert connection.recv(10_000).startswith(b"HTTP/1.1 413 ")
    connection.close()


def test_a_station_with_the_account_is_asked_for_its_body(server: FileServer, station: str) -> None:
    connection = open_request(
        server, f"PUT /{station}.zip", AUTHORIZATION, "Content-Length: 5", "Expect: 100-Continue", "Connection: close"
    )

    assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"hello")
    assert read_all(connection).startswith(b"HTTP/1.1 201 Created\r\n")
    assert server.files()[f"{station}.zip"] == b"hello"


def test_another_expectation_cannot_be_met(client: httpx.Client) -> None:
    answer = client.put("/log.zip", content=b"x", headers={"Expect": "a miracle", "Connection": "close"})
    assert problem(answer) == (417, "expectation_failed")
