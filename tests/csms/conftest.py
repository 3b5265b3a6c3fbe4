"""A real OCPP server in the test's own event loop: real sockets, real Redis, the real database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from csms.server import OcppServer
from tests.certificates import Authority
from tests.simulator.v16 import Station16

Query = Callable[[Callable[[], Any]], Awaitable[Any]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Function) -> dict[str, LoopFactory]:
    """Run a module on the loop it names as ``LOOP``."""
    return {"loop": getattr(item.module, "LOOP", asyncio.new_event_loop)}


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
def tls_settings(settings: Settings, authority: Authority) -> Settings:
    """Settings that name a server certificate, and the authority that stations' certificates come from."""
    papers = authority.server()
    settings.CSMS_TLS_CERTIFICATES, settings.CSMS_TLS_KEYS = [papers.certificate], [papers.key]
    settings.CSMS_TLS_CLIENT_CA = authority.root.certificate
    return settings


@pytest.fixture
async def tls_server(transactional_db: None, redis_settings: None, tls_settings: None) -> AsyncIterator[OcppServer]:
    """A node that listens with TLS as well."""
    async with OcppServer("127.0.0.1", 0, 0) as running:
        yield running


@pytest.fixture
def wss(tls_server: OcppServer) -> str:
    """The endpoint of `tls_server` with TLS."""
    return f"wss://127.0.0.1:{tls_server.tls_port}/ws/ocpp"


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
