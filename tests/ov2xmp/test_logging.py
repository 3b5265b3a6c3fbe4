"""The log as an operator reads it: what a line says, and that it leads from one process to the next."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from ov2xmp.celery import app
from ov2xmp.logformat import FIELDS, ContextFilter, JsonFormatter, PlainFormatter
from tasks import logcontext
from tests.e2e.launcher import BASE_DIR, wait_until
from tests.e2e.parts import Parts
from tests.e2e.storage import Template
from tests.logstash import Listener
from tests.simulator.v16 import Station16

Line = dict[str, Any]
# What Celery writes past every logger when it is told to end.
CELERYS_OWN = ("", "worker: Warm shutdown (MainProcess)")
ALWAYS = {"@timestamp", "level", "logger", "message", "process", "host", "pid"}


def line(formatter: logging.Formatter, message: str = "text", *args: Any, **options: Any) -> str:
    """Format a record as the console's handler does."""
    extra = options.pop("extra", {})
    record = logging.LogRecord("csms.server", logging.WARNING, "path", 1, message, args, options.pop("exc_info", None))
    vars(record).update(extra)
    ContextFilter().filter(record)
    return formatter.format(record)


def test_a_plain_line_names_what_it_belongs_to() -> None:
    with logcontext.bound(chargepoint_id="CP1", request_id=17):
        text = line(PlainFormatter(), "%s is gone", "it")
    assert text.partition(" WARNING ")[2] == "csms.server [chargepoint_id=CP1 request_id=17]: it is gone"


def test_a_plain_line_that_belongs_to_nothing_is_as_ever() -> None:
    assert line(PlainFormatter()).partition(" WARNING ")[2] == "csms.server: text"


def test_an_odd_id_cannot_forge_a_plain_line() -> None:
    with logcontext.bound(chargepoint_id="A B", request_id="1]: x\n2026-01-01 INFO"):
        text = line(PlainFormatter())
    assert text.splitlines() == [text]
    assert r"[chargepoint_id='A B' request_id='1]: x\n2026-01-01 INFO']" in text


def test_what_a_station_sent_looks_like_no_line_of_its_own() -> None:
    text = line(PlainFormatter(), "CP1 sent %s", "a\n2026 ERROR b\r\x1b[2J")
    assert text.splitlines() == [text]
    assert text.endswith(r"CP1 sent a\n2026 ERROR b\r\x1b[2J")


def test_a_stack_trace_has_lines_of_its_own() -> None:
    try:
        raise ValueError("no good")
    except ValueError:
        text = line(PlainFormatter(), exc_info=sys.exc_info())
    assert text.splitlines()[-1] == "ValueError: no good"


def test_a_json_line_is_one_line_of_known_fields() -> None:
    with logcontext.bound(chargepoint_id="Wallbox é", command_id=uuid4()):
        text = line(JsonFormatter(), "two\nlines \udc80", extra={"password": "hunter2", "request": object()})
    assert text.splitlines() == [text]
    assert text.isascii()
    read = json.loads(text)
    assert read.keys() == ALWAYS | {"chargepoint_id", "command_id"}
    assert (read["level"], read["logger"], read["pid"]) == ("WARNING", "csms.server", os.getpid())
    assert (read["message"], read["chargepoint_id"]) == ("two\nlines \udc80", "Wallbox é")
    assert read["@timestamp"].endswith("Z")


def test_an_exception_is_a_field_of_its_line() -> None:
    try:
        raise KeyError("missing")
    except KeyError:
        read = json.loads(line(JsonFormatter(), "failed", exc_info=sys.exc_info()))
    assert read["message"] == "failed"
    assert read["error_type"] == "KeyError"
    assert read["stack_trace"].endswith("KeyError: 'missing'")


def test_the_fields_are_written_in_one_order() -> None:
    try:
        raise KeyError
    except KeyError:
        with logcontext.bound(chargepoint_id="CP1", request_id="17", command_id="c"):
            text = line(JsonFormatter(), exc_info=sys.exc_info())
    assert tuple(json.loads(text)) == FIELDS


