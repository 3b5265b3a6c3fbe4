import contextlib
import ftplib
import io
import os
import re
import socket
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.launcher import wait_until
from tests.fileservers import PASSWORD, FileServer, cut
from tests.ftp_server.conftest import Connect, Start

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def station() -> str:
    """A station that no other test has."""
    return f"CP-{uuid4().hex[:8]}"


def send(client: ftplib.FTP, path: str, content: bytes = CONTENT, command: str = "STOR") -> str:
    """Upload a file; return where the server says it is."""
    reply = client.storbinary(f"{command} {path}", io.BytesIO(content))
    return str(re.fullmatch(r"226 Transfer complete, stored as (/.*)\.", reply)[1])  # type: ignore[index]


def half(server: FileServer, client: ftplib.FTP, path: str) -> socket.socket:
    """Send the first part of a file; return the open data connection once the server has it."""
    there = server.temporary_files()
    data = client.transfercmd(f"STOR {path}")
    data.sendall(CONTENT)

    def has_come() -> bool:
        return any(path.stat().st_size == len(CONTENT) for path in server.temporary_files() if path not in there)

    wait_until(has_come, 10, server.log)
    return data


# Ways to the folder of ftp://<account>@<host>/files/logs/<station>/12/


@pytest.mark.parametrize("path", ["/files/logs/{}/12/", "files/logs/{}/12/", "/logs/{}/12/", "logs/{}/12/"])
def test_a_file_that_is_sent_to_a_path_lands_there(
    server: FileServer, client: ftplib.FTP, station: str, path: str
) -> None:
    assert send(client, path.format(station) + "log.zip") == f"/logs/{station}/12/log.zip"

    assert server.files()[f"logs/{station}/12/log.zip"] == CONTENT


@pytest.mark.parametrize("folders", ["/files/logs/{}/12", "files logs {} 12", "/ files logs/{} 12/", "/logs/{} 12"])
def test_a_client_that_changes_to_the_folder_first_need_not_make_it(
    server: FileServer, client: ftplib.FTP, station: str, folders: str
) -> None:
    for folder in folders.format(station).split():
        client.cwd(folder)

    send(client, "log.zip")

    assert server.files()[f"logs/{station}/12/log.zip"] == CONTENT
    assert client.nlst() == ["log.zip"]


def test_a_client_may_make_folders_that_are_there_already(server: FileServer, client: ftplib.FTP, station: str) -> None:
    for _ in range(2):
        client.cwd("/")
        for folder in ("files", "logs", station, "12"):
            client.mkd(folder)
            client.cwd(folder)
        send(client, "log.zip")

    assert server.files()[f"logs/{station}/12/log-1.zip"] == CONTENT


def test_a_file_that_is_sent_to_nowhere_is_kept(server: FileServer, client: ftplib.FTP, station: str) -> None:
    assert send(client, f"{station}.zip") == f"/{station}.zip"
    assert server.files()[f"{station}.zip"] == CONTENT


def test_stou_chooses_a_name(server: FileServer, client: ftplib.FTP, station: str) -> None:
    client.cwd(f"/files/{station}")
    names = {send(client, "", command="STOU") for _ in range(2)}

    assert len(names) == 2
    assert {name.rpartition("/")[0] for name in names} == {f"/{station}"}


@pytest.mark.parametrize("path", ["/", "..", "/files"])
def test_stou_chooses_no_name_beside_the_folder_of_files(server: FileServer, client: ftplib.FTP, path: str) -> None:
    name = send(client, path, command="STOU")

    assert server.files()[name.removeprefix("/")] == CONTENT


# Names


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)
    | st.text(alphabet="./\\ab\0 é", min_size=1, max_size=40)
    | st.sampled_from(
        ["../../etc/passwd", "/..", "~", "x" * 300, "a/" * 30, ".hidden", "..%2f..%2fx", "files/.uploads/x"]
    )
)
def test_whatever_the_name_is_the_file_lies_inside_and_can_be_fetched(
    server: FileServer, client: ftplib.FTP, path: str
) -> None:
    content = os.urandom(16)
    try:
        stored = send(client, path, content)
    except ftplib.error_perm:
        return
    lies = (server.folder / stored.removeprefix("/")).resolve()
    assert lies.is_relative_to(server.folder)
    assert lies.read_bytes() == content
    fetched = io.BytesIO()
    client.retrbinary(f"RETR {stored}", fetched.write)
    assert fetched.getvalue() == content


def test_a_hidden_name_is_none_any_more(server: FileServer, client: ftplib.FTP, station: str) -> None:
    assert send(client, f"/.uploads/.{station}") == f"/uploads/{station}"


def test_a_name_writes_no_line_into_the_log(start: Start, connect: Connect) -> None:
    server = start()
    (server.folder / "a\nforged").write_bytes(CONTENT)
    client = connect(server)
    with socket.create_connection(ftplib.parse229(client.sendcmd("EPSV"), ("127.0.0.1", server.port))) as data:
        assert client.sock
        # The library sends no such name.
        client.sock.sendall(b"RETR a\nforged\r\n")
        assert client.getresp()[:3] in ("125", "150")
        while data.recv(10_000):
            pass
        client.voidresp()

    server.wait_until_logged("forged")
    assert not any(line.startswith("forged") for line in server.log().splitlines())


