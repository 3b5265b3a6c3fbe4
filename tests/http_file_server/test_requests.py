import base64
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from filestore.environment import SettingError
from http_file_server import settings
from tests.e2e.launcher import BASE_DIR, free_ports, wait_until
from tests.fileservers import PASSWORD, USERNAME, FileServer
from tests.http_file_server.conftest import Connect, Start
from tests.http_file_server.raw import AUTHORIZATION, open_request, read_all
from tests.http_file_server.test_uploads import problem


def ask(server: FileServer, authorization: str | bytes, path: str = "/auth", **headers: str) -> httpx.Response:
    url = f"http://127.0.0.1:{server.port}{path}"
    return httpx.get(url, headers={"Authorization": authorization, **headers}, timeout=10, trust_env=False)


def basic(username: str = USERNAME, password: str = PASSWORD, encoding: str = "utf-8") -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode(encoding)).decode()}"


# Logging in


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_account_may_be_sent_in_either_encoding(server: FileServer, encoding: str) -> None:
    answer = ask(server, basic(encoding=encoding))

    assert answer.status_code == 204
    assert answer.content == b""


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic ???", "Basic YQ==", "Bearer x", basic(password="wrong"), basic("other"), basic("", "")],
)
@pytest.mark.parametrize("path", ["/auth", "/", "/http/files/x", "/http/upload/"])
def test_without_the_account_nothing_is_told(server: FileServer, authorization: str, path: str) -> None:
    answer = ask(server, authorization, path)

    assert problem(answer)[0] == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="O-V2X-MP files", charset="UTF-8"'


def test_an_upload_without_the_account_leaves_nothing(start: Start) -> None:
    server = start()
    answer = httpx.put(f"http://127.0.0.1:{server.port}/log.zip", content=b"x" * 5_000_000, trust_env=False)

    assert problem(answer) == (401, "not_authenticated")
    assert server.is_empty()


def test_a_failed_login_is_answered_late(start: Start) -> None:
    server = start(OV2XMP_FILES_LOGIN_DELAY="0.3")
    asked = time.monotonic()

    assert ask(server, basic(password="wrong")).status_code == 401
    assert time.monotonic() - asked >= 0.3


def test_an_address_that_guesses_is_kept_out_and_one_that_is_mistaken_is_not(start: Start) -> None:
    server = start(OV2XMP_FILES_LOGIN_LIMIT="3")
    for _ in range(5):
        assert ask(server, basic(password="old password")).status_code == 401
    assert ask(server, basic()).status_code == 204

    for number in range(2):
        assert ask(server, basic(password=f"guess {number}")).status_code == 401
    kept_out = ask(server, basic())
    assert problem(kept_out) == (429, "throttled")
    assert 0 < int(kept_out.headers["Retry-After"]) <= 600


def test_behind_a_trusted_proxy_the_client_is_kept_out_and_not_the_proxy(start: Start) -> None:
    server = start(OV2XMP_FILES_LOGIN_LIMIT="1", OV2XMP_TRUSTED_PROXIES="127.0.0.0/8")

    def status(client: str, password: str = PASSWORD) -> int:
        return ask(server, basic(password=password), **{"X-Forwarded-For": client}).status_code

    assert status("203.0.113.7", "wrong") == 401
    assert status("203.0.113.7") == 429
    assert status("203.0.113.8, 203.0.113.7") == 429
    assert status("203.0.113.8") == 204


def test_nobody_else_is_believed_whom_he_forwards_for(start: Start) -> None:
    server = start(OV2XMP_FILES_LOGIN_LIMIT="1")
    assert ask(server, basic(password="wrong"), **{"X-Forwarded-For": "203.0.113.7"}).status_code == 401

    assert ask(server, basic(), **{"X-Forwarded-For": "203.0.113.8"}).status_code == 429


# Health


def test_an_answer_tells_no_version_of_the_software(server: FileServer) -> None:
    assert {ask(server, each).headers["Server"] for each in (basic(), "")} == {"O-V2X-MP"}


