"""What the file servers are asked that no station would: they answer as documented, and nothing outside is read or written."""

import contextlib
import ftplib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fileservers import PASSWORD, USERNAME, FileServer, running
from tests.fuzz import odd, wire
from tests.fuzz.wire import Log, fuzzed
from tests.http_file_server.raw import AUTHORIZATION

# Beside the folder of files; its content must never be told, nor change.
SECRET = b"nobody's business"
LINE_ENDS = b"\r\n"
# What a request is answered with, besides what all are (docs/files.md).
HTTP_STATUSES = (200, 201, 204, 206, 304, 400, 401, 404, 405, 408, 409, 412, 413, 416, 417, 507)
SETTINGS = {"OV2XMP_LOG_FORMAT": "json", "OV2XMP_FTP_ALLOW_CHANGES": "1", "OV2XMP_FILES_LOGIN_LIMIT": "1000000000"}


class Guarded:
    """A file server whose folder has neighbours."""

    def __init__(self, server: FileServer, neighbour: Path) -> None:
        self.server = server
        self.log = Log(server.log)
        self._neighbour = neighbour
        self._around = self._outside()

    def _outside(self) -> set[tuple[str, bytes]]:
        return {
            (path.as_posix(), path.read_bytes() if path.is_file() else b"")
            for path in self._neighbour.parent.rglob("*")
            if not path.is_relative_to(self.server.folder) and path.suffix != ".log"
        }

    def check(self, told: bytes) -> None:
        assert SECRET not in told, told
        assert not (failures := self.log.failures()), failures
        assert self._outside() == self._around

    def check_names(self) -> None:
        """Check that what has been stored has names that every disk and every URL takes."""
        for path in self.server.files():
            assert all(name.isascii() and not name.startswith(".") and len(name) <= 110 for name in path.split("/")), (
                path
            )


@contextlib.contextmanager
def guarded(module: str, directory: Path) -> Iterator[Guarded]:
    neighbour = directory / "secret.txt"
    neighbour.write_bytes(SECRET)
    with running(module, directory, SETTINGS) as server:
        (server.folder / "logs" / "CP1").mkdir(parents=True)
        (server.folder / "logs" / "CP1" / "a.log").write_bytes(b"0123456789")
        (server.folder / "out").symlink_to(directory)
        (server.folder / "secret.txt").symlink_to(neighbour)
        yield Guarded(server, neighbour)


@pytest.fixture(scope="module")
def http_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded("http_file_server", tmp_path_factory.mktemp("http")) as server:
        yield server


@pytest.fixture(scope="module")
def ftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded("ftp_server", tmp_path_factory.mktemp("ftp")) as server:
        yield server


