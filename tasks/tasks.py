"""What the worker runs: the relay of commands and the platform's housekeeping.

Each task is one call of a service. A task takes keywords and ignores those it does not know, so
that the queue survives a deployment.
"""

import contextlib
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from chargers.changes import Changes
from chargers.services import certificates, installedprofiles, jobs, obedience, reservations, stations, transactions
from tasks import broker, commands, locallists, reports, retention, signing, updates

logger = logging.getLogger(__name__)


@shared_task(name="tasks.relay_command", max_retries=3, default_retry_delay=1, bind=True)
def relay_command(self: Any, *, command_id: str, **_: Any) -> None:
    changes = Changes()
    try:
        commands.relay(UUID(command_id), now=timezone.now(), changes=changes)
    except broker.RedisError as error:
        raise self.retry(exc=error) from error
    finally:
        updates.publish(changes)


@shared_task(name="tasks.sweep_commands")
def sweep_commands(**_: Any) -> None:
    with contextlib.suppress(broker.RedisError):
        broker.note_worker()
    changes = Changes()
    if ended := commands.sweep(now=timezone.now(), changes=changes):
        logger.warning("%d commands were ended because their time was over", ended)
    updates.publish(changes)


@shared_task(name="tasks.sweep_nodes")
def sweep_nodes(**_: Any) -> None:
    changes = Changes()
    stations.sweep_nodes(now=timezone.now(), changes=changes)
    updates.publish(changes)


# The signer of certificates may hang: the worker has others to serve.
@shared_task(
    name="tasks.sign_certificates",
    soft_time_limit=2 * settings.CERTIFICATE_TIMEOUT,
    time_limit=2 * settings.CERTIFICATE_TIMEOUT + 10,
)
def sign_certificates(**_: Any) -> None:
    changes = Changes()
    try:
        with broker.alone("certificates", 2 * settings.CERTIFICATE_TIMEOUT + 20) as alone:
            if alone:
                signing.work_on(changes=changes)
    finally:
        updates.publish(changes)


@shared_task(name="tasks.warn_of_expiring_certificates")
def warn_of_expiring_certificates(**_: Any) -> None:
    for expiry in certificates.expiring(now=timezone.now()):
        extra = {"chargepoint_id": expiry.station}
        logger.warning("%s: %s expires on %s", expiry.station, expiry.use.value, expiry.at.date(), extra=extra)


@shared_task(name="tasks.close_abandoned_transactions")
def close_abandoned_transactions(**_: Any) -> None:
    changes = Changes()
    if closed := transactions.close_abandoned(now=timezone.now(), changes=changes):
        logger.warning("%d transactions were closed because their station never stopped them", closed)
    updates.publish(changes)


@shared_task(name="tasks.time_out_jobs")
def time_out_jobs(**_: Any) -> None:
    changes = Changes()
    if ended := jobs.time_out(now=timezone.now(), changes=changes):
        logger.warning("%d firmware updates and log uploads were given up: nothing is heard of them", ended)
    updates.publish(changes)


@shared_task(name="tasks.time_out_reports")
def time_out_reports(**_: Any) -> None:
    changes = Changes()
    if ended := reports.time_out(now=timezone.now(), changes=changes):
        logger.warning("%d reports were given up: parts of them are missing, and nothing is heard of them", ended)
    updates.publish(changes)


@shared_task(name="tasks.expire_reservations")
def expire_reservations(**_: Any) -> None:
    changes = Changes()
    reservations.expire(now=timezone.now(), changes=changes)
    updates.publish(changes)


@shared_task(name="tasks.synchronise_local_lists")
def synchronise_local_lists(**_: Any) -> None:
    _send_lists(locallists.synchronise_automatic)


@shared_task(name="tasks.forget_customers")
def forget_customers(**_: Any) -> None:
    _send_lists(locallists.forget_customers)


def _send_lists(store: Callable[..., list[UUID]]) -> None:
    changes = Changes()
    try:
        for command_id in store(now=timezone.now(), changes=changes):
            commands.relay(command_id, now=timezone.now(), changes=changes)
    except broker.RedisError as error:
        logger.warning("local lists are not sent, redis does not answer: %s", error)
    finally:
        # The sweep ends what was not relayed.
        updates.publish(changes)


@shared_task(name="tasks.review_charging_profiles")
def review_charging_profiles(**_: Any) -> None:
    changes = Changes()
    installedprofiles.sweep(now=timezone.now(), changes=changes)
    if broken := obedience.judge(now=timezone.now(), changes=changes):
        logger.warning("%d charging profiles were accepted and have no effect", broken)
    updates.publish(changes)


# Statements that are under way when the time is over still come to their end.
@shared_task(
    name="tasks.prune",
    soft_time_limit=settings.RETENTION_TIME_LIMIT + 5 * settings.DATABASE_TIMEOUT,
    time_limit=settings.RETENTION_TIME_LIMIT + 6 * settings.DATABASE_TIMEOUT,
)
def prune(**_: Any) -> None:
    try:
        with broker.alone("prune", settings.RETENTION_TIME_LIMIT + 6 * settings.DATABASE_TIMEOUT) as alone:
            if alone:
                retention.prune(now=timezone.now(), seconds=settings.RETENTION_TIME_LIMIT)
    except broker.RedisError as error:
        logger.warning("nothing is removed for its age, redis does not answer: %s", error)
    except DatabaseError as error:
        logger.warning("no more is removed for its age until the next run: %s", error)
