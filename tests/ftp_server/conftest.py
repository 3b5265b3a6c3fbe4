import ftplib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fileservers import PASSWORD, USERNAME, FileServer, running

Connect = Callable[[FileServer], ftplib.FTP]
Start = Callable[..., FileServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a server with settings of its own."""
    with ExitStack() as stack:
        yield lambda folder=None, **settings: stack.enter_context(running("ftp_server", tmp_path, settings, folder))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """A server that the tests of a module share."""
    settings = {"OV2XMP_LOG_LEVEL": "DEBUG", "OV2XMP_LOG_FORMAT": "json"}
    with running("ftp_server", tmp_path_factory.mktemp("ftp"), settings) as server:
        yield server


@pytest.fixture
def emptied(server: FileServer) -> FileServer:
    """The shared server, with nothing in its folder."""
    server.empty()
    return server


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return a function that logs a client in."""
    with ExitStack() as stack:

        def connect(server: FileServer) -> ftplib.FTP:
            client = stack.enter_context(ftplib.FTP(timeout=10))
            client.connect("127.0.0.1", server.port)
            client.login(USERNAME, PASSWORD)
            return client

        yield connect


@pytest.fixture
def client(server: FileServer, connect: Connect) -> ftplib.FTP:
    return connect(server)
