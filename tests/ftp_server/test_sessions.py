import contextlib
import ftplib
import io
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from filestore.environment import SettingError
from ftp_server import settings
from tests.e2e.launcher import BASE_DIR, free_ports
from tests.fileservers import PASSWORD, USERNAME, FileServer, cut
from tests.ftp_server.conftest import Connect, Start

# Logging in


def log_in(server: FileServer, username: str = USERNAME, password: str = PASSWORD, encoding: str = "utf-8") -> str:
    with ftplib.FTP(timeout=10, encoding=encoding) as client:
        client.connect("127.0.0.1", server.port)
        return client.login(username, password)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_account_may_be_sent_in_either_encoding(server: FileServer, encoding: str) -> None:
    assert log_in(server, encoding=encoding).startswith("230")


@pytest.mark.parametrize(("username", "password"), [(USERNAME, "wrong"), ("anonymous", ""), ("other", PASSWORD)])
def test_another_account_may_not_log_in(server: FileServer, username: str, password: str) -> None:
    with pytest.raises(ftplib.error_perm, match="530 Authentication failed"):
        log_in(server, username, password)


@pytest.mark.parametrize("command", ["STOR x", "RETR x", "LIST", "CWD x", "MKD x", "SIZE x", "PASV", "STAT x"])
def test_nothing_is_done_without_a_login(server: FileServer, command: str) -> None:
    with ftplib.FTP(timeout=10) as client:
        client.connect("127.0.0.1", server.port)
        with pytest.raises(ftplib.error_perm, match="530 Log in with USER and PASS first"):
            client.voidcmd(command)


def test_a_failed_login_is_answered_late_and_a_few_end_the_connection(start: Start) -> None:
    server = start(OV2XMP_FILES_LOGIN_DELAY="0.3", OV2XMP_FTP_LOGIN_ATTEMPTS="2")
    with ftplib.FTP(timeout=10) as client:
        client.connect("127.0.0.1", server.port)
        client.sendcmd(f"USER {USERNAME}")
        asked = time.monotonic()
        with pytest.raises(ftplib.error_perm, match=r"530 Authentication failed\.$"):
            client.sendcmd("PASS wrong")
        assert time.monotonic() - asked >= 0.3
        with pytest.raises(ftplib.error_perm, match="Disconnecting"):
            client.login(USERNAME, "wrong")
        with pytest.raises((EOFError, ConnectionError)):
            client.voidcmd("NOOP")


def test_an_address_that_guesses_is_kept_out_and_one_that_is_mistaken_is_not(start: Start) -> None:
    server = start(OV2XMP_FILES_LOGIN_LIMIT="3", OV2XMP_FTP_LOGIN_ATTEMPTS="100")
    for _ in range(5):
        with pytest.raises(ftplib.error_perm, match="530 Authentication failed"):
            log_in(server, password="old password")
    assert log_in(server).startswith("230")

    for number in range(2):
        with pytest.raises(ftplib.error_perm, match="530 Authentication failed"):
            log_in(server, password=f"guess {number}")
    with pytest.raises(ftplib.error_perm, match="530 Too many failed logins"):
        log_in(server)


