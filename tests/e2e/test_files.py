"""A station's files, from its disk over the real file servers to an operator's browser and back."""

import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.certificates import Authority
from tests.e2e.frontend import listening
from tests.e2e.launcher import Platform, settled, shared_platform
from tests.e2e.storage import Template
from tests.simulator.transfer import NotAllowed, Transfer, TransferFailed
from tests.simulator.v16 import Station16, timestamp

LARGE = 64 * 1024 * 1024  # bytes


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, authority: Authority, template: Template) -> Iterator[Platform]:
    """A platform whose FTP server takes nobody without TLS, and whose web process serves one request at a time."""
    papers = authority.server()
    settings = {
        "OV2XMP_FTP_TLS_CERTIFICATE": papers.certificate,
        "OV2XMP_FTP_TLS_KEY": papers.key,
        "OV2XMP_FTP_TLS_REQUIRED": "1",
        "OV2XMP_WEB_MAX_REQUESTS": "1",
        "OV2XMP_WEB_QUEUE_TIMEOUT": "1",
    }
    data_dir = tmp_path_factory.mktemp("secure") / "var"
    with template.copied(data_dir) as storage, shared_platform(data_dir, storage | settings) as platform:
        yield platform


@asynccontextmanager
async def station(
    platform: Platform, identity: str, transfer: Transfer, protocols: str = "FTP,HTTP"
) -> AsyncIterator[Station16]:
    """Connect a station that transfers files, by some protocols, and wait until the platform knows which."""
    async with Station16(platform.ocpp, identity, autonomous=True, transfer=transfer) as connected:
        connected.configuration["SupportedFileTransferProtocols"].value = protocols
        await connected.start_up()
        await ask(platform, "getconfiguration", chargepoint_id=identity)
        yield connected