def test_a_name_in_latin_1_is_taken(server: FileServer, client: ftplib.FTP, station: str) -> None:
    client.encoding = "latin-1"
    assert send(client, f"/{station}/Größe.log") == f"/{station}/Gr_e.log"


# Whole files only


def test_no_file_is_overwritten(server: FileServer, client: ftplib.FTP, station: str) -> None:
    paths = [send(client, f"/{station}/log.tar.gz", b"%d" % number) for number in range(3)]

    assert paths == [f"/{station}/log{suffix}.tar.gz" for suffix in ("", "-1", "-2")]
    assert [server.files()[path.removeprefix("/")] for path in paths] == [b"0", b"1", b"2"]


def test_an_upload_is_not_to_be_seen_before_it_is_whole(
    server: FileServer, client: ftplib.FTP, station: str, connect: Connect
) -> None:
    data = half(server, client, f"/{station}/log.zip")

    other = connect(server)
    other.cwd(f"/{station}")
    assert other.nlst() == []
    assert station not in other.nlst("/")
    assert all(not name.startswith(".") for name in other.nlst("/"))

    data.close()
    assert client.voidresp().startswith("226")
    assert other.nlst(f"/{station}") == ["log.zip"]


def test_ascii_mode_damages_no_archive(server: FileServer, client: ftplib.FTP, station: str) -> None:
    content = b"PK\x03\x04\r\n\n\r\r\n"
    client.voidcmd("TYPE A")
    with client.transfercmd(f"STOR /{station}/log.zip") as data:
        data.sendall(content)
    client.voidresp()

    assert server.files()[f"{station}/log.zip"] == content


def test_an_empty_file_is_a_file(server: FileServer, client: ftplib.FTP, station: str) -> None:
    send(client, f"/{station}/empty.log", b"")

    assert server.files()[f"{station}/empty.log"] == b""


@pytest.mark.parametrize("how", ["ABOR", "lost", "died"])
def test_an_upload_that_does_not_end_is_no_file(start: Start, connect: Connect, how: str) -> None:
    server = start(OV2XMP_FTP_RESUME_TIMEOUT="0", OV2XMP_LOG_LEVEL="DEBUG")
    client = connect(server)
    data = half(server, client, "/logs/CP1/1/log.zip")
    if how == "ABOR":
        client.putcmd("ABOR")
        assert client.getmultiline().startswith(("426", "225"))
    elif how == "lost":
        cut(data)
        with pytest.raises(ftplib.error_temp, match="426"):
            client.voidresp()
    else:
        # The system closes the connections of a process that died in the order in which they were opened.
        client.sock.close()  # type: ignore[union-attr]
        client.file.close()  # type: ignore[union-attr]
    data.close()
    server.wait_until_logged("incomplete")

    assert server.is_empty()


def test_a_client_that_stops_sending_is_left(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FTP_DATA_TIMEOUT="0.3", OV2XMP_FTP_RESUME_TIMEOUT="0")
    client = connect(server)
    with half(server, client, "log.zip"), pytest.raises(ftplib.error_temp, match="421 Data connection timed out"):
        client.voidresp()

    assert server.is_empty()


# Going on with an interrupted upload (1.6 section 8.2)


@pytest.fixture
def interrupted(server: FileServer, client: ftplib.FTP, station: str) -> str:
    """The path of a file of which the first 10,240 bytes have come."""
    path = f"/logs/{station}/12/log.zip"
    data = half(server, client, path)
    cut(data)
    with pytest.raises(ftplib.error_temp, match="426"):
        client.voidresp()
    return path


def test_an_interrupted_upload_goes_on_where_it_was(server: FileServer, client: ftplib.FTP, interrupted: str) -> None:
    assert client.size(interrupted) == len(CONTENT)

    client.storbinary(f"STOR {interrupted}", io.BytesIO(b"the rest"), rest=len(CONTENT))

    assert server.files()[interrupted.removeprefix("/")] == CONTENT + b"the rest"


def test_an_interrupted_upload_goes_on_by_appending(server: FileServer, client: ftplib.FTP, interrupted: str) -> None:
    send(client, interrupted, b"the rest", "APPE")

    assert server.files()[interrupted.removeprefix("/")] == CONTENT + b"the rest"


def test_an_interrupted_upload_may_begin_anew(server: FileServer, client: ftplib.FTP, interrupted: str) -> None:
    send(client, interrupted, b"new")

    assert server.files()[interrupted.removeprefix("/")] == b"new"


def test_an_interrupted_upload_does_not_go_on_beyond_what_has_come(client: ftplib.FTP, interrupted: str) -> None:
    with pytest.raises(ftplib.error_perm, match=f"554 .* {len(CONTENT)} bytes only"):
        client.storbinary(f"STOR {interrupted}", io.BytesIO(b"x"), rest=len(CONTENT) + 1)


