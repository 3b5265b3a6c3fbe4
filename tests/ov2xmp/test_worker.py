"""The worker outlives what it rests on."""

from uuid import uuid4

import pytest
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
