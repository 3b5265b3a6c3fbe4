"""The Celery application of the worker and of beat."""

import logging
import os
import signal
import threading
from contextlib import ExitStack
from functools import cached_property
from typing import Any

from celery import Celery, signals
from celery.fixups.django import DjangoFixup, DjangoWorkerFixup
from celery.worker import state
from django.db import close_old_connections
from kombu.transport import redis

from tasks import logcontext

logger = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")


class PatientQoS(redis.QoS):
    """Lets a worker outlive its broker.

    When redis goes away while tasks wait here that have not begun, kombu hands them back over a connection that is
    closed already, and the worker dies of it. They stay in redis, if it kept them, until they are visible again.
    """

    def restore_unacked(self, client: Any = None) -> Any:
        try:
            return super().restore_unacked(client)  # type: ignore[no-untyped-call]
        except (AttributeError, *self.channel.connection_errors) as error:
            logger.warning("tasks that have not begun were not handed back: %s", error)
            self._delivered.clear()


redis.Channel.QoS = PatientQoS


class SteadyFixup(DjangoWorkerFixup):  # type: ignore[misc]
    """Keeps a connection to the database from one task to the next, as web keeps it from request to request.

    Celery would open one for each task, or keep one that is broken. Django closes it when it is old or has failed,
    and asks whether the database still answers before it uses it again.
    """

    def close_database(self, **_: Any) -> None:
        close_old_connections()


class Fixup(DjangoFixup):  # type: ignore[misc]
    """Sets Celery up for Django."""

    @cached_property
    def worker_fixup(self) -> SteadyFixup:
        # Made late: it reads the settings.
        return SteadyFixup(self.app)


app = Celery("ov2xmp", fixups=[lambda celery: Fixup(celery).install()])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_contexts: dict[str, ExitStack] = {}


def keep_logging(**_: Any) -> None:
    """Leave the loggers as the settings made them; that somebody listens keeps Celery from its own."""
    logcontext.name_process("worker")
    logcontext.log_what_python_tells()


def begin_task(task_id: str, kwargs: dict[str, Any], **_: Any) -> None:
    """Let the lines of a task carry its id, and that of the command it is about."""
    context = _contexts[task_id] = ExitStack()
    context.enter_context(logcontext.bound(request_id=task_id, command_id=kwargs.get("command_id")))


def end_task(task_id: str, **_: Any) -> None:
    if context := _contexts.pop(task_id, None):
        context.close()


def flush_logs(**_: Any) -> None:
    """Send what waits for Logstash: the pool's processes end without the interpreter's own cleaning up."""
    logging.shutdown()


def watch_beat(sender: Any, **_: Any) -> None:
    """End the worker when its beat dies: whoever starts it again starts both, where nobody would start beat alone."""
    beat = getattr(sender.controller, "beat", None)
    if beat is not None:
        threading.Thread(target=_end_with, args=(beat,), name="beat-watch", daemon=True).start()


def _end_with(beat: Any) -> None:
    beat.join()
    if state.should_stop is None and state.should_terminate is None:
        logger.critical("beat has ended, so the worker ends")
        os.kill(os.getpid(), signal.SIGTERM)


# Celery keeps weak references: to functions of a module they last.
signals.setup_logging.connect(keep_logging)
signals.task_prerun.connect(begin_task)
signals.task_postrun.connect(end_task)
signals.worker_process_shutdown.connect(flush_logs)
signals.worker_ready.connect(watch_beat)