beginnings = st.sampled_from(
    [b"/", b"", b"/http/files/", b"/http/upload/", b"/logs/CP1/", b"/logs/CP1/a.log", b"/http/upload/logs/CP1/a.log/", b"/out/", b"/secret.txt", b"/auth", b"/healthz", b"http://x/", b"*", b"/.uploads/"]
)  # fmt: skip
DISPOSITIONS = [
    b'form-data; name="f"; filename="../../x.txt"',
    b'form-data; name="f"; filename=""',
    b'form-data; name="f"; filename="\xff\xfe"',
    b"form-data; name=\"f\"; filename*=utf-8''%00%2f..%2f",
    b"form-data; name=\"f\"; filename*=nothing''x",
    b'form-data; filename="' + b"x" * 4000 + b'"',
    b"attachment",
    b"",
    b"\x7f",
]
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=100),
    st.builds(
        lambda disposition, more, content, end: (
            b"--b\r\nContent-Disposition: %s\r\n%s\r\n\r\n%s\r\n%s" % (disposition, more, content, end)
        ),
        st.sampled_from(DISPOSITIONS),
        st.sampled_from([b"X: y", b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: \xff", b"Content-Type: multipart/mixed; boundary=c", b"Content-Length: -1", b"nothing"]),
        st.binary(max_size=20),
        st.sampled_from([b"--b--\r\n", b"--b\r\n", b"", b"--c--"]),
    ),
)  # fmt: skip


@fuzzed(60)
@given(
    odd.methods,
    odd.targets(beginnings),
    st.lists(
        st.one_of(
            odd.header,
            st.sampled_from([(b"Content-Type", b"multipart/form-data; boundary=b")]),
            st.sampled_from(DISPOSITIONS).map(lambda value: (b"Content-Disposition", value)),
        ),
        max_size=3,
    ),
    bodies,
)
def test_odd_requests_for_files_are_answered_as_documented(
    http_server: Guarded, method: bytes, target: bytes, headers: Any, body: bytes
) -> None:
    names = {name.lower() for name, _ in headers}
    own = [(b"Host", b"files"), tuple(AUTHORIZATION.encode().split(b": ", 1))]
    told = [
        *(each for each in own if each[0].lower() not in names),
        *headers,
        (b"Connection", b"close"),
        (b"Content-Length", b"%d" % len(body)),
    ]

    answer = wire.ask(http_server.server.port, wire.request(method, target, told, body))

    http_server.check(answer.body)
    assert answer.status in HTTP_STATUSES, answer
    if answer.status >= 400 and method != b"HEAD":
        assert answer.headers["content-type"].startswith("application/json"), answer
        assert answer.json().keys() == {"code", "message"}, answer
    http_server.check_names()


VERBS = ["ABOR", "ALLO", "APPE", "CDUP", "CWD", "DELE", "EPRT", "EPSV", "FEAT", "HELP", "LIST", "MDTM", "MFMT", "MKD", "MLSD", "MLST", "MODE", "NLST", "NOOP", "OPTS", "PASS", "PASV", "PORT", "PWD", "QUIT", "REIN", "REST", "RETR", "RMD", "RNFR", "RNTO", "SITE", "SIZE", "SMNT", "STAT", "STOR", "STOU", "STRU", "SYST", "TYPE", "USER", "XCUP", "XCWD", "XMKD", "XPWD", "XRMD", "AUTH", "PBSZ", "PROT", "NOTHING", "stor", "Retr"]  # fmt: skip
arguments = st.one_of(
    odd.texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    odd.segments,
    st.sampled_from([b"../../secret.txt", b"/files/../../secret.txt", b"out/secret.txt", b"secret.txt", b"logs/CP1/a.log", b"-la", b"A", b"I", b"127,0,0,1,0,1", b"999,1,1,1,1,1", b"|1|127.0.0.1|1|", b"|9|x|99999999|", b"UTF8 ON", b"CHMOD 777 x", b"20200101000000 x", b"99999999999999 x", b"-1", b"ALL"]),
)  # fmt: skip
commands = st.builds(
    lambda verb, argument: (verb.encode() + b" " + argument).translate(None, LINE_ENDS),
    st.sampled_from(VERBS),
    arguments,
)


@fuzzed(30)
@given(st.lists(commands, min_size=1, max_size=5), st.booleans())
def test_odd_commands_are_answered(ftp_server: Guarded, asked: list[bytes], logged_in: bool) -> None:
    login = [f"USER {USERNAME}".encode(), f"PASS {PASSWORD}".encode()] if logged_in else []
    with (
        socket.create_connection(("127.0.0.1", ftp_server.server.port), wire.PATIENCE) as control,
        control.makefile("rb") as replies,
        contextlib.suppress(ConnectionError),
    ):
        heard = [_reply(replies)]
        for line in (*login, *asked):
            control.sendall(line + LINE_ENDS)
            heard.append(_reply(replies))
            if not heard[-1]:
                break
    for reply in filter(None, heard):
        assert reply[:3].isdigit(), heard
        assert reply.endswith(LINE_ENDS), heard
    ftp_server.check(b"".join(heard))
    ftp_server.check_names()


def _reply(replies: BinaryIO) -> bytes:
    """Read a reply, with all its lines (RFC 959, section 4.2)."""
    lines = [replies.readline()]
    if lines[0][3:4] == b"-":
        while lines[-1] and not lines[-1].startswith(lines[0][:3] + b" "):
            lines.append(replies.readline())
    return b"".join(lines)


@fuzzed(20)
@given(st.sampled_from(["STOR", "APPE", "STOU", "RETR", "LIST", "MLSD", "NLST"]), arguments, st.binary(max_size=20))
def test_files_of_odd_names_stay_inside(ftp_server: Guarded, verb: str, argument: bytes, content: bytes) -> None:
    with contextlib.closing(ftplib.FTP(timeout=wire.PATIENCE, encoding="latin-1")) as client:
        client.connect("127.0.0.1", ftp_server.server.port)
        client.login(USERNAME, PASSWORD.encode().decode("latin-1"))
        line = f"{verb} {argument.translate(None, LINE_ENDS).decode('latin-1')}"
        told = b""
        with contextlib.suppress(ftplib.Error, EOFError):
            with client.transfercmd(line) as data:
                if verb.startswith(("ST", "AP")):
                    data.sendall(content)
                    data.shutdown(socket.SHUT_WR)
                while block := data.recv(1 << 16):
                    told += block
            client.voidresp()
    ftp_server.check(told)
    ftp_server.check_names()
