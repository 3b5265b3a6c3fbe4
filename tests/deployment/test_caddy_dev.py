"""Caddyfile-dev, with a server behind it that tells what arrives."""

from collections.abc import Iterator

import httpx
import pytest

from tests.certificates import LOCALHOST
from tests.e2e.edge import Caddy
from tests.e2e.stand_ins import echo

PATHS = ["/api/", "/admin/", "/static/x.css", "/ws/ocpp/CP1", "/ws/updates/all/", "/http/upload/x", "/somewhere"]


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caddy]:
    directory = tmp_path_factory.mktemp("caddy")
    with echo() as upstream:
        everything = {f"OV2XMP_CADDY_{name}": upstream for name in ("WEB", "FILES", "FRONTEND", "FILEBROWSER")}
        csms = {"OV2XMP_CADDY_CSMS_HOST": LOCALHOST, "OV2XMP_CADDY_CSMS_PORT": upstream.split(":")[1]}
        caddy = Caddy(directory, "caddyfile-dev", **everything, **csms, OV2XMP_FILES_DIR=str(directory / "files"))
        (directory / "files").mkdir()
        (directory / "files/firmware.bin").write_bytes(b"firmware")
        with caddy.running(directory / "log"):
            yield caddy


def test_everything_is_there_on_plain_http_and_on_tls(caddy: Caddy) -> None:
    for base in (caddy.http, caddy.https):
        with httpx.Client(base_url=base, verify=caddy.trusting(), trust_env=False) as client:
            for path in (*PATHS, "/filebrowser/"):
                told = client.get(path).json()
                assert told["path"] == path
                assert told["headers"]["x-forwarded-proto"] == [base.partition(":")[0]]
            assert client.get("/http/files/firmware.bin").content == b"firmware"
            # A browser that has heard it once would not open other servers of this machine any more.
            assert "Strict-Transport-Security" not in client.get("/").headers
