from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.fileservers import PASSWORD, USERNAME, FileServer, running

Connect = Callable[[FileServer], httpx.Client]
Start = Callable[..., FileServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a server with settings of its own."""
    with ExitStack() as stack:
        yield lambda folder=None, **settings: stack.enter_context(
            running("http_file_server", tmp_path, settings, folder)
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """A server that the tests of a module share."""
    settings = {"OV2XMP_LOG_LEVEL": "DEBUG", "OV2XMP_LOG_FORMAT": "json"}
    with running("http_file_server", tmp_path_factory.mktemp("http"), settings) as server:
        yield server


@pytest.fixture
def emptied(server: FileServer) -> FileServer:
    """The shared server, with nothing in its folder."""
    server.empty()
    return server


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return a function that makes a client with the right account."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(
            httpx.Client(
                base_url=f"http://127.0.0.1:{server.port}", auth=(USERNAME, PASSWORD), timeout=10, trust_env=False
            )
        )


@pytest.fixture
def client(server: FileServer, connect: Connect) -> httpx.Client:
    return connect(server)
