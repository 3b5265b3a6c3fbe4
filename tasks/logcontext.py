"""What a log line belongs to: the station, the request and the command that are being served.

Context variables: whatever is called, and every task and thread that asyncio and asgiref start on
the way, belongs to the same. `ov2xmp.logformat` puts them onto log records, under their names. A
line that knows better says so with ``extra={"chargepoint_id": …}``.
"""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any
from uuid import UUID

logger = logging.getLogger(__name__)

chargepoint_id: ContextVar[str | None] = ContextVar("chargepoint_id", default=None)
# In web the id of the HTTP request, in csms the message id of the CALL that is served or waits for
# its answer, in the worker the id of Celery's task.
request_id: ContextVar[str | int | None] = ContextVar("request_id", default=None)
# What REST calls the task_id of a command.
command_id: ContextVar[UUID | str | None] = ContextVar("command_id", default=None)

VARIABLES: tuple[ContextVar[Any], ...] = (chargepoint_id, request_id, command_id)
_BY_NAME = {variable.name: variable for variable in VARIABLES}

_process = "manage"


def name_process(name: str) -> None:
    """Name this process in its log lines: ``web``, ``csms`` or ``worker``."""
    global _process
    _process = name


def process_name() -> str:
    """Return the name of this process; ``manage`` where it has none."""
    return _process


def log_what_python_tells() -> None:
    """Let warnings, and what ends this process or one of its threads, be log lines as well."""
    logging.captureWarnings(True)
    sys.excepthook = _log_end
    threading.excepthook = _log_end_of_thread


@contextmanager
def bound(**values: Any) -> Iterator[None]:
    """Let what is called meanwhile belong to what `values` name; a None belongs to nothing."""
    tokens = [(_BY_NAME[name], _BY_NAME[name].set(value)) for name, value in values.items()]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, Exception):
        logger.critical("the process ends: %s", kind.__name__, exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and issubclass(ended.exc_type, Exception):
        name = ended.thread.name if ended.thread else "?"
        logger.critical("the thread %s ends", name, exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback))
