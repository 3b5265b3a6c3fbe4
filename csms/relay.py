"""The Redis side of a node: commands come in, their ends and live updates go out.

Redis only carries ids and news. While it is away stations are served, and the sweep of the
worker ends what it lost.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import redis.asyncio as redis
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from csms import metrics
from tasks import broker, updates

logger = logging.getLogger(__name__)

# How long one look at the list waits; short, so that a lost connection is soon noticed.
POLL_SECONDS = 5
PAUSE_SECONDS = 1
# How often it is asked what the worker and web have counted.
LOOK_SECONDS = 15
# Batches of live updates kept for a slow Redis; older listeners read REST again.
MAX_WAITING_UPDATES = 1000

# What a list may hold besides the ids of commands: a connection that another node took over.
CLOSE = b"close:"


class Relay:
    """Reads a node's list and writes its news; an async context manager of the server."""

    def __init__(self, node_id: str, deliver: Callable[[UUID], None], close: Callable[[UUID], None]) -> None:
        self._list = broker.node_list(node_id)
        self._deliver = deliver
        self._close = close
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=POLL_SECONDS + settings.REDIS_TIMEOUT,
            socket_connect_timeout=settings.REDIS_TIMEOUT,
            retry=Retry(NoBackoff(), broker.RETRIES),
        )
        self._updates: asyncio.Queue[updates.Batch] = asyncio.Queue(MAX_WAITING_UPDATES)
        self._look_at = 0.0

    async def __aenter__(self) -> "Relay":
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._send_updates())]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        running = set(self._tasks)
        while running:
            # Again and again: redis-py swallows a cancellation that comes while it connects.
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=0.1)
        await self._redis.aclose()

    async def _listen(self) -> None:
        while True:
            try:
                item = await self._redis.blpop([self._list], timeout=POLL_SECONDS)
            except (redis.RedisError, OSError) as error:
                metrics.RELAY_DOWN.set(1)
                logger.warning("redis does not answer, commands wait: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            metrics.RELAY_DOWN.set(0)
            if item is not None:
                self._dispatch(item[1])
            await self._show_others()

    async def _show_others(self) -> None:
        """Show in the node's metrics what retention has removed and web has refused: worker and web have none."""
        now = asyncio.get_running_loop().time()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        try:
            found: dict[Any, Any] = await self._redis.hgetall(broker.removed_key())
            refused = await self._redis.get(broker.refused_key())
        except (redis.RedisError, OSError):
            # The list behind it will tell that redis is away.
            return
        for table, number in found.items():
            metrics.REMOVED.labels(table.decode()).set(int(number))
        metrics.REFUSED.set(int(refused or 0))

    def _dispatch(self, item: Any) -> None:
        try:
            if item.startswith(CLOSE):
                self._close(UUID(item.removeprefix(CLOSE).decode()))
            else:
                self._deliver(UUID(item.decode()))
        except ValueError:
            logger.error("the node's list holds something else than an id: %.80r", item)

    async def tell_ended(self, command_id: UUID, status: str) -> None:
        """Tell whoever waits that a command has ended; they read the row if this is lost."""
        news = broker.news_list(command_id)
        await self._push(news, status, broker.NEWS_LIFETIME)

    async def tell_taken_over(self, node_id: str, connection_id: UUID) -> None:
        """Tell another node that the station of one of its connections is here now."""
        item = (CLOSE + str(connection_id).encode()).decode()
        await self._push(broker.node_list(node_id), item, broker.LIST_LIFETIME)

    async def _push(self, name: str, item: str, lifetime: int) -> None:
        try:
            async with asyncio.timeout(settings.REDIS_TIMEOUT), self._redis.pipeline(transaction=False) as pipe:
                pipe.rpush(name, item)
                pipe.expire(name, lifetime)
                await pipe.execute()
        except (redis.RedisError, OSError) as error:
            logger.warning("redis does not answer, %s was not told: %s", name, error)

    def publish(self, batch: updates.Batch) -> None:
        """Queue live updates; when Redis is away or slow they are dropped, never waited for."""
        try:
            self._updates.put_nowait(batch)
        except asyncio.QueueFull:
            metrics.UPDATES_DROPPED.inc()

    async def _send_updates(self) -> None:
        failing = False
        while True:
            batch = await self._updates.get()
            try:
                async with asyncio.timeout(settings.REDIS_TIMEOUT):
                    await updates.send(batch)
            except (redis.RedisError, OSError) as error:
                metrics.UPDATES_DROPPED.inc()
                if not failing:
                    # Once an outage: under load there are hundreds of batches a second.
                    logger.warning("live updates are not sent: %s", error or type(error).__name__)
                failing = True
            except Exception:
                # Whatever it was: the batches behind this one must not wait for ever.
                metrics.UPDATES_DROPPED.inc()
                logger.exception("a batch of live updates was not sent")
            else:
                if failing:
                    logger.info("live updates are sent again")
                failing = False
