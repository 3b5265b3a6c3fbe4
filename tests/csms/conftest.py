"""A real OCPP server in the test's own event loop: real sockets, real Redis, the real database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from csms.server import OcppServer
from tests.simulator.v16 import Station16

Query = Callable[[Callable[[], Any]], Awaitable[Any]]


@pytest.fixture
async def server(transactional_db: None, redis_settings: None) -> AsyncIterator[OcppServer]:
    """A node that listens on a free port of its own."""
    async with OcppServer("127.0.0.1", 0) as running:
        yield running


@pytest.fixture
def url(server: OcppServer) -> str:
    """The endpoint to which a station appends its identity."""
    return f"ws://127.0.0.1:{server.port}/ws/ocpp"


@pytest.fixture
async def station(url: str) -> AsyncIterator[Station16]:
    """A connected station named CP1."""
    async with Station16(url, "CP1") as connected:
        yield connected


@pytest.fixture
def query() -> Query:
    """Run a query off the event loop: ``await query(lambda: Transaction.objects.get())``."""
    return query_in_thread


async def query_in_thread(read: Callable[[], Any]) -> Any:
    from django.db import connection

    def run() -> Any:
        try:
            return read()
        finally:
            connection.close()

    return await asyncio.to_thread(run)