def test_what_is_sent_behind_a_goodbye_is_ignored(server: FileServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as client, client.makefile("rb") as replies:
        client.sendall(f"USER {USERNAME}\r\nPASS {PASSWORD}\r\nQUIT\r\nCWD logs\r\nSTOR x\r\n".encode())
        assert [line[:3] for line in replies] == [b"220", b"331", b"230", b"221"]
    assert "Traceback" not in server.log()


# Limits


def test_an_address_may_have_so_many_connections(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FTP_MAX_PER_ADDRESS="2")
    connect(server)
    second = connect(server)

    with pytest.raises(ftplib.error_temp, match="421 Too many connections from the same IP"):
        connect(server)
    second.quit()
    connect(server)


def test_the_server_has_so_many_connections(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FTP_MAX_CONNECTIONS="2")
    connect(server)

    with socket.create_connection(("127.0.0.1", server.port), 10) as second, second.makefile() as replies:
        assert replies.readline().startswith("421 Too many connections")
        assert replies.readline() == ""


def test_a_client_that_does_nothing_is_left(start: Start, connect: Connect) -> None:
    client = connect(start(OV2XMP_FTP_IDLE_TIMEOUT="0.2"))

    assert client.getmultiline() == "421 Control connection timed out."


def test_a_line_without_end_is_refused(server: FileServer, client: ftplib.FTP) -> None:
    assert client.sock
    client.sock.sendall(b"x" * 5000)
    assert client.getmultiline() == "500 Command too long."


# Data connections


def test_passive_ports_are_the_ones_that_are_set(start: Start, connect: Connect) -> None:
    [port] = free_ports(1)
    server = start(OV2XMP_FTP_PASSIVE_PORTS=str(port))
    client, other = connect(server), connect(server)

    assert ftplib.parse227(client.sendcmd("PASV")) == ("127.0.0.1", port)
    with pytest.raises(ftplib.error_temp, match="425 Every passive port is in use"):
        other.sendcmd("PASV")
    with contextlib.closing(socket.create_connection(("127.0.0.1", port))):
        client.voidcmd("NOOP")
        # The port is free as soon as the client is connected to it.
        assert ftplib.parse229(other.sendcmd("EPSV"), ("127.0.0.1", 0)) == ("127.0.0.1", port)


@pytest.mark.parametrize("address", ["203.0.113.7", "localhost"])
def test_passive_mode_tells_the_address_that_is_set(start: Start, connect: Connect, address: str) -> None:
    client = connect(start(OV2XMP_FTP_MASQUERADE_ADDRESS=address))

    assert ftplib.parse227(client.sendcmd("PASV"))[0] == address.replace("localhost", "127.0.0.1")


def test_active_mode_works_to_the_client_and_to_nobody_else(server: FileServer, client: ftplib.FTP) -> None:
    client.set_pasv(False)
    client.storbinary("STOR active.zip", io.BytesIO(b"active"))
    assert server.files()["active.zip"] == b"active"

    with pytest.raises(ftplib.error_perm, match="501 Rejected data connection to foreign address"):
        client.sendport("203.0.113.7", 50000)
    with pytest.raises(ftplib.error_perm, match="501 PORT against the privileged port"):
        client.sendport("127.0.0.1", 22)


@pytest.mark.parametrize("command", ["STOR x", "APPE x", "STOU", "RETR x", "LIST", "NLST", "MLSD"])
def test_a_transfer_without_a_data_connection_is_refused(client: ftplib.FTP, command: str) -> None:
    with pytest.raises(ftplib.error_temp, match="425 Use PASV"):
        client.voidcmd(command)


def test_a_data_connection_that_is_lost_at_once_ends_its_transfer(server: FileServer, client: ftplib.FTP) -> None:
    address = ftplib.parse229(client.sendcmd("EPSV"), ("127.0.0.1", 0))
    client.putcmd("STOR lost.zip")
    assert client.getresp().startswith("150")
    connection = socket.create_connection(address)
    cut(connection)

    with pytest.raises(ftplib.error_temp, match=r"42[56]"):
        client.voidresp()
    assert "lost.zip" not in server.files()


def test_a_data_connection_that_is_never_opened_ends_its_transfer(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FTP_CONNECT_TIMEOUT="0.2")
    client = connect(server)
    client.sendcmd("EPSV")
    client.putcmd("STOR log.zip")
    assert client.getresp().startswith("150")

    with pytest.raises(ftplib.error_temp, match="425 No data connection was opened"):
        client.voidresp()
    client.storbinary("STOR log.zip", io.BytesIO(b"again"))
    assert server.files() == {"log.zip": b"again"}


# The end


def test_the_end_waits_for_a_transfer(start: Start, connect: Connect) -> None:
    server = start()
    client, idle = connect(server), connect(server)
    client.voidcmd("TYPE I")
    data = client.transfercmd("STOR log.zip")
    data.sendall(b"first half, ")

    server.process.send_signal(signal.SIGTERM)
    assert idle.getmultiline() == "421 The server is shutting down."
    with pytest.raises(OSError, match="refused"):
        connect(server)
    data.sendall(b"second half")
    data.close()
    assert client.voidresp().startswith("226")

    assert client.getmultiline() == "421 The server is shutting down."
    assert server.wait_until_ended() == 0
    assert server.files() == {"log.zip": b"first half, second half"}


def test_the_end_does_not_wait_for_ever(start: Start, connect: Connect) -> None:
    server = start(OV2XMP_FTP_DRAIN_TIMEOUT="0.1", OV2XMP_FTP_RESUME_TIMEOUT="0")
    with connect(server).transfercmd("STOR log.zip") as data:
        data.sendall(b"x")
        assert server.stop() == 0

    assert server.is_empty()


# The start


def refusal(directory: Path, **settings: str) -> str:
    """Start a server that refuses to; return why."""
    run = subprocess.run(
        [sys.executable, "-m", "ftp_server"],
        cwd=BASE_DIR,
        env={"OV2XMP_FILES_DIR": str(directory / "files"), "PATH": "", **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    return run.stderr


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"OV2XMP_FTP_PASSWORD": ""}, r"OV2XMP_FTP_PASSWORD is not set\. Set OV2XMP_FTP_PASSWORD or"),
        ({"OV2XMP_FILES_DIR": "/dev/null/files"}, "OV2XMP_FILES_DIR: cannot write to /dev/null/files"),
        ({"OV2XMP_BIND": "203.0.113.7"}, r"OV2XMP_FTP_PORT: cannot listen on 203\.0\.113\.7"),
        (
            {"OV2XMP_FTP_TLS_CERTIFICATE": "/none.pem", "OV2XMP_FTP_TLS_KEY": "/none.key"},
            r"OV2XMP_FTP_TLS_CERTIFICATE: cannot read /none\.pem",
        ),
    ],
)
def test_it_does_not_start_and_says_which_setting_is_no_good(
    tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    assert re.search(reason, refusal(tmp_path, **({"OV2XMP_FTP_PASSWORD": PASSWORD} | settings)))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("OV2XMP_FTP_PASSWORD", "ov2xmp", "OV2XMP_FTP_PASSWORD is the user name or a default password"),
        ("OV2XMP_FTP_PASSIVE_PORTS", "9-1", "OV2XMP_FTP_PASSIVE_PORTS must be a range of ports"),
        ("OV2XMP_FTP_PASSIVE_PORTS", "70000", "OV2XMP_FTP_PASSIVE_PORTS must be a range of ports"),
        ("OV2XMP_FTP_MASQUERADE_ADDRESS", "::1", "OV2XMP_FTP_MASQUERADE_ADDRESS must be an IPv4 address"),
        ("OV2XMP_FTP_TLS_CERTIFICATE", "x.pem", "OV2XMP_FTP_TLS_KEY and OV2XMP_FTP_TLS_CERTIFICATE must be set"),
        ("OV2XMP_FTP_TLS_REQUIRED", "1", "OV2XMP_FTP_TLS_REQUIRED demands TLS"),
        ("OV2XMP_FTP_MAX_CONNECTIONS", "0", "OV2XMP_FTP_MAX_CONNECTIONS must be at least 1"),
    ],
)
def test_a_setting_that_is_no_good_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv("OV2XMP_FTP_PASSWORD", PASSWORD)
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingError, match=reason):
        settings.read()


def test_it_does_not_start_where_another_listens(server: FileServer, tmp_path: Path) -> None:
    refused = refusal(tmp_path, OV2XMP_FTP_PASSWORD=PASSWORD, OV2XMP_FTP_PORT=str(server.port))
    assert f"OV2XMP_FTP_PORT: cannot listen on 127.0.0.1 port {server.port}" in refused


def test_each_line_of_its_log_is_json_when_that_is_set(server: FileServer, client: ftplib.FTP) -> None:
    client.voidcmd("NOOP")
    entries = [json.loads(line) for line in server.log().splitlines()]

    assert "Login from 127.0.0.1" in [entry["message"] for entry in entries]


def test_the_health_check_tells_whether_it_serves(server: FileServer) -> None:
    [nobody] = free_ports(1)

    assert [health(port) for port in (server.port, nobody)] == [0, 1]


def health(port: int) -> int:
    command = [sys.executable, "-m", "ftp_server.health"]
    environment = {"OV2XMP_BIND": "0.0.0.0", "OV2XMP_FTP_PORT": str(port)}
    return subprocess.run(command, cwd=BASE_DIR, env=environment, check=False, timeout=20).returncode
