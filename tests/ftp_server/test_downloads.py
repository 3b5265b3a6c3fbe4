import ftplib
import io
from pathlib import Path

import pytest

from tests.fileservers import FileServer

FIRMWARE = bytes(range(256)) * 4000


@pytest.fixture
def firmware(server: FileServer) -> str:
    """The path of a firmware that an operator has put there."""
    path = server.folder / "firmware/7/firmware.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FIRMWARE)
    return "firmware/7/firmware.bin"


def fetch(client: ftplib.FTP, path: str, start: int | None = None) -> bytes:
    content = io.BytesIO()
    client.retrbinary(f"RETR {path}", content.write, rest=start)
    return content.getvalue()


@pytest.mark.parametrize("beginning", ["/files/", "files/", "/", ""])
def test_firmware_is_fetched_from_where_its_url_says(client: ftplib.FTP, firmware: str, beginning: str) -> None:
    assert fetch(client, beginning + firmware) == FIRMWARE


def test_a_download_goes_on_where_it_was(client: ftplib.FTP, firmware: str) -> None:
    client.voidcmd("TYPE A")
    assert client.size(firmware) == len(FIRMWARE)
    assert fetch(client, firmware, 1_000_000) == FIRMWARE[1_000_000:]


def test_ascii_mode_changes_no_firmware(client: ftplib.FTP, firmware: str) -> None:
    client.voidcmd("TYPE A")
    with client.transfercmd(f"RETR {firmware}") as data, data.makefile("rb") as file:
        assert file.read() == FIRMWARE
    client.voidresp()


def test_a_download_does_not_go_on_beyond_the_end(client: ftplib.FTP, firmware: str) -> None:
    with pytest.raises(ftplib.error_perm, match="554"):
        fetch(client, firmware, len(FIRMWARE) + 1)


@pytest.mark.parametrize(
    "path", ["../../../etc/passwd", "/files/../../etc/passwd", ".uploads/x", "/files/.hidden", "out/secret", "nothing"]
)
def test_nothing_else_can_be_fetched(server: FileServer, client: ftplib.FTP, tmp_path: Path, path: str) -> None:
    (server.folder / ".hidden").write_text("hidden")
    (tmp_path / "secret").write_text("secret")
    link = server.folder / "out"
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path)

    with pytest.raises(ftplib.error_perm, match="550"):
        fetch(client, path)


def test_listings_show_files_and_no_hidden_ones(server: FileServer, client: ftplib.FTP, firmware: str) -> None:
    (server.folder / "firmware/7/.hidden").write_text("hidden")
    folder = "/files/firmware/7"
    lines: list[str] = []
    client.retrlines(f"LIST {folder}", lines.append)
    facts = dict(client.mlsd(folder))

    assert client.nlst(folder) == ["firmware.bin"]
    assert [line.split()[-1] for line in lines] == ["firmware.bin"]
    assert list(facts) == ["firmware.bin"]
    assert facts["firmware.bin"]["size"] == str(len(FIRMWARE))
    assert client.voidcmd(f"MDTM {folder}/firmware.bin").startswith("213 ")


def test_a_client_that_disconnects_during_a_download_harms_nobody(
    server: FileServer, client: ftplib.FTP, firmware: str
) -> None:
    data = client.transfercmd(f"RETR {firmware}")
    data.recv(1)
    data.close()
    client.getmultiline()

    assert fetch(client, firmware) == FIRMWARE
