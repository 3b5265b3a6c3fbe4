"""A node has room for so many connections, and for so many of one address."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network

import pytest
import uvloop
from pytest_django.fixtures import Settings

from csms import census
from csms.census import Census
from csms.server import OcppServer
from tests.csms.conftest import Query
from tests.csms.raw import Reply, exchange
from tests.csms.test_tls import metric
from tests.csms.waiting import until
from tests.simulator.v16 import Station16

LOOP = uvloop.new_event_loop


# The count


def test_a_network_of_addresses_is_one_client(settings: Settings) -> None:
    settings.OCPP_MAX_CONNECTIONS_PER_ADDRESS = 2
    counted = Census()
    clients = [counted.enter(f"2001:db8::{number}") for number in range(1, 4)]
    assert set(clients) == {"2001:db8::/64"}
    assert counted.is_full_for(clients[0])
    assert not counted.is_full_for(counted.enter("192.0.2.1"))
    counted.leave(clients[0])
    assert not counted.is_full_for(clients[0])


def test_whoever_has_left_leaves_nothing_behind() -> None:
    counted = Census()
    client = counted.move(counted.enter("192.0.2.1"), "198.51.100.7")
    assert (client, counted.total) == ("198.51.100.7", 1)
    counted.leave(client)
    assert (counted.total, dict(counted._of)) == (0, {})


def test_zero_sets_no_limit_for_an_address(settings: Settings) -> None:
    settings.OCPP_MAX_CONNECTIONS_PER_ADDRESS = 0
    counted = Census()
    clients = [counted.enter("192.0.2.1") for _ in range(5000)]
    assert not counted.is_full_for(clients[0])
    assert not counted.is_flooded(clients[0], "192.0.2.1")


def test_there_are_no_more_connections_than_open_files(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OCPP_MAX_CONNECTIONS = 5000
    for files, most in ((100_000, 5000), (1024, 724), (256, 128), (resource.RLIM_INFINITY, 5000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert Census().most == most


def test_a_node_allows_itself_the_files_that_its_connections_take(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OCPP_MAX_CONNECTIONS = 5000
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: told.append(limits))
    for soft, hard in ((1024, 4096), (1024, 1_000_000), (1024, resource.RLIM_INFINITY), (8000, 9000), (4096, 4096)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=(soft, hard): limits)
        census.allow_files()
    assert told == [(4096, 4096), (5300, 1_000_000), (5300, resource.RLIM_INFINITY)]


# Over real sockets


@asynccontextmanager
async def node_for(settings: Settings, **limits: int) -> AsyncIterator[OcppServer]:
    for name, limit in limits.items():
        setattr(settings, name, limit)
    async with OcppServer("127.0.0.1", 0) as running:
        yield running


@asynccontextmanager
async def asked(node: OcppServer, name: str, behind: str = "") -> AsyncIterator[Reply]:
    headers = {"X-Forwarded-For": behind, "X-Forwarded-Proto": "http"} if behind else {}
    async with exchange(node.port, f"/ws/ocpp/{name}", headers=headers) as reply:
        yield reply


@pytest.mark.usefixtures("transactional_db", "redis_settings")
async def test_a_full_node_says_so_serves_who_is_there_and_has_room_again_when_somebody_leaves(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with node_for(settings, OCPP_MAX_CONNECTIONS=2) as node, AsyncExitStack() as stack:
        url = f"ws://127.0.0.1:{node.port}/ws/ocpp"
        first = await stack.enter_async_context(Station16(url, "CP1"))
        name = 'ocpp_handshakes_total{result="too many connections"}'
        async with Station16(url, "CP2"):
            before = await metric(node, name)
            for _ in range(3):
                async with asked(node, "CP3") as reply:
                    assert (reply.status, reply.headers["retry-after"]) == (503, "60")
                    assert await reply.rest() == b"too many connections\n"
            await first.heartbeat()
            # Metrics and health are told all the same.
            assert await metric(node, name) == before + 3
            # Whoever takes the place of its own older connection needs none.
            async with asked(node, "CP2") as reply:
                assert reply.status == 101
        while node.census.total > 1:
            await asyncio.sleep(0.01)
        async with asked(node, "CP3") as reply:
            assert reply.status == 101
    assert caplog.text.count("too many connections: connections from 127.0.0.1 are refused") == 1
    assert node.census.total == 0


@pytest.mark.usefixtures("transactional_db", "redis_settings")
async def test_the_connections_of_an_address_are_counted_behind_a_trusted_proxy(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    async with (
        node_for(settings, OCPP_MAX_CONNECTIONS_PER_ADDRESS=1) as node,
        asked(node, "CP1", "192.0.2.1") as first,
        asked(node, "CP2", "192.0.2.1") as second,
        asked(node, "CP3", "192.0.2.2") as third,
    ):
        assert [each.status for each in (first, second, third)] == [101, 429, 101]
        assert second.headers["retry-after"] == "60"


@pytest.mark.usefixtures("transactional_db", "redis_settings")
async def test_an_address_is_believed_from_nobody_else(settings: Settings) -> None:
    async with (
        node_for(settings, OCPP_MAX_CONNECTIONS_PER_ADDRESS=1) as node,
        asked(node, "CP1", "192.0.2.1") as first,
        asked(node, "CP2", "192.0.2.2") as second,
    ):
        assert [each.status for each in (first, second)] == [101, 429]


@pytest.mark.usefixtures("transactional_db", "redis_settings")
async def test_sockets_that_ask_for_nothing_take_no_more_than_their_share(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    monkeypatch.setattr(census, "MOST_REFUSED", 3)
    async with node_for(settings, OCPP_MAX_CONNECTIONS_PER_ADDRESS=2) as node:
        silent = [await asyncio.open_connection("127.0.0.1", node.port) for _ in range(8)]
        ends = [asyncio.create_task(reader.read()) for reader, _ in silent]
        done, _ = await asyncio.wait(ends, timeout=1)
        assert len(done) == 3
        await until(lambda: node.census.total == 5)
        for _, writer in silent:
            writer.transport.abort()
        await asyncio.wait(ends)
        await until(lambda: node.census.total == 0)
        async with asked(node, "CP1") as reply:
            assert reply.status == 101