def test_health_needs_no_login(server: FileServer) -> None:
    answer = ask(server, "", "/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_health_check_tells_whether_it_serves(server: FileServer) -> None:
    [nobody] = free_ports(1)

    assert [health(port) for port in (server.port, nobody)] == [0, 1]


def health(port: int) -> int:
    command = [sys.executable, "-m", "http_file_server.health"]
    environment = {"OV2XMP_BIND": "0.0.0.0", "OV2XMP_FILES_PORT": str(port)}
    return subprocess.run(command, cwd=BASE_DIR, env=environment, check=False, timeout=20).returncode


# Connections


@pytest.mark.parametrize("request_line", ["rubbish", "GET / HTTP/9.9", "GET /\x00 HTTP/1.1", "\x16\x03\x01"])
def test_what_is_no_http_is_refused_in_json(server: FileServer, request_line: str) -> None:
    connection = socket.create_connection(("127.0.0.1", server.port), 10)
    connection.sendall(f"{request_line}\r\n\r\n".encode())
    head, _, body = read_all(connection).partition(b"\r\n\r\n")

    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert json.loads(body)["code"] == "invalid"


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_does_not_ask_is_left(start: Start, sent: bytes) -> None:
    server = start(OV2XMP_HTTP_TIMEOUT="0.3")
    connection = socket.create_connection(("127.0.0.1", server.port), 10)
    connection.sendall(sent)

    assert read_all(connection) == b""


def test_a_connection_that_is_one_too_many_is_refused(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_HTTP_MAX_CONNECTIONS="1")
    client = connect(server)
    assert client.get("/").status_code == 200

    assert problem(ask(server, basic())) == (503, "unavailable")
    client.close()
    assert ask(server, basic()).status_code in (204, 503)


def test_many_stations_upload_at_the_same_time(start: Start) -> None:
    server = start()

    def upload(number: int) -> int:
        url = f"http://127.0.0.1:{server.port}/logs/CP{number % 5}/log.zip"
        content = b"%d" % number * 100_000
        return httpx.put(url, content=content, auth=(USERNAME, PASSWORD), timeout=30, trust_env=False).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(upload, range(30))) == {201}
    assert sorted(server.files().values()) == sorted(b"%d" % number * 100_000 for number in range(30))


# Start and end


def test_the_end_waits_for_an_upload(start: Start) -> None:
    server = start()
    connection = open_request(server, "PUT /log.zip", AUTHORIZATION, "Content-Length: 10", body=b"01234")
    wait_until(lambda: bool(server.temporary_files()), 10, server.log)

    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: refuses(server), 10, server.log)
    connection.sendall(b"56789")
    assert read_all(connection).startswith(b"HTTP/1.1 201 Created\r\n")
    assert server.wait_until_ended() == 0
    assert server.files() == {"log.zip": b"0123456789"}


def refuses(server: FileServer) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), 10).close()
    except ConnectionRefusedError:
        return True
    return False


def test_the_end_does_not_wait_for_ever(start: Start) -> None:
    server = start(OV2XMP_HTTP_DRAIN_TIMEOUT="0.1")
    with contextlib.closing(open_request(server, "PUT /log.zip", AUTHORIZATION, "Content-Length: 10", body=b"01234")):
        wait_until(lambda: bool(server.temporary_files()), 10, server.log)
        assert server.stop() == 0
    assert server.is_empty()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"OV2XMP_HTTP_PASSWORD": ""}, r"OV2XMP_HTTP_PASSWORD is not set\. Set OV2XMP_HTTP_PASSWORD or"),
        ({"OV2XMP_FILES_DIR": "/dev/null/files"}, "OV2XMP_FILES_DIR: cannot write to /dev/null/files"),
        ({"OV2XMP_BIND": "203.0.113.7"}, r"OV2XMP_FILES_PORT: cannot listen on 203\.0\.113\.7"),
    ],
)
def test_it_does_not_start_and_says_which_setting_is_no_good(
    tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "http_file_server"],
        cwd=BASE_DIR,
        env={"OV2XMP_FILES_DIR": str(tmp_path), "OV2XMP_HTTP_PASSWORD": PASSWORD, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert run.returncode == 1
    assert re.search(reason, run.stderr)
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("OV2XMP_HTTP_PASSWORD", "password", "OV2XMP_HTTP_PASSWORD is the user name or a default password"),
        ("OV2XMP_FILES_MAX_SIZE", "0", "OV2XMP_FILES_MAX_SIZE must be at least 1"),
        ("OV2XMP_TRUSTED_PROXIES", "caddy", "OV2XMP_TRUSTED_PROXIES must list addresses"),
    ],
)
def test_a_setting_that_is_no_good_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv("OV2XMP_HTTP_PASSWORD", PASSWORD)
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingError, match=reason):
        settings.read()


def test_each_line_of_its_log_is_json_when_that_is_set(server: FileServer, client: httpx.Client) -> None:
    client.put("/logged.zip", content=b"x")
    entries = [json.loads(line) for line in server.log().splitlines()]

    assert "PUT /logged.zip from 127.0.0.1: 201" in [entry["message"] for entry in entries]