def test_an_interrupted_upload_is_no_file(client: ftplib.FTP, interrupted: str) -> None:
    with pytest.raises(ftplib.error_perm, match="550"):
        client.retrbinary(f"RETR {interrupted}", lambda _: None)
    client.cwd(interrupted.rpartition("/")[0])
    assert client.nlst() == []


def test_appending_to_a_file_that_is_whole_leaves_it_as_it_is(
    server: FileServer, client: ftplib.FTP, station: str
) -> None:
    assert send(client, f"{station}.log", b"first", "APPE") == f"/{station}.log"
    assert send(client, f"{station}.log", b"second", "APPE") == f"/{station}-1.log"

    assert server.files()[f"{station}.log"] == b"first"


def test_an_upload_goes_on_after_the_server_was_killed(start: Start, connect: Connect) -> None:
    server = start()
    with half(server, connect(server), "log.zip"):
        server.kill()
    assert server.files() == {}

    again = start(folder=server.folder)
    client = connect(again)
    assert client.size("log.zip") == len(CONTENT)
    send(client, "log.zip", b"the rest", "APPE")

    assert again.files() == {"log.zip": CONTENT + b"the rest"}


def test_what_a_killed_server_left_goes_after_a_while(start: Start, connect: Connect) -> None:
    server = start()
    with half(server, connect(server), "log.zip"):
        server.kill()
    for path in server.temporary_files():
        os.utime(path, (0, 0))

    assert start(folder=server.folder).is_empty()


# Refusals


def test_a_file_that_is_too_large_is_refused(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FILES_MAX_SIZE="100000")
    client = connect(server)

    assert refusal(client, b"x" * 100_001).startswith("552 An upload may have 100000 bytes")
    assert server.is_empty()
    send(client, "log.zip", b"x" * 100_000)


def refusal(client: ftplib.FTP, content: bytes) -> str:
    """Upload a file that is refused on the way; return the reply."""
    client.voidcmd("TYPE I")
    # The server does not read what it cannot store.
    with client.transfercmd("STOR /logs/log.zip") as data, contextlib.suppress(OSError):
        data.sendall(content)
    return client.getmultiline()


def test_a_full_disk_is_told_and_leaves_nothing(start: Start, connect: Connect) -> None:
    server = start()
    server.limit_file_size(100_000)
    client = connect(server)

    assert refusal(client, b"x" * 5_000_000) == "452 The disk is full."
    assert server.is_empty()
    send(client, "log.zip")


def test_what_must_stay_free_is_not_written(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FILES_MIN_FREE=str(2**62))

    with pytest.raises(ftplib.error_temp, match="452 The disk is full"):
        send(connect(server), "log.zip")
    assert server.is_empty()


def test_a_file_does_not_get_in_the_way_of_a_folder(server: FileServer, client: ftplib.FTP, station: str) -> None:
    send(client, f"/{station}")

    with pytest.raises(ftplib.error_perm, match=r"553 .* is a file, not a folder"):
        send(client, f"/{station}/log.zip")
    with pytest.raises(ftplib.error_perm, match="553"):
        client.mkd(f"/{station}/12")
    with pytest.raises(ftplib.error_perm, match="550 Not a directory"):
        client.cwd(f"/{station}")


def test_the_folder_of_files_is_no_file(client: ftplib.FTP) -> None:
    with pytest.raises(ftplib.error_perm, match="553"):
        send(client, "/files")


def test_stations_delete_and_rename_nothing(server: FileServer, client: ftplib.FTP, station: str) -> None:
    path = send(client, f"/{station}/log.zip")

    for action in (
        lambda: client.delete(path),
        lambda: client.rename(path, "/other"),
        lambda: client.rmd(f"/{station}"),
        lambda: client.voidcmd(f"SITE CHMOD 777 {path}"),
        lambda: client.voidcmd(f"MFMT 20200101000000 {path}"),
    ):
        with pytest.raises(ftplib.error_perm, match="550 Not enough privileges"):
            action()
    assert server.files()[path.removeprefix("/")] == CONTENT


def test_stations_may_be_allowed_to_but_overwrite_nothing_that_way(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FTP_ALLOW_CHANGES="1")
    client = connect(server)
    for name in ("a.part", "b", "c"):
        send(client, name, name.encode())

    client.rename("a.part", "a")
    client.delete("b")
    with pytest.raises(ftplib.error_perm, match="553 c is there already"):
        client.rename("a", "c")

    assert server.files() == {"a": b"a.part", "c": b"c"}


def test_a_log_tells_of_uploads_and_of_no_password(server: FileServer, client: ftplib.FTP, station: str) -> None:
    send(client, f"/{station}/log.zip")

    server.wait_until_logged(f"STOR /{station}/log.zip complete from 127.0.0.1: {len(CONTENT)} bytes")
    assert PASSWORD not in server.log()
