"""Logs of the file servers, on standard error: plain lines, or a JSON object a line."""

import json
import logging
from datetime import UTC, datetime

from filestore.environment import SettingError, env, env_choice

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# What a record has of its own; anything else was given by `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line; times are UTC."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure() -> None:
    """Set the root logger up as OV2XMP_LOG_FORMAT and OV2XMP_LOG_LEVEL say.

    Raises SettingError.
    """
    level = env("OV2XMP_LOG_LEVEL", "INFO").upper()
    if level not in LEVELS:
        raise SettingError(f"OV2XMP_LOG_LEVEL must be one of {', '.join(LEVELS)}, not {level!r}")
    as_json = env_choice("OV2XMP_LOG_FORMAT", "plain", ("plain", "json")) == "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(PLAIN))
    logging.basicConfig(level=level, handlers=[handler], force=True)