async def ask(platform: Platform, action: str, **body: Any) -> Any:
    async with httpx.AsyncClient(headers=platform.client.headers, timeout=40, trust_env=False) as client:
        answer = await client.post(f"{platform.web}/api/ocpp16/{action}/", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["message"]


def job_of(platform: Platform, resource: str, identity: str) -> dict[str, Any]:
    (job,) = platform.client.get(f"/api/{resource}/", params={"chargepoint_id": identity}).json()["results"]
    return job  # type: ignore[no-any-return]


def check_log(platform: Platform, charger: Station16, scheme: str) -> None:
    """Check that REST shows the only log of a station, and gives it out byte for byte."""
    job = job_of(platform, "logupload", charger.identity)
    ((name, content),) = charger.uploaded.items()
    path = f"logs/{charger.identity}/{job['id']}/{name}"
    assert job["location"].startswith(f"{scheme}://ov2xmp:********@127.0.0.1:")
    assert (job["status"], job["path"], job["flags"]) == ("Uploaded", path, [])
    ((file,), listed) = (
        job["files"],
        platform.client.get("/api/file/", params={"chargepoint_id": charger.identity}).json(),
    )
    assert (file["path"], file["size"]) == (path, len(content))
    assert listed["results"] == [
        {**file, "kind": "log", "chargepoint_id": charger.identity, "logupload": job["id"], "firmwareupdate": None}
    ]
    assert platform.client.get(file["url"]).content == content
    assert stat.S_IMODE((platform.data_dir / "files" / path).stat().st_mode) == 0o600


async def test_diagnostics_come_over_ftp(platform: Platform) -> None:
    async with listening(platform, "FILES-1") as frontend, station(platform, "FILES-1", Transfer()) as charger:
        answer = await ask(platform, "getdiagnostics", chargepoint_id="FILES-1")
        assert answer == {"file_name": "FILES-1-diagnostics.log"}
        told = await frontend.until("logupload", status="Uploaded")
        assert told == job_of(platform, "logupload", "FILES-1")
        check_log(platform, charger, "ftp")


@pytest.mark.parametrize(("identity", "multipart"), [("FILES-2", False), ("FILES-3", True)])
async def test_a_log_comes_over_http_put_or_posted(platform: Platform, identity: str, multipart: bool) -> None:
    means = Transfer(multipart=multipart)
    async with listening(platform, identity) as frontend, station(platform, identity, means, "HTTP") as charger:
        await ask(platform, "getlog", chargepoint_id=identity, log_type="SecurityLog")
        await frontend.until("logupload", status="Uploaded")
        check_log(platform, charger, "http")


async def test_a_log_comes_over_ftps(secure: Platform, authority: Authority) -> None:
    means = Transfer(tls=authority.trusting())
    async with listening(secure, "FILES-4") as frontend, station(secure, "FILES-4", means, "FTPS") as charger:
        await ask(secure, "getlog", chargepoint_id="FILES-4", log_type="DiagnosticsLog")
        await frontend.until("logupload", status="Uploaded")
        check_log(secure, charger, "ftps")
        with pytest.raises(TransferFailed):
            await Transfer().upload(f"ftp://ov2xmp:x@127.0.0.1:{secure.ftp_port}/files/", "a.log", b"")


async def test_an_upload_that_is_refused_is_told_and_leaves_nothing(platform: Platform) -> None:
    async with listening(platform, "FILES-5") as frontend, station(platform, "FILES-5", Transfer()) as charger:
        location = f"ftp://ov2xmp:wrong@127.0.0.1:{platform.ftp_port}/files/logs/FILES-5/0/"
        await ask(
            platform, "getlog", chargepoint_id="FILES-5", log_type="SecurityLog", log={"remote_location": location}
        )
        await frontend.until("logupload", status="PermissionDenied")
        assert not charger.uploaded
    assert platform.client.get("/api/file/", params={"chargepoint_id": "FILES-5"}).json()["count"] == 0
    with pytest.raises(NotAllowed):
        await Transfer().download(f"{platform.files_http}/http/files/")


@pytest.mark.parametrize(("identity", "protocol"), [("FILES-6", "HTTP"), ("FILES-7", "FTP")])
async def test_a_station_fetches_the_firmware_that_an_operator_put_there(
    platform: Platform, identity: str, protocol: str
) -> None:
    image, path = os.urandom(1_000_000), f"acme/{identity}.bin"
    async with listening(platform, identity) as frontend, station(platform, identity, Transfer(), protocol) as charger:
        platform.client.put(f"/api/file/{path}", content=image).raise_for_status()
        retrieve = timestamp(datetime.now(UTC))
        await ask(platform, "updatefirmware", chargepoint_id=identity, retrieve_date=retrieve, location=path)
        await frontend.until("firmwareupdate", status="Installed")
        assert charger.firmware == image
    job = job_of(platform, "firmwareupdate", identity)
    assert job["location"].startswith(f"{protocol.lower()}://")
    (listed,) = platform.client.get("/api/file/", params={"job": job["id"], "kind": "firmware"}).json()["results"]
    assert (listed["path"], listed["size"], listed["firmwareupdate"]) == (path, len(image), job["id"])


async def test_firmware_may_be_put_there_until_it_is_fetched(platform: Platform) -> None:
    async with listening(platform, "FILES-8") as frontend, station(platform, "FILES-8", Transfer()) as charger:
        later = timestamp(datetime.now(UTC) + timedelta(seconds=1.5))
        await ask(platform, "updatefirmware", chargepoint_id="FILES-8", retrieve_date=later)
        job = job_of(platform, "firmwareupdate", "FILES-8")
        assert (job["path"], job["flags"]) == (f"firmware/{job['id']}/firmware.bin", ["file_missing"])
        platform.client.put(f"/api/file/{job['path']}", content=b"image").raise_for_status()
        assert (await frontend.until("firmwareupdate", flags=[]))["files"][0]["size"] == 5
        await frontend.until("firmwareupdate", status="Installed")
        assert charger.firmware == b"image"


async def test_firmware_that_is_not_there_is_told(platform: Platform) -> None:
    async with listening(platform, "FILES-9") as frontend, station(platform, "FILES-9", Transfer()) as charger:
        now = timestamp(datetime.now(UTC))
        await ask(platform, "updatefirmware", chargepoint_id="FILES-9", retrieve_date=now)
        failed = await frontend.until("firmwareupdate", status="DownloadFailed")
        assert (failed["flags"], charger.firmware) == (["file_missing"], None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process has read")
def test_a_slow_download_holds_up_nobody(secure: Platform) -> None:
    path = secure.data_dir / "files" / "large.bin"
    with path.open("wb") as file:
        file.truncate(LARGE)
    target = httpx.URL(secure.web)
    token = secure.client.headers["Authorization"]
    web = secure.child("-m daphne")
    before = web.io_counters().read_chars
    with closing(socket.create_connection((target.host, target.port or 80), timeout=20)) as slow:
        slow.sendall(
            f"GET /api/file/large.bin HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        head = slow.recv(1000)
        assert head.startswith(b"HTTP/1.1 200 ")
        # What the client leaves unread is not kept in memory.
        assert settled(lambda: web.io_counters().read_chars - before) < LARGE // 4
        # One request at a time, and the download is on its way.
        assert [secure.client.get("/api/file/").status_code for _ in range(3)] == [200] * 3
        received = len(head)
        while block := slow.recv(1 << 20):
            received += len(block)
    assert received > LARGE
