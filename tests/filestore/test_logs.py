import json
import logging
import socket
import sys

import pytest

from filestore import logs
from filestore.environment import SettingError
from ov2xmp.logformat import FIELDS


def record(**more: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "ftp_server", "levelname": "INFO", "msg": "Login from %s", "args": ("10.0.0.1",), "created": 0, **more}
    )


def test_a_line_is_one_json_object() -> None:
    line = logs.JsonFormatter("ftp_server").format(record(msg="two\nlines of %s", process=7, password="hunter2"))

    assert "\n" not in line
    assert json.loads(line) == {
        "@timestamp": "1970-01-01T00:00:00.000000Z",
        "level": "INFO",
        "logger": "ftp_server",
        "message": "two\nlines of 10.0.0.1",
        "process": "ftp_server",
        "host": socket.gethostname(),
        "pid": 7,
    }


def test_a_line_tells_of_an_exception() -> None:
    try:
        raise ValueError("no good")
    except ValueError:
        entry = json.loads(logs.JsonFormatter("ftp_server").format(record(exc_info=sys.exc_info())))

    assert entry["error_type"] == "ValueError"
    assert entry["stack_trace"].endswith("ValueError: no good")


def test_its_fields_are_those_of_the_platform() -> None:
    entry = json.loads(logs.JsonFormatter("ftp_server").format(record()))

    assert tuple(entry) == FIELDS[: len(entry)]


@pytest.mark.parametrize(("name", "value"), [("OV2XMP_LOG_FORMAT", "xml"), ("OV2XMP_LOG_LEVEL", "LOUD")])
def test_a_setting_that_is_no_good_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingError, match=f"{name} must be one of .*{value}"):
        logs.configure("ftp_server")
