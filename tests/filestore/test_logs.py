import json
import logging
import sys

import pytest

from filestore import logs
from filestore.environment import SettingError


def record(**more: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "ftp_server", "levelname": "INFO", "msg": "Login from %s", "args": ("10.0.0.1",), "created": 0, **more}
    )


def test_a_line_is_one_json_object() -> None:
    line = logs.JsonFormatter().format(record(msg="two\nlines of %s"))

    assert "\n" not in line
    assert json.loads(line) == {
        "timestamp": "1970-01-01T00:00:00+00:00",
        "level": "INFO",
        "logger": "ftp_server",
        "message": "two\nlines of 10.0.0.1",
    }


def test_a_line_tells_of_an_exception_and_what_was_given_besides() -> None:
    try:
        raise ValueError("no good")
    except ValueError:
        entry = json.loads(logs.JsonFormatter().format(record(exc_info=sys.exc_info(), station="CP1")))

    assert entry["station"] == "CP1"
    assert "ValueError: no good" in entry["exception"]


@pytest.mark.parametrize(("name", "value"), [("OV2XMP_LOG_FORMAT", "xml"), ("OV2XMP_LOG_LEVEL", "LOUD")])
def test_a_setting_that_is_no_good_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingError, match=f"{name} must be one of .*{value}"):
        logs.configure()