def test_what_a_line_says_itself_goes_before_what_surrounds_it() -> None:
    with logcontext.bound(chargepoint_id="CP1", request_id="17"):
        read = json.loads(line(JsonFormatter(), extra={"chargepoint_id": "CP2"}))
    assert (read["chargepoint_id"], read["request_id"]) == ("CP2", "17")


def test_a_task_belongs_to_its_own_id_and_command_and_gives_back_what_was_before() -> None:
    seen = []

    @app.task(name=f"tests.{uuid4()}")  # type: ignore[untyped-decorator]
    def look(**_: Any) -> None:
        seen.append((logcontext.request_id.get(), logcontext.command_id.get()))
        if not seen[1:]:
            look.apply(kwargs={}, task_id="inner")
            seen.append((logcontext.request_id.get(), logcontext.command_id.get()))

    with logcontext.bound(request_id="http"):
        look.apply(kwargs={"command_id": "c1"}, task_id="outer")
        assert logcontext.request_id.get() == "http"
    assert seen == [("outer", "c1"), ("inner", None), ("outer", "c1")]


class Running(NamedTuple):
    """A platform whose log is JSON, and the Logstash that it tells."""

    parts: Parts
    logstash: Listener

    def console(self) -> list[Line]:
        """Return every line so far; one that is no JSON fails."""
        whole, _, _ = self.parts.text().rpartition("\n")
        return [json.loads(each) for each in whole.splitlines() if each not in CELERYS_OWN]

    def wait_for(self, wanted: Callable[[Line], bool]) -> Line:
        """Wait for a line on the console."""
        wait_until(lambda: any(map(wanted, self.console())), 20, self.parts.text)
        return next(filter(wanted, self.console()))


@pytest.fixture(scope="module")
def running(redis_url: str, template: Template) -> Iterator[Running]:
    with (
        tempfile.TemporaryDirectory(prefix="ov2xmp-tests-") as data_dir,
        template.copied(Path(data_dir)) as storage,
        Listener() as listener,
    ):
        parts = Parts(
            Path(data_dir),
            **{
                "OV2XMP_REDIS_URL": redis_url,
                "OV2XMP_REDIS_PREFIX": f"test-{uuid4().hex[:8]}",
                # Where the tests run as root. It comes before Celery sets its logging up.
                "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
                "OV2XMP_LOG_FORMAT": "json",
                "OV2XMP_LOGSTASH_ENABLE": "1",
                "OV2XMP_LOGSTASH_HOST": "127.0.0.1",
                "OV2XMP_LOGSTASH_PORT": str(listener.port),
                **storage,
            },
        )
        try:
            parts.start("web", "csms", "worker")
            yield Running(parts, listener)
        finally:
            parts.kill_all()


async def test_a_stations_lines_carry_its_name_and_the_message_they_are_about(running: Running) -> None:
    async with Station16(running.parts.ocpp, "LOG1") as station:
        await station.boot()
        await station.send_raw('[2,"odd-1","Fly",{}]')
        refused = running.wait_for(lambda line: "Fly refused" in line["message"])
    assert (refused["process"], refused["chargepoint_id"], refused["request_id"]) == ("csms", "LOG1", "odd-1")
    ended = running.wait_for(lambda line: "LOG1 disconnected" in line["message"])
    assert ended["chargepoint_id"] == "LOG1"
    assert "request_id" not in ended


async def test_a_refused_handshake_is_told_with_the_station_it_was_for(running: Running) -> None:
    headers = running.parts.log_in()
    httpx.post(
        f"{running.parts.web}/api/chargepoint/", json={"chargepoint_id": "LOG2"}, headers=headers, trust_env=False
    ).raise_for_status()
    with pytest.raises(InvalidStatus):
        async with Station16(running.parts.ocpp, "LOG2", password="wrong" * 4):
            pass
    refused = running.wait_for(lambda line: "'LOG2' from 127.0.0.1 refused" in line["message"])
    assert refused["chargepoint_id"] == "LOG2"


