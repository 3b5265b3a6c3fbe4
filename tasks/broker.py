"""The Redis side of commands, for synchronous callers: the web process and the worker.

A node's list carries ids of commands, a command's own list carries the news that it has ended.
A list keeps the news until somebody asks, where a published message would be lost on a caller
that subscribes a moment too late.
"""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from uuid import UUID

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import LockError
from redis.retry import Retry

# Longer than any wait for it; what nobody fetched goes away by itself.
NEWS_LIFETIME = 120
LIST_LIFETIME = 3600
# How long a worker counts as alive after it last did its housekeeping, which it does every few seconds.
WORKER_LIFETIME = 30
# An idle connection may be gone, so each call is tried once more at once; redis-py would go on for seconds.
RETRIES = 1

RedisError = redis.RedisError


def node_list(node_id: str) -> str:
    """Name the list on which a csms node is told what to do."""
    return f"{settings.REDIS_PREFIX}:node:{node_id}"


def news_list(command_id: UUID | str) -> str:
    """Name the list on which the end of a command is told."""
    return f"{settings.REDIS_PREFIX}:command:{command_id}"


def worker_key() -> str:
    """Name the key that is there while a worker does its housekeeping."""
    return f"{settings.REDIS_PREFIX}:worker"


def removed_key() -> str:
    """Name the hash that counts the rows that retention has removed, by table."""
    return f"{settings.REDIS_PREFIX}:removed"


def refused_key() -> str:
    """Name the counter of requests that web has refused, as their user sent too many."""
    return f"{settings.REDIS_PREFIX}:refused"


def lock_key(name: str) -> str:
    """Name the key that is there while a worker is at something that one at a time is enough for."""
    return f"{settings.REDIS_PREFIX}:lock:{name}"


@functools.cache
def client() -> redis.Redis:
    made = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), RETRIES),
    )
    # Threads that come at once make one each; those that are dropped must not close what is in use.
    made.auto_close_connection_pool = False
    return made


def hand_to_node(node_id: str, command_id: UUID | str) -> None:
    """Tell a node to send a command. Raises RedisError."""
    with client().pipeline(transaction=False) as pipe:
        pipe.rpush(node_list(node_id), str(command_id))
        pipe.expire(node_list(node_id), LIST_LIFETIME)
        pipe.execute()


def note_worker() -> None:
    """Say that a worker is alive. Raises RedisError."""
    client().set(worker_key(), 1, ex=WORKER_LIFETIME)


def worker_is_alive() -> bool:
    """Tell whether a worker did its housekeeping of late. Raises RedisError."""
    return bool(client().exists(worker_key()))


def count_removed(numbers: Mapping[str, int]) -> None:
    """Add up the rows that retention has removed, by table. Raises RedisError."""
    with client().pipeline(transaction=False) as pipe:
        for table, number in numbers.items():
            pipe.hincrby(removed_key(), table, number)
        pipe.execute()


def count_refused(number: int) -> None:
    """Add up the requests that web has refused. Raises RedisError."""
    client().incrby(refused_key(), number)


@contextmanager
def alone(name: str, seconds: float) -> Iterator[bool]:
    """Say whether nobody else is at `name`, and keep others away meanwhile, at most `seconds`. Raises RedisError."""
    lock = client().lock(lock_key(name), timeout=seconds)
    if not lock.acquire(blocking=False):
        yield False
        return
    try:
        yield True
    finally:
        # One that was held for too long is somebody else's by now.
        with suppress(LockError):
            lock.release()


def tell_ended(command_id: UUID | str, status: str) -> None:
    """Tell whoever waits that a command has ended. Raises RedisError."""
    with client().pipeline(transaction=False) as pipe:
        pipe.rpush(news_list(command_id), status)
        pipe.expire(news_list(command_id), NEWS_LIFETIME)
        pipe.execute()


def await_end(command_id: UUID | str, seconds: float) -> bool:
    """Wait until a command has ended, at most `seconds`; say whether it did. Raises RedisError."""
    # A connection of its own: the wait must not hold up others, nor outlive a silent server.
    waiter = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=seconds + settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
    with waiter:
        return waiter.blpop([news_list(command_id)], timeout=max(seconds, 0.01)) is not None
