"""The worker outlives what it rests on."""

from contextlib import closing
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from kombu import Connection, Queue

from ov2xmp import celery


@pytest.fixture
def broker(redis_url: str) -> Connection:
    return Connection(redis_url.replace("unix://", "redis+socket://"))


def test_tasks_that_have_not_begun_do_not_end_a_worker_whose_redis_has_gone(
    broker: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    assert celery.redis.Channel.QoS is celery.PatientQoS
    queue = Queue(f"test-{uuid4()}")
    with broker.channel() as channel:
        bound = queue(channel)
        bound.declare()
        broker.Producer(channel).publish("a task", routing_key=queue.name)
        assert bound.get().payload == "a task"
        # As a worker leaves it that has lost its connection.
        channel._disconnect_pools()
        broker.transport.client = None
    assert "were not handed back" in caplog.text


@pytest.fixture
def worker_fixup(transactional_db: None) -> celery.SteadyFixup:
    # That of the tests may be old enough to be replaced.
    connection.close()
    (fixup,) = celery.app._fixups
    assert isinstance(fixup.worker_fixup, celery.SteadyFixup)
    return fixup.worker_fixup


def test_a_worker_keeps_its_connection_to_the_database_from_one_task_to_the_next(
    worker_fixup: celery.SteadyFixup,
) -> None:
    User.objects.count()
    kept = connection.connection
    assert kept is not None
    worker_fixup.close_database()
    User.objects.count()
    assert connection.connection is kept


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a file leaves nobody")
def test_a_worker_replaces_a_connection_that_the_database_has_left(worker_fixup: celery.SteadyFixup) -> None:
    User.objects.count()
    lost = connection.connection
    other = connection.copy()
    with closing(other), other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [lost.info.backend_pid])
    worker_fixup.close_database()
    assert User.objects.count() == 0
    assert connection.connection is not lost