def test_a_foreign_host_is_told_in_a_line(running: Running) -> None:
    refused = httpx.get(f"{running.parts.web}/api/", headers={"Host": "elsewhere.example"}, trust_env=False)
    assert refused.json()["code"] == "invalid"
    line = running.wait_for(lambda line: "elsewhere.example" in line["message"])
    assert (line["level"], line["request_id"]) == ("WARNING", refused.headers["X-Request-ID"])
    assert "stack_trace" not in line


async def test_a_command_can_be_followed_through_all_processes(running: Running) -> None:
    headers = {**running.parts.log_in(), "X-Request-ID": "op-1"}
    async with (
        Station16(running.parts.ocpp, "LOG3") as station,
        httpx.AsyncClient(base_url=running.parts.web, headers=headers, timeout=40, trust_env=False) as operator,
    ):
        await station.boot()
        answer = await operator.post("/api/ocpp16/clearcache/", json={"chargepoint_id": "LOG3"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Request-ID"] == "op-1"
    command_id = answer.json()["task_id"]
    running.wait_for(lambda line: line.get("command_id") == command_id and "ended as" in line["message"])
    followed = [line for line in running.console() if line.get("command_id") == command_id]
    assert {line["chargepoint_id"] for line in followed} == {"LOG3"}
    told = {line["process"]: line["message"] for line in followed}
    assert told["web"] == "LOG3: ClearCache is asked for by admin"
    assert told["worker"].startswith("LOG3: ClearCache is handed to csms node ")
    assert told["csms"] == "LOG3: ClearCache ended as answered"
    (asked,) = (line for line in followed if line["process"] == "web")
    assert asked["request_id"] == "op-1"


RENAME = """
import django; django.setup()
from django.db import connection
with connection.cursor() as cursor: cursor.execute("ALTER TABLE {} RENAME TO {}")
"""


def rename_table(running: Running, old: str, new: str) -> None:
    environment = {**running.parts.environment, "DJANGO_SETTINGS_MODULE": "ov2xmp.settings"}
    subprocess.run(
        [sys.executable, "-c", RENAME.format(old, new)], cwd=BASE_DIR, env=environment, check=True, timeout=60
    )


def test_a_failure_that_rest_tells_leads_to_its_line(running: Running) -> None:
    headers = running.parts.log_in()
    rename_table(running, "chargers_location", "chargers_elsewhere")
    try:
        failed = httpx.get(f"{running.parts.web}/api/location/", headers=headers, trust_env=False, timeout=20)
    finally:
        rename_table(running, "chargers_elsewhere", "chargers_location")
    assert failed.status_code in (500, 503)
    request_id = failed.headers["X-Request-ID"]
    assert failed.json()["details"] == {"request_id": request_id}
    found = running.wait_for(lambda line: line.get("request_id") == request_id)
    assert (found["process"], found["level"]) == ("web", "ERROR")
    assert found["message"] == "request failed: GET /api/location/"
    assert found["error_type"] in ("OperationalError", "ProgrammingError")
    assert "chargers_location" in found["stack_trace"]


def worker_is_up(running: Running) -> bool:
    health = httpx.get(f"{running.parts.web}/api/health/", trust_env=False, timeout=20).json()
    return bool(health["components"]["worker"]["state"] == "up")


def test_logstash_gets_the_lines_of_the_console_until_the_very_last(running: Running) -> None:
    """The last test of this platform: it ends it in order."""
    # A worker that is still starting does not know how to end.
    wait_until(lambda: worker_is_up(running), 60, running.parts.text)
    for name in ("csms", "worker", "web"):
        assert running.parts.stop(name) == 0, running.parts.text()
    shown = [line for line in running.console() if line["logger"] != "ov2xmp.logstash"]
    sent = [running.logstash.next() for _ in shown]
    assert running.logstash.lines.empty()

    def by_time(lines: list[Line]) -> list[Line]:
        return sorted(lines, key=lambda line: (line["@timestamp"], line["pid"]))

    assert by_time(sent) == by_time(shown)
    assert any(line["message"].endswith("has stopped") for line in sent)
