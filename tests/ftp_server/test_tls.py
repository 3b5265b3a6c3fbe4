import ftplib
import io
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.certificates import Authority, Papers
from tests.fileservers import PASSWORD, USERNAME, FileServer, cut
from tests.ftp_server.conftest import Connect, Start
from tests.ftp_server.test_sessions import refusal

CONTENT = bytes(range(256)) * 4000

Secure = Callable[..., ftplib.FTP_TLS]


class ImplicitFTP(ftplib.FTP_TLS):
    """A client that speaks TLS from the first byte on, as libcurl does with ``ftps://``."""

    def connect(self, host: str = "", port: int = 0, timeout: float = 10, source_address: None = None) -> str:  # type: ignore[override]
        self.host, self.port, self.timeout = host, port, timeout
        plain = socket.create_connection((host, port), timeout)
        self.af = plain.family
        self.sock = self.context.wrap_socket(plain, server_hostname=host)  # type: ignore[assignment]
        self.file = self.sock.makefile("r", encoding="utf-8")
        self.welcome = self.getresp()
        return self.welcome


@pytest.fixture
def tls(authority: Authority) -> dict[str, str]:
    """Settings of a server with TLS."""
    papers = authority.server()
    return {"OV2XMP_FTP_TLS_CERTIFICATE": papers.certificate, "OV2XMP_FTP_TLS_KEY": papers.key}


@pytest.fixture
def secure(authority: Authority) -> Iterator[Secure]:
    """Return a function that connects a client with TLS."""
    with ExitStack() as stack:

        def secure(server: FileServer, kind: type[ftplib.FTP_TLS] = ftplib.FTP_TLS) -> ftplib.FTP_TLS:
            client = stack.enter_context(kind(timeout=10, context=authority.trusting()))
            client.connect("127.0.0.1", server.port)
            return client

        yield secure


@pytest.mark.parametrize("kind", [ftplib.FTP_TLS, ImplicitFTP])
def test_files_are_sent_and_fetched_with_tls_however_it_begins(
    start: Start, tls: dict[str, str], secure: Secure, kind: type[ftplib.FTP_TLS]
) -> None:
    server = start(**tls, OV2XMP_FTP_TLS_REQUIRED="1")
    client = secure(server, kind)
    assert "ready" in str(client.welcome)
    client.login(USERNAME, PASSWORD)
    client.prot_p()

    assert client.storbinary("STOR files/logs/CP1/1/log.zip", io.BytesIO(CONTENT)).startswith("226")
    fetched = io.BytesIO()
    client.retrbinary("RETR logs/CP1/1/log.zip", fetched.write, rest=1000)

    assert server.files() == {"logs/CP1/1/log.zip": CONTENT}
    assert fetched.getvalue() == CONTENT[1000:]
    assert isinstance(client.sock, ssl.SSLSocket)


def test_a_client_without_tls_is_served_unless_that_is_forbidden(
    start: Start, tls: dict[str, str], connect: Connect
) -> None:
    client = connect(start(**tls, OV2XMP_FTP_TLS_HELLO_TIMEOUT="0.1"))
    assert client.storbinary("STOR log.zip", io.BytesIO(CONTENT)).startswith("226")

    with pytest.raises(ftplib.error_perm, match="550 SSL/TLS required on the control channel"):
        connect(start(**tls, OV2XMP_FTP_TLS_HELLO_TIMEOUT="0", OV2XMP_FTP_TLS_REQUIRED="1"))


def test_a_client_that_speaks_before_it_is_greeted_is_understood(start: Start, tls: dict[str, str]) -> None:
    server = start(**tls, OV2XMP_FTP_TLS_HELLO_TIMEOUT="30")
    with socket.create_connection(("127.0.0.1", server.port), 10) as hasty, hasty.makefile() as replies:
        hasty.sendall(b"NOOP\r\n")
        assert replies.readline().startswith("220")
        assert replies.readline().startswith("200")


def test_data_without_tls_is_refused_where_tls_is_required(start: Start, tls: dict[str, str], secure: Secure) -> None:
    client = secure(start(**tls, OV2XMP_FTP_TLS_REQUIRED="1"))
    client.login(USERNAME, PASSWORD)

    with pytest.raises(ftplib.error_perm, match="550 SSL/TLS required on the data channel"):
        client.storbinary("STOR log.zip", io.BytesIO(CONTENT))


def test_an_old_tls_version_is_refused(start: Start, tls: dict[str, str], authority: Authority) -> None:
    server = start(**tls)
    context = authority.trusting()
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_renewed_certificate_is_used_without_a_restart(
    start: Start, authority: Authority, secure: Secure, tmp_path: Path
) -> None:
    def install(papers: Papers) -> None:
        shutil.copy(papers.certificate, tmp_path / "server.pem")
        shutil.copy(papers.key, tmp_path / "server.key")

    def shown() -> object:
        client = secure(server, ImplicitFTP)
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert()["serialNumber"]  # type: ignore[index]

    install(authority.server())
    server = start(
        OV2XMP_FTP_TLS_CERTIFICATE=str(tmp_path / "server.pem"), OV2XMP_FTP_TLS_KEY=str(tmp_path / "server.key")
    )
    first = shown()
    (tmp_path / "server.pem").write_text("half written")
    assert shown() == first
    install(authority.server())

    assert shown() != first


def test_a_key_of_another_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    refused = refusal(
        tmp_path,
        OV2XMP_FTP_PASSWORD=PASSWORD,
        OV2XMP_FTP_TLS_CERTIFICATE=authority.server().certificate,
        OV2XMP_FTP_TLS_KEY=authority.server().key,
    )
    assert "OV2XMP_FTP_TLS_KEY: " in refused


def test_a_lost_link_with_tls_is_no_end_of_a_file(start: Start, tls: dict[str, str], secure: Secure) -> None:
    server = start(**tls, OV2XMP_FTP_RESUME_TIMEOUT="0")
    client = secure(server)
    client.login(USERNAME, PASSWORD)
    client.prot_p()
    data = client.transfercmd("STOR log.zip")
    data.sendall(CONTENT)
    cut(data)

    with pytest.raises(ftplib.error_temp, match="426"):
        client.voidresp()
    assert server.is_empty()
