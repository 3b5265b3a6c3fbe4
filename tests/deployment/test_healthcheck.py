import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks import broker
from tests.deployment.compose import ROOT
from tests.e2e.launcher import free_ports


class Handler(BaseHTTPRequestHandler):
    """Answers as `status` says, and only to a name that Django would serve."""

    status = 200

    def do_GET(self) -> None:
        known = self.path in ("/api/health/", "/healthz") and self.headers["Host"] == "localhost"
        self.send_response(self.status if known else 400)
        self.end_headers()
        self.wfile.write(b'{"status": "down"}')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that stands for web and csms."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield listening.server_address[1]
        listening.shutdown()
        thread.join()


def check(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deployment.healthcheck", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("name", ["web", "csms"])
def test_a_server_that_answers_200_is_healthy(name: str, server: int) -> None:
    done = check(name, **{f"OV2XMP_{name.upper()}_PORT": str(server)})

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["web", "csms"])
def test_a_server_that_answers_503_is_not_and_its_reason_is_told(
    name: str, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "status", 503)

    done = check(name, **{f"OV2XMP_{name.upper()}_PORT": str(server)})

    assert done.returncode == 1
    assert 'answers 503 {"status": "down"}' in done.stderr


def test_a_server_that_is_not_there_is_not_healthy() -> None:
    (port,) = free_ports(1)

    done = check("web", OV2XMP_WEB_PORT=str(port))

    assert done.returncode == 1
    assert f"port {port} does not answer" in done.stderr


def test_a_worker_is_healthy_while_it_does_its_housekeeping(redis_url: str, redis_settings: str) -> None:
    settings = {"OV2XMP_REDIS_URL": redis_url, "OV2XMP_REDIS_PREFIX": redis_settings}

    idle = check("worker", **settings)
    broker.note_worker()
    busy = check("worker", **settings)

    assert (idle.returncode, idle.stderr) == (1, "no worker did its housekeeping of late\n")
    assert (busy.returncode, busy.stderr) == (0, "")


def test_a_worker_without_redis_is_not_healthy() -> None:
    (port,) = free_ports(1)

    done = check("worker", OV2XMP_REDIS_URL=f"redis://127.0.0.1:{port}/0")

    assert done.returncode == 1
    assert "redis does not answer" in done.stderr


def test_what_it_does_not_know_is_named() -> None:
    done = check("kitchen")

    assert (done.returncode, done.stderr) == (2, "usage: python -m deployment.healthcheck web|csms|worker\n")
