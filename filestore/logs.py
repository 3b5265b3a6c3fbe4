"""Logs of the file servers, on standard error: plain lines, or a JSON object a line."""

import json
import logging
import socket
from datetime import UTC, datetime

from filestore.environment import SettingError, env, env_choice

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, of the fields that lines of the platform have; times are UTC."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process
        self._host = socket.gethostname()

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, object] = {
            "@timestamp": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": self._process,
            "host": self._host,
            "pid": record.process,
        }
        if record.exc_info and record.exc_info[0]:
            entry["error_type"] = record.exc_info[0].__qualname__
            entry["stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def read_level() -> str:
    """Return the least level that is logged.

    Raises SettingError.
    """
    level = env("OV2XMP_LOG_LEVEL", "INFO").strip().upper()
    if level not in LEVELS:
        raise SettingError(f"OV2XMP_LOG_LEVEL must be one of {', '.join(LEVELS)}, not {level!r}")
    return level


def read_format() -> str:
    """Return how lines are written: plain or json.

    Raises SettingError.
    """
    return env_choice("OV2XMP_LOG_FORMAT", "plain", ("plain", "json"))


def configure(process: str) -> None:
    """Set the root logger up for the process of that name.

    Raises SettingError.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(process) if read_format() == "json" else logging.Formatter(PLAIN))
    logging.basicConfig(level=read_level(), handlers=[handler], force=True)
