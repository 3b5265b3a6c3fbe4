"""The script that prepares Elasticsearch, against a stand-in that records what it is asked and answers as told."""

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.launcher import free_ports

SCRIPT = Path(__file__).parents[2] / "elk/elk-setup.sh"
PASSWORDS = {
    "ELASTIC_PASSWORD": "elastics-own:%$",
    "KIBANA_SYSTEM_PASSWORD": "kibanas-own'&",
    "LOGSTASH_WRITER_PASSWORD": "logstashs-own",
}
PUTS = [
    ("POST", "/_security/user/kibana_system/_password"),
    ("PUT", "/_security/role/logstash_writer"),
    ("PUT", "/_security/user/logstash_writer"),
    ("PUT", "/_ilm/policy/logs-ov2xmp"),
    ("PUT", "/_index_template/logs-ov2xmp"),
]

pytestmark = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="the script needs bash and curl"
)


class Asked(NamedTuple):
    method: str
    path: str
    account: str
    body: Any


class Elasticsearch(ThreadingHTTPServer):
    """Answers 200, or for a path the statuses that `answers` has for it, one after the other."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Asked] = []
        self.answers: dict[str, list[int]] = {}

    def environment(self) -> dict[str, str]:
        return {"ELASTICSEARCH_URL": f"http://127.0.0.1:{self.server_port}", "SETUP_TIMEOUT": "20", **PASSWORDS}

    def puts(self) -> list[tuple[str, str]]:
        return [(each.method, each.path) for each in self.asked if each.method != "GET"]


class Handler(BaseHTTPRequestHandler):
    server: Elasticsearch

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        account = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        text = self.rfile.read(length)
        # Elasticsearch refuses a body that it does not know, and one that does not say what it is.
        assert not text or self.headers["Content-Type"] == "application/json"
        path = self.path.partition("?")[0]
        self.server.asked.append(Asked(self.command, path, account, json.loads(text) if text else None))
        left = self.server.answers.get(path, [])
        status = left.pop(0) if left else 200
        answer = json.dumps({"status": status}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = handle_any

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def elasticsearch() -> Iterator[Elasticsearch]:
    with Elasticsearch() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        ["bash", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
        stdin=subprocess.DEVNULL,
    )


def test_everything_is_put_once_and_in_order(elasticsearch: Elasticsearch) -> None:
    done = run(elasticsearch.environment() | {"LOG_RETENTION_DAYS": "7"})
    assert (done.returncode, done.stderr) == (0, "")
    assert elasticsearch.asked[0].path == "/_cluster/health"
    assert elasticsearch.puts() == PUTS
    assert {each.account for each in elasticsearch.asked} == {f"elastic:{PASSWORDS['ELASTIC_PASSWORD']}"}
    kibana, role, writer, policy, template = (each.body for each in elasticsearch.asked[1:])
    assert kibana == {"password": PASSWORDS["KIBANA_SYSTEM_PASSWORD"]}
    assert writer["password"] == PASSWORDS["LOGSTASH_WRITER_PASSWORD"]
    assert writer["roles"] == ["logstash_writer"]
    assert role["indices"][0]["names"] == template["index_patterns"] == ["logs-ov2xmp-*"]
    assert policy["policy"]["phases"]["delete"]["min_age"] == "7d"
    assert template["template"]["settings"]["index.lifecycle.name"] == "logs-ov2xmp"


def test_running_it_again_puts_the_same(elasticsearch: Elasticsearch) -> None:
    for _ in range(2):
        assert run(elasticsearch.environment()).returncode == 0
    half = len(elasticsearch.asked) // 2
    assert elasticsearch.asked[:half] == elasticsearch.asked[half:]


def test_it_waits_for_an_elasticsearch_that_is_starting(elasticsearch: Elasticsearch) -> None:
    elasticsearch.answers = {"/_cluster/health": [401, 408], "/_security/role/logstash_writer": [503]}
    assert run(elasticsearch.environment()).returncode == 0
    assert [each.path for each in elasticsearch.asked[:3]] == ["/_cluster/health"] * 3
    assert elasticsearch.puts() == [*PUTS[:2], PUTS[1], *PUTS[2:]]


def test_it_gives_up_in_time_and_says_what_it_was_answered(elasticsearch: Elasticsearch) -> None:
    elasticsearch.answers = {"/_cluster/health": [401] * 100}
    given_up = run(elasticsearch.environment() | {"SETUP_TIMEOUT": "1"})
    assert given_up.returncode == 1
    assert "waiting for Elasticsearch: not done within 1 seconds" in given_up.stderr
    assert 'answers 401: {"status": 401}' in given_up.stderr
    assert not elasticsearch.puts()


def test_without_an_elasticsearch_it_says_why() -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    given_up = run({**PASSWORDS, "ELASTICSEARCH_URL": url, "SETUP_TIMEOUT": "1"})
    assert given_up.returncode == 1
    assert f"Elasticsearch at {url} answers 000: curl: (7)" in given_up.stderr


def test_what_is_refused_ends_it_at_once(elasticsearch: Elasticsearch) -> None:
    elasticsearch.answers = {"/_ilm/policy/logs-ov2xmp": [400]}
    refused = run(elasticsearch.environment())
    assert refused.returncode == 1
    assert 'deletion after 30 days: Elasticsearch answers 400: {"status": 400}' in refused.stderr
    assert elasticsearch.puts() == PUTS[:4]


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("ELASTIC_PASSWORD", "", "ELASTIC_PASSWORD is not set"),
        ("KIBANA_SYSTEM_PASSWORD", 'with"quote', "KIBANA_SYSTEM_PASSWORD must have"),
        ("LOGSTASH_WRITER_PASSWORD", "with blank", "LOGSTASH_WRITER_PASSWORD must have"),
        ("LOGSTASH_WRITER_PASSWORD", "back\\slash", "LOGSTASH_WRITER_PASSWORD must have"),
        ("KIBANA_SYSTEM_PASSWORD", "short", "KIBANA_SYSTEM_PASSWORD must have"),
        ("LOG_RETENTION_DAYS", "a month", "LOG_RETENTION_DAYS must be a number of days, not 'a month'"),
        ("SETUP_TIMEOUT", "0", "SETUP_TIMEOUT must be a number of seconds, not '0'"),
    ],
)
def test_a_setting_that_is_no_good_is_named_and_nothing_is_asked(
    elasticsearch: Elasticsearch, variable: str, value: str, reason: str
) -> None:
    refused = run(elasticsearch.environment() | {variable: value})
    assert refused.returncode == 1
    assert reason in refused.stderr
    assert not elasticsearch.asked


def test_no_password_is_told(elasticsearch: Elasticsearch) -> None:
    elasticsearch.answers = {"/_index_template/logs-ov2xmp": [400]}
    told = run(elasticsearch.environment())
    assert not [password for password in PASSWORDS.values() if password in told.stdout + told.stderr]
