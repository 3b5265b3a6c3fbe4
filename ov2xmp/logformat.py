"""How log lines are written: plain for people, one JSON object a line for programs.

`FIELDS` is the one list of what a JSON line may hold. Console and Logstash get the same lines;
``elk/logstash.conf`` renames some of the fields to those of the Elastic Common Schema.
"""

import logging
import os
import re
import socket
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from tasks import logcontext

CONTEXT = tuple(variable.name for variable in logcontext.VARIABLES)

# A line has those that it knows; the first seven are always there.
FIELDS = (
    "@timestamp",
    "level",
    "logger",
    "message",
    "process",
    "host",
    "pid",
    *CONTEXT,
    "error_type",
    "stack_trace",
)

# Some of them come from stations and clients, who may send any text.
MAX_ID_LENGTH = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[!-\\^-~]+")


class ContextFilter(logging.Filter):
    """Puts onto a record what it belongs to; what the record says itself stays."""

    def filter(self, record: logging.LogRecord) -> bool:
        for variable in logcontext.VARIABLES:
            value = getattr(record, variable.name, None)
            if value is None:
                value = variable.get()
            setattr(record, variable.name, None if value is None else str(value)[:MAX_ID_LENGTH])
        return True


class RefusalFilter(logging.Filter):
    """Tells in a line what Django refuses of clients, such as a foreign host: it is no failure of the platform's."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = record.exc_text = None
        return True


class PlainFormatter(logging.Formatter):
    """``<time> <level> <logger> [<field>=<value> …]: <message>``, the brackets only where there is something."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(context)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        known = [(name, value) for name in CONTEXT if (value := getattr(record, name, None))]
        pairs = (f"{name}={value if _PLAIN.fullmatch(value) else repr(value)}" for name, value in known)
        record.context = f" [{' '.join(pairs)}]" if known else ""
        # What a station or a client has sent must not look like a line of its own.
        record.message = _CONTROL.sub(lambda match: repr(match[0])[1:-1], record.message)
        return super().formatMessage(record)


class JsonFormatter(BaseJsonFormatter):
    """One JSON object a line, ASCII only, of `FIELDS` and nothing else: what libraries add may hold secrets."""

    def __init__(self) -> None:
        super().__init__()
        self._host = socket.gethostname()

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        at = datetime.fromtimestamp(record.created, UTC)
        log_data |= {
            "@timestamp": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": logcontext.process_name(),
            "host": self._host,
            "pid": record.process or os.getpid(),
        }
        log_data |= {name: value for name in CONTEXT if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[0]:
            log_data["error_type"] = record.exc_info[0].__qualname__
        stacks = [message_dict[name] for name in ("exc_info", "stack_info") if name in message_dict]
        if stacks:
            log_data["stack_trace"] = "\n".join(stacks)


class LogstashFormatter(JsonFormatter):
    """The same lines as bytes, which is what python-logstash sends."""

    def format(self, record: logging.LogRecord) -> bytes:  # type: ignore[override]
        return super().format(record).encode("ascii")
