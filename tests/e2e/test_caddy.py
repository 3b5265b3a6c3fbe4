"""The platform through the real Caddy, as operators, frontends and stations meet it in production."""

import asyncio
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import websockets

from tests.certificates import Authority
from tests.csms.raw import exchange
from tests.e2e.edge import Caddy, add_caddy
from tests.e2e.frontend import Listener
from tests.e2e.parts import PASSWORD, Parts, python
from tests.e2e.stand_ins import echo, name_server
from tests.e2e.storage import own_storage
from tests.simulator.v16 import Station16

REPLICA = "127.0.0.2"
TOOLS = ("filebrowser", "pgadmin4", "portainer", "kibana")


@dataclass
class Edge:
    """A platform with two csms behind Caddy."""

    parts: Parts
    caddy: Caddy

    def station(self, identity: str, url: str = "", **options: Any) -> Station16:
        """Return a station that connects through Caddy, with TLS unless `url` says otherwise."""
        url = url or self.caddy.wss
        if url.startswith("wss"):
            options.setdefault("ssl", self.caddy.trusting())
        return Station16(f"{url}/ws/ocpp", identity, **options)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Return somebody's HTTP client, who trusts Caddy's authority."""
        return httpx.AsyncClient(
            base_url=self.caddy.https, verify=self.caddy.trusting(), timeout=40, trust_env=False, **options
        )


@pytest.fixture(scope="module")
def edge(redis_url: str, authority: Authority) -> Iterator[Edge]:
    with ExitStack() as stack:
        storage = stack.enter_context(own_storage())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ov2xmp-tests-")))
        stand_in = stack.enter_context(echo())
        names = stack.enter_context(name_server(["127.0.0.1", REPLICA]))
        settings = {
            "OV2XMP_REDIS_URL": redis_url,
            "OV2XMP_REDIS_PREFIX": f"test-{uuid4().hex[:8]}",
            "OV2XMP_TRUSTED_PROXIES": "127.0.0.1",
            **storage,
        }
        parts = Parts(directory, **settings)
        csms_port = parts.environment["OV2XMP_CSMS_PORT"]
        parts.commands["replica"] = python("csms")
        parts.settings_of["replica"] = {"OV2XMP_BIND": REPLICA}
        parts.pages["replica"] = f"http://{REPLICA}:{csms_port}/healthz"
        caddy = add_caddy(
            parts,
            "caddyfile-prod",
            OV2XMP_CADDY_TLS="internal",
            OV2XMP_CADDY_CLIENT_CA=authority.root.certificate,
            OV2XMP_CADDY_WEB=parts.web.removeprefix("http://"),
            OV2XMP_CADDY_CSMS_HOST="csms.test",
            OV2XMP_CADDY_CSMS_PORT=csms_port,
            OV2XMP_CADDY_CSMS_RESOLVERS=f"resolvers {names}",
            OV2XMP_CADDY_FRONTEND=stand_in,
            OV2XMP_CADDY_FILEBROWSER=stand_in,
            OV2XMP_CADDY_PGADMIN=stand_in,
            OV2XMP_CADDY_PORTAINER=stand_in,
            # There is none, as without the compose file of the externals.
            OV2XMP_CADDY_KIBANA="kibana.invalid:5601",
        )
        stack.callback(parts.kill_all)
        parts.prepare()
        parts.start("web", "csms", "replica", "worker", "caddy")
        yield Edge(parts, caddy)


@pytest.fixture
async def anybody(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with edge.client() as client:
        yield client


@pytest.fixture
async def operator(edge: Edge, anybody: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The administrator, logged in through Caddy."""
    answer = await anybody.post("/api/token/", json={"username": "admin", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    anybody.headers["Authorization"] = f"Bearer {answer.json()['access']}"
    yield anybody


async def clear_cache(operator: httpx.AsyncClient, identity: str) -> dict[str, Any]:
    answer = await operator.post("/api/ocpp16/clearcache/", json={"chargepoint_id": identity})
    assert answer.status_code == 200, answer.text
    return answer.json()["message"]  # type: ignore[no-any-return]


@asynccontextmanager
async def listening(edge: Edge, operator: httpx.AsyncClient, identity: str) -> AsyncIterator[Listener]:
    token = operator.headers["Authorization"].removeprefix("Bearer ")
    address = f"{edge.caddy.wss}/ws/updates/all/?token={token}&chargepoint_id={quote(identity)}"
    async with websockets.connect(address, ssl=edge.caddy.trusting(), proxy=None) as socket:
        await (await socket.ping())
        yield Listener(socket)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_station_is_driven_and_watched_through_caddy(
    edge: Edge, operator: httpx.AsyncClient, scheme: str
) -> None:
    identity = f"C1/{scheme} 1"
    async with (
        edge.station(identity, getattr(edge.caddy, scheme)) as station,
        listening(edge, operator, identity) as listener,
    ):
        assert (await station.boot())["status"] == "Accepted"
        assert await clear_cache(operator, identity) == {"status": "Accepted"}
        await station.status(1, "Preparing")
        await listener.until("connector", connector_status="Preparing")


async def test_stations_and_frontends_stay_connected_while_the_configuration_is_reloaded(
    edge: Edge, operator: httpx.AsyncClient
) -> None:
    async with (
        edge.station("C2", edge.caddy.ws) as plain,
        edge.station("C3") as secure,
        listening(edge, operator, "C2") as listener,
    ):
        await plain.boot()
        await secure.boot()
        await asyncio.to_thread(edge.caddy.reload, OV2XMP_CADDY_HSTS="max-age=60")
        async with edge.client() as somebody:
            assert (await somebody.get("/")).headers["Strict-Transport-Security"] == "max-age=60"
        for identity in ("C2", "C3"):
            assert await clear_cache(operator, identity) == {"status": "Accepted"}
        await plain.status(1, "Preparing")
        await listener.until("connector", connector_status="Preparing")
        await plain.heartbeat()
        await secure.heartbeat()


async def test_stations_go_to_all_replicas_and_those_of_a_dead_one_to_the_others(
    edge: Edge, operator: httpx.AsyncClient
) -> None:
    async def connections() -> dict[str, int]:
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = {name: await client.get(edge.parts.pages[name]) for name in ("csms", "replica")}
        return {name: answer.json()["connections"] for name, answer in answers.items()}

    async with AsyncExitStack() as stack:
        stations = [await stack.enter_async_context(edge.station(f"C4-{number}")) for number in range(6)]
        assert await connections() == {"csms": 3, "replica": 3}
        edge.parts.kill("replica")
        closed = asyncio.Event()
        lost = []
        for station in stations:
            try:
                await station.heartbeat()
            except ConnectionError:
                lost.append(station)
        assert len(lost) == 3
        for station in lost:
            await station.connect()
            await station.boot()
            assert await clear_cache(operator, station.identity) == {"status": "Accepted"}
        await asyncio.to_thread(edge.parts.start, "replica")
        del closed


STATIONS_PATHS = ["/ws/ocpp/C5", "/http/upload/x.bin", "/http/files/", "/http/files/x.bin"]
OTHER_PATHS = ["/", "/api/", "/admin/", "/static/x.css", "/media/x", "/ws/updates/all/", "/metrics", *TOOLS]


async def test_plain_http_is_for_stations_only(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.caddy.http, trust_env=False) as client:
        for path in STATIONS_PATHS:
            assert not (await client.get(path)).is_redirect, path
        for path in OTHER_PATHS:
            answer = await client.post(path, params={"a": "b c"})
            assert answer.status_code == 308
            assert answer.headers["Location"] == f"{edge.caddy.https}/{path.removeprefix('/')}?a=b%20c"


async def test_what_only_a_proxy_may_say_does_not_come_from_outside(anybody: httpx.AsyncClient) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=203.0.113.9",
        "X-Real-IP": "203.0.113.9",
        "Client-Cert": ":AAAA:",
        "Client-Cert-Chain": ":AAAA:",
    }
    told = (await anybody.get("/shop?x=1", headers=lies)).json()
    assert told["path"] == "/shop?x=1"
    headers = told["headers"]
    assert headers["x-forwarded-for"] == ["127.0.0.1"]
    assert headers["x-forwarded-proto"] == ["https"]
    assert headers["x-forwarded-host"] == headers["host"] == [anybody.base_url.netloc.decode()]
    assert not {"forwarded", "x-real-ip", "client-cert", "client-cert-chain"} & headers.keys()


async def test_the_platforms_paths_do_not_lead_to_the_frontend_and_all_others_do(anybody: httpx.AsyncClient) -> None:
    for path in ("/api/health/", "/admin/login/", "/static/admin/css/base.css"):
        answer = await anybody.get(path)
        assert answer.status_code == 200
        assert "path" not in answer.json() if path.startswith("/api") else answer.headers["Content-Type"]
    for path in ("/", "/apiary", "/administrator", "/metrics", "/healthz", "/ws/ocpp/../metrics", "/ws/other/"):
        told = (await anybody.get(path)).json()
        assert told["headers"]["x-forwarded-proto"] == ["https"]


async def test_the_pages_of_the_csms_itself_are_not_there(edge: Edge) -> None:
    for path in ("/ws/ocpp/metrics", "/ws/ocpp//healthz", "/ws/ocpp/%2e%2e/%2e%2e/metrics", "/ws/ocpp/..%2f..%2fmetrics"):
        async with exchange(edge.caddy.http_port, path, without=("Sec-WebSocket-Key",)) as reply:
            assert reply.status != 200, path


async def test_a_handshake_that_lacks_its_upgrade_headers_is_completed(edge: Edge) -> None:
    async with exchange(edge.caddy.http_port, "/ws/ocpp/C6", without=("Connection", "Upgrade")) as reply:
        assert (reply.status, reply.headers["sec-websocket-protocol"]) == (101, "ocpp1.6")
        assert "server" not in reply.headers


@pytest.mark.parametrize("path", ["//ws/ocpp//C7", "/ws/ocpp/C7/", "/ws/ocpp/C7/C7", "/WS/OCPP/C7"])
async def test_odd_connection_urls_lead_to_the_station_they_mean(
    edge: Edge, operator: httpx.AsyncClient, path: str
) -> None:
    async with Station16("", "C7", address=f"{edge.caddy.ws}{path}") as station:
        await station.heartbeat()
        assert await clear_cache(operator, "C7") == {"status": "Accepted"}


async def test_tools_get_their_paths_as_they_need_them_and_a_missing_one_hinders_nobody(
    anybody: httpx.AsyncClient,
) -> None:
    for tool in TOOLS:
        answer = await anybody.get(f"/{tool}")
        assert (answer.status_code, answer.headers["Location"]) == (308, f"/{tool}/")
    told = {tool: (await anybody.get(f"/{tool}/a%2Fb?c")).json() for tool in TOOLS[:3]}
    assert [told[tool]["path"] for tool in told] == ["/filebrowser/a%2Fb?c", "/pgadmin4/a%2Fb?c", "/a%2Fb?c"]
    headers = told["pgadmin4"]["headers"]
    assert (headers["x-script-name"], headers["x-scheme"]) == (["/pgadmin4"], ["https"])
    assert (await anybody.get("/kibana/")).status_code == 502


async def test_the_log_has_no_secrets(edge: Edge, operator: httpx.AsyncClient) -> None:
    async with listening(edge, operator, "C8"):
        pass
    token = operator.headers["Authorization"].removeprefix("Bearer ")
    await operator.get("/anywhere", params={"password": "open-sesame", "q": "found-me"})
    await operator.get("/elsewhere", headers={"Referer": "https://x.example/?token=open-sesame", "X-Auth": "open-sesame"})
    async with edge.station("C8", password="open-sesame-1234") as station:
        await station.heartbeat()
    await operator.get("/the-end")
    async with asyncio.timeout(10):
        while "/the-end" not in edge.parts.text() or "/ws/ocpp/C8" not in edge.parts.text():
            await asyncio.sleep(0.05)
    lines = [line for line in edge.parts.text().splitlines() if '"http.log' in line]
    assert any("found-me" in line for line in lines)
    for secret in (token, "open-sesame", PASSWORD, httpx.BasicAuth("C8", "open-sesame-1234")._auth_header[6:]):
        assert not [line for line in lines if secret in line]
    request = next(json.loads(line) for line in lines if "/ws/ocpp/C8" in line)
    assert request["request"]["headers"]["Authorization"] == ["REDACTED"]


async def test_who_asks_for_too_much_is_told_so_as_the_api_does(operator: httpx.AsyncClient) -> None:
    answer = await operator.post("/api/ocpp16/reset/", content=b"x" * (4 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()) == (
        413,
        {"code": "PROXY_413", "message": "Request Entity Too Large", "details": {}},
    )
