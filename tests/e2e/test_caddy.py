"""The platform through the real Caddy, as operators, frontends and stations meet it in production."""

import asyncio
import base64
import contextlib
import json
import re
import socket
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

from filestore.folder import UPLOADS
from tests.caddy import CADDY, running
from tests.certificates import Authority
from tests.csms.raw import exchange
from tests.e2e.edge import Caddy, add_caddy, members
from tests.e2e.frontend import Listener
from tests.e2e.launcher import free_ports
from tests.e2e.parts import Parts, answers, python
from tests.e2e.stand_ins import STAND_IN, echo, name_server
from tests.e2e.storage import PASSWORD, Template
from tests.simulator.v16 import Station16

REPLICA = "127.0.0.2"
ACCOUNT = ("ov2xmp", "a password of stations")
TOOLS = ("filebrowser", "pgadmin4", "portainer", "kibana")


@dataclass
class Edge:
    """A platform with two csms behind Caddy."""

    parts: Parts
    caddy: Caddy
    files: Path
    # What the name of the csms is looked up as.
    addresses: list[str]

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
def edge(redis_url: str, authority: Authority, template: Template) -> Iterator[Edge]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ov2xmp-tests-")))
        storage = stack.enter_context(template.copied(directory))
        stand_in = stack.enter_context(echo())
        addresses = ["127.0.0.1"]
        names = stack.enter_context(name_server(addresses))
        settings = {
            "OV2XMP_REDIS_URL": redis_url,
            "OV2XMP_REDIS_PREFIX": f"test-{uuid4().hex[:8]}",
            "OV2XMP_TRUSTED_PROXIES": "127.0.0.1",
            "OV2XMP_CSMS_TLS_CLIENT_CA": authority.root.certificate,
            "OV2XMP_FILES_PORT": str(free_ports(1)[0]),
            "OV2XMP_FILES_DIR": str(directory / "files"),
            "OV2XMP_HTTP_USERNAME": ACCOUNT[0],
            "OV2XMP_HTTP_PASSWORD": ACCOUNT[1],
            "OV2XMP_FILES_LOGIN_DELAY": "0",
            **storage,
        }
        parts = Parts(directory, **settings)
        csms_port = parts.environment["OV2XMP_CSMS_PORT"]
        parts.commands["replica"] = python("csms")
        parts.settings_of["replica"] = {"OV2XMP_BIND": REPLICA}
        parts.pages["replica"] = f"http://{REPLICA}:{csms_port}/healthz"
        parts.commands["files"] = python("http_file_server")
        files = f"127.0.0.1:{settings['OV2XMP_FILES_PORT']}"
        parts.pages["files"] = f"http://{files}/healthz"
        caddy = add_caddy(
            parts,
            "caddyfile-prod",
            OV2XMP_CADDY_TLS="internal",
            OV2XMP_CADDY_CLIENT_CA=authority.root.certificate,
            OV2XMP_CADDY_WEB=parts.web.removeprefix("http://"),
            OV2XMP_CADDY_CSMS_HOST="csms.test",
            OV2XMP_CADDY_CSMS_PORT=csms_port,
            OV2XMP_CADDY_CSMS_RESOLVERS=f"resolvers {names}",
            OV2XMP_CADDY_FILES=files,
            OV2XMP_FILES_DIR=settings["OV2XMP_FILES_DIR"],
            OV2XMP_CADDY_FRONTEND=stand_in,
            OV2XMP_CADDY_FILEBROWSER=stand_in,
            OV2XMP_CADDY_PGADMIN=stand_in,
            OV2XMP_CADDY_PORTAINER=stand_in,
            OV2XMP_CADDY_FILE_MAX_BODY="8MiB",
            # There is none, as without the compose file of the externals.
            OV2XMP_CADDY_KIBANA="kibana.invalid:5601",
        )
        stack.callback(parts.kill_all)
        parts.start("web", "csms", "replica", "worker", "files", "caddy")
        yield Edge(parts, caddy, Path(settings["OV2XMP_FILES_DIR"]), addresses)


@pytest.fixture
async def anybody(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with edge.client() as client:
        yield client


@pytest.fixture(scope="module")
def token(edge: Edge) -> str:
    """The administrator's access token, got through Caddy."""
    credentials = {"username": "admin", "password": PASSWORD}
    context = edge.caddy.trusting()
    answer = httpx.post(f"{edge.caddy.https}/api/token/", json=credentials, verify=context, trust_env=False, timeout=20)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access"])


@pytest.fixture
async def operator(anybody: httpx.AsyncClient, token: str) -> httpx.AsyncClient:
    """The administrator, logged in."""
    anybody.headers["Authorization"] = f"Bearer {token}"
    return anybody


async def clear_cache(operator: httpx.AsyncClient, identity: str) -> dict[str, Any]:
    answer = await operator.post("/api/ocpp16/clearcache/", json={"chargepoint_id": identity})
    assert answer.status_code == 200, answer.text
    return answer.json()["message"]  # type: ignore[no-any-return]


@asynccontextmanager
async def listening(edge: Edge, token: str, identity: str) -> AsyncIterator[Listener]:
    address = f"{edge.caddy.wss}/ws/updates/all/?token={token}&chargepoint_id={quote(identity)}"
    async with websockets.connect(address, ssl=edge.caddy.trusting(), proxy=None) as connection:
        # Whoever answers a ping has joined its groups.
        await (await connection.ping())
        yield Listener(connection)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_station_is_driven_and_watched_through_caddy(
    edge: Edge, operator: httpx.AsyncClient, token: str, scheme: str
) -> None:
    identity = f"C1/{scheme} 1"
    async with (
        edge.station(identity, getattr(edge.caddy, scheme)) as station,
        listening(edge, token, identity) as listener,
    ):
        assert (await station.boot())["status"] == "Accepted"
        assert await clear_cache(operator, identity) == {"status": "Accepted"}
        await station.status(1, "Preparing")
        await listener.until("connector", connector_status="Preparing")


async def test_stations_and_frontends_stay_connected_while_the_configuration_is_reloaded(
    edge: Edge, operator: httpx.AsyncClient, token: str
) -> None:
    async with (
        edge.station("C2", edge.caddy.ws) as plain,
        edge.station("C3") as secure,
        listening(edge, token, "C2") as listener,
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


async def test_a_replica_that_is_added_gets_stations_and_those_of_a_dead_one_go_to_the_others(
    edge: Edge, operator: httpx.AsyncClient
) -> None:
    async with AsyncExitStack() as stack:

        async def connect(number: int) -> Station16:
            return await stack.enter_async_context(edge.station(f"C4-{number}"))

        async with asyncio.timeout(10):
            # Those of other tests have said good-bye, which takes a moment.
            while any((await connections(edge)).values()):
                await asyncio.sleep(0.05)
        stations = [await connect(number) for number in range(3)]
        assert await connections(edge) == {"csms": 3, "replica": 0}
        edge.addresses.append(REPLICA)
        async with asyncio.timeout(15):
            while (await connections(edge))["replica"] < 2:
                # Caddy looks the replicas up every other second; who comes then goes where there is more room.
                await asyncio.sleep(0.2)
                stations.append(await connect(len(stations)))
        before = await connections(edge)

        edge.parts.kill("replica")
        lost = []
        for station in stations:
            try:
                await station.heartbeat()
            except ConnectionError:
                lost.append(station)
        assert len(lost) == before["replica"]
        for station in lost:
            await station.connect()
            await station.boot()
            assert await clear_cache(operator, station.identity) == {"status": "Accepted"}
        assert (await connections(edge, "csms"))["csms"] == len(stations)
        await asyncio.to_thread(edge.parts.start, "replica")


async def connections(edge: Edge, *names: str) -> dict[str, int]:
    """Ask the csms replicas how many stations each has."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answers = {name: await client.get(edge.parts.pages[name]) for name in names or ("csms", "replica")}
    return {name: answer.json()["connections"] for name, answer in answers.items()}


STATIONS_PATHS = ["/ws/ocpp/C5", "/http/upload/x.bin", "/http/files/", "/http/files/x.bin"]
OTHER_PATHS = ["/", "/api/", "/admin/", "/static/x.css", "/media/x", "/ws/updates/all/", "/metrics", *TOOLS]


async def test_plain_http_is_for_stations_only(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.caddy.http, trust_env=False) as client:
        for path in STATIONS_PATHS:
            assert not (await client.get(path)).is_redirect, path
        for path in OTHER_PATHS:
            answer = await client.post(path, params={"a": "b"})
            assert answer.status_code == 308
            assert answer.headers["Location"] == f"{edge.caddy.https}/{path.removeprefix('/')}?a=b"


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
        assert STAND_IN not in answer.headers
    for path in ("/media/x", "/http/upload/x", "/http/files/x", "/ws/ocpp/C5", "/ws/updates/x/"):
        assert STAND_IN not in (await anybody.get(path)).headers
    for path in ("/", "/apiary", "/administrator", "/metrics", "/healthz", "/ws/ocpp/../metrics", "/ws/other/"):
        assert STAND_IN in (await anybody.get(path)).headers


async def test_the_pages_of_the_csms_itself_are_not_there(edge: Edge) -> None:
    for path in (
        "/ws/ocpp/metrics",
        "/ws/ocpp//healthz",
        "/ws/ocpp/%2e%2e/%2e%2e/metrics",
        "/ws/ocpp/..%2f..%2fmetrics",
    ):
        async with exchange(edge.caddy.http_port, path, without=("Sec-WebSocket-Key",)) as reply:
            assert reply.status != 200, path


async def test_a_handshake_that_lacks_its_upgrade_headers_is_completed(edge: Edge) -> None:
    async with exchange(edge.caddy.http_port, "/ws/ocpp/C6", without=("Connection", "Upgrade")) as reply:
        assert (reply.status, reply.headers["sec-websocket-protocol"]) == (101, "ocpp1.6")
        assert "server" not in reply.headers


async def test_nobody_can_make_a_replica_count_as_gone(edge: Edge, anybody: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    for content in (b"x", chunks()):
        # The csms itself would hang up on it.
        assert (await anybody.request("GET", "/ws/ocpp/C13", content=content)).status_code == 426
    assert (await anybody.post("/ws/ocpp/C13", content=b"x")).status_code == 405
    async with asyncio.timeout(5), edge.station("C13") as station:
        await station.heartbeat()


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


async def test_the_log_has_no_secrets(edge: Edge, operator: httpx.AsyncClient, token: str) -> None:
    async with listening(edge, token, "C8"):
        pass
    await operator.get("/anywhere", params={"password": "open-sesame", "q": "found-me"})
    await operator.get(
        "/elsewhere", headers={"Referer": "https://x.example/?token=open-sesame", "X-Auth": "open-sesame"}
    )
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


async def test_who_may_not_put_a_file_to_rest_does_not_get_it_into_memory(
    edge: Edge, anybody: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    reader, writer = await asyncio.open_connection("localhost", edge.caddy.https_port, ssl=edge.caddy.trusting())
    try:
        writer.write(b"PUT /api/file/large.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\nx")
        async with asyncio.timeout(10):
            # No more of it was sent.
            answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in answer
    finally:
        writer.transport.abort()
    assert (await operator.put("/api/file/small.bin", content=b"image")).status_code == 201
    assert (edge.files / "small.bin").read_bytes() == b"image"


async def test_a_file_that_is_too_large_for_rest_is_refused(operator: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        # Its size is told by nothing but what comes.
        yield bytes(8 * 1024 * 1024)
        yield b"x"

    answer = await operator.put("/api/file/large.bin", content=chunks())
    assert (answer.status_code, answer.json()["code"]) == (413, "PROXY_413")


async def test_a_station_uploads_and_fetches_files_over_plain_http_and_tls(edge: Edge) -> None:
    content = uuid4().bytes * 100_000
    for number, base in enumerate((edge.caddy.http, edge.caddy.https)):
        async with edge.client(auth=ACCOUNT) as client:
            client.base_url = base
            stored = await client.put(f"/http/upload/logs/C9/{number}/log.bin", content=content)
            assert stored.status_code == 201, stored.text
            posted = await client.post(f"/http/upload/logs/C9/{number}/", files={"file": ("form.bin", content)})
            assert posted.status_code == 201, posted.text
            assert (edge.files / f"logs/C9/{number}/log.bin").read_bytes() == content
            path = f"/http/files/logs/C9/{number}/log.bin"
            fetched = await client.get(path)
            assert (fetched.status_code, fetched.content) == (200, content)
            assert "Content-Encoding" not in fetched.headers
            part = await client.get(path, headers={"Range": "bytes=16-31", "If-Range": fetched.headers["ETag"]})
            assert (part.status_code, part.content) == (206, content[16:32])
            assert part.headers["Content-Range"] == f"bytes 16-31/{len(content)}"
            assert (await client.head(path)).headers["Content-Length"] == str(len(content))


async def test_files_are_for_the_account_only(edge: Edge, anybody: httpx.AsyncClient) -> None:
    (edge.files / "firmware.bin").write_bytes(b"firmware")
    for path in ("/http/files/", "/http/files/firmware.bin", "/http/files/nothing"):
        for auth in (None, (ACCOUNT[0], "wrong")):
            answer = await anybody.get(path, auth=auth)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert (await anybody.put("/http/upload/x.bin", content=b"x")).status_code == 401
    assert (await anybody.get("/http/files/firmware.bin", auth=ACCOUNT)).content == b"firmware"


async def test_the_list_of_files_hides_what_is_not_complete(edge: Edge) -> None:
    folder = edge.files / "logs/C10"
    folder.mkdir(parents=True)
    for name in ("seen.log", ".hidden.part", "index.html"):
        (folder / name).write_text("<script>alert(1)</script>")
    async with edge.client(auth=ACCOUNT) as client:
        page = await client.get("/http/files/logs/C10/")
        assert page.headers["Content-Type"].startswith("text/html")
        assert "seen.log" in page.text
        assert ".hidden.part" not in page.text
        listed = await client.get("/http/files/logs/C10/", headers={"Accept": "application/json"})
        assert {each["name"] for each in listed.json()} == {"seen.log", "index.html"}
        assert (await client.get("/http/files/logs/C10/.hidden.part")).status_code == 404
        # What a station has put there cannot act as a page of the platform.
        assert "alert" not in page.text
        found = await client.get("/http/files/logs/C10/index.html")
        assert "sandbox" in found.headers["Content-Security-Policy"]
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        # It lies beside the folder.
        secret = (edge.files.parent / "secret-key").read_text()
        for odd in ("/http/files/../secret-key", "/http/files/%2e%2e/secret-key", "/http/files/..%2fsecret-key"):
            assert secret not in (await client.get(odd)).text


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_station_that_may_not_upload_does_not_send_its_file(edge: Edge, scheme: str) -> None:
    port, tls = (edge.caddy.http_port, None) if scheme == "http" else (edge.caddy.https_port, edge.caddy.trusting())
    reader, writer = await asyncio.open_connection("localhost", port, ssl=tls)
    head = (
        b"PUT /http/upload/large.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n"
    )
    try:
        writer.write(head + b"\r\n")
        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")
    finally:
        writer.transport.abort()


def refusal_of(edge: Edge, scheme: str, size: int) -> bytes:
    """Send a file with a wrong account as fast as it is taken; return what is answered first."""
    port = edge.caddy.https_port if scheme == "https" else edge.caddy.http_port
    wrong = base64.b64encode(f"{ACCOUNT[0]}:wrong".encode()).decode()
    head = f"PUT /http/upload/x.bin HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {wrong}\r\nContent-Length: {size}\r\n\r\n"
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    if scheme == "https":
        client = edge.caddy.trusting().wrap_socket(client, server_hostname="localhost")
    with client:
        # The connection may be closed before all is sent; what was answered is there even so.
        with contextlib.suppress(OSError):
            client.sendall(head.encode() + bytes(size))
        return client.recv(65536)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("size", [10, 9_000_000])
async def test_a_refused_station_that_does_not_wait_hears_so_and_is_not_misunderstood(
    edge: Edge, scheme: str, size: int
) -> None:
    answer = await asyncio.to_thread(refusal_of, edge, scheme, size)
    assert answer.startswith(b"HTTP/1.1 401 ")
    # The rest of the file is no request.
    assert b"\r\nConnection: close\r\n" in answer


async def test_a_station_that_waits_is_asked_for_its_file(edge: Edge) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.caddy.http_port)
    basic = base64.b64encode(":".join(ACCOUNT).encode()).decode()
    head = (
        "PUT /http/upload/asked.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        f"Expect: 100-continue\r\nAuthorization: Basic {basic}\r\n\r\n"
    )
    try:
        writer.write(head.encode())
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            writer.write(b"asked")
            # Both Caddy and the file server may ask for it, and a client reads on (RFC 9110 section 15.2).
            while (answer := await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 "):
                pass
            assert answer.startswith(b"HTTP/1.1 201 ")
    finally:
        writer.transport.abort()
    assert (edge.files / "asked.bin").read_bytes() == b"asked"


async def test_an_upload_is_passed_on_while_it_comes(edge: Edge) -> None:
    arrived = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        async with asyncio.timeout(10):
            # Nothing is held back in Caddy until the rest is there.
            while not any(path.stat().st_size for path in (edge.files / UPLOADS).iterdir()):
                await asyncio.sleep(0.01)
        arrived.set()
        yield b"y"

    async with edge.client(auth=ACCOUNT) as client:
        assert (await client.put("/http/upload/slow.bin", content=slowly())).status_code == 201
    assert arrived.is_set()


async def test_the_security_profile_is_what_caddy_tells_of_the_connection(
    edge: Edge, operator: httpx.AsyncClient, authority: Authority
) -> None:
    certified = edge.caddy.trusting()
    certified.load_cert_chain(*authority.station("C11"))
    mtls = edge.caddy.mtls
    made = await operator.post("/api/chargepoint/", json={"chargepoint_id": "C11"})
    key = made.json()["key"]
    ways = {
        1: [(edge.caddy.ws, {"password": key})],
        2: [(edge.caddy.wss, {"password": key}), (mtls, {"password": key})],
        3: [(mtls, {"ssl": certified})],
    }
    for profile in ways:
        changed = await operator.patch("/api/chargepoint/C11/", json={"security_profile": profile})
        assert changed.status_code == 200, changed.text
        for offered, connections in ways.items():
            for url, options in connections:
                if offered >= profile:
                    async with edge.station("C11", url, **options) as station:
                        await station.heartbeat()
                else:
                    with pytest.raises(websockets.InvalidStatus):
                        await edge.station("C11", url, **options).connect()
    shown = (await operator.get("/api/chargepoint/C11/")).json()
    assert shown["ip_address"] == "127.0.0.1"


async def test_an_operator_logs_in_to_the_admin_and_is_led_to_tls_addresses(
    edge: Edge, operator: httpx.AsyncClient
) -> None:
    for name in ("A", "B"):
        await operator.post("/api/location/", json={"name": name})
    page = await operator.get("/api/location/", params={"limit": 1})
    assert page.json()["next"].startswith(f"{edge.caddy.https}/api/location/")
    form = await operator.get("/admin/login/?next=/admin/")
    token = form.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    answer = await operator.post(
        "/admin/login/?next=/admin/",
        data={"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token},
        headers={"Origin": edge.caddy.https, "Referer": f"{edge.caddy.https}/admin/login/"},
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert all("Secure" in cookie for cookie in answer.headers.get_list("Set-Cookie"))
    assert (await operator.get("/admin/")).status_code == 200


async def test_browsers_are_told_to_stay_with_tls_and_not_what_serves_them(
    edge: Edge, anybody: httpx.AsyncClient
) -> None:
    async with httpx.AsyncClient(base_url=edge.caddy.http, trust_env=False) as plain:
        for client in (anybody, plain):
            for path in ("/api/", "/http/files/", "/nowhere", "/kibana/"):
                headers = (await client.get(path)).headers
                assert not {"Server", "Via"} & {name.title() for name in headers}
                assert ("Strict-Transport-Security" in headers) is (client is anybody), path


async def test_an_idle_station_is_cut_by_no_timeout_of_caddys(
    edge: Edge, operator: httpx.AsyncClient, tmp_path: Path
) -> None:
    # Caddy's configuration has timeouts of other things: here all of them are so short that they would be met.
    config = edge.caddy.adapted()
    for node, name in members(config):
        if name.endswith("_timeout"):
            node[name] = "300ms"
    http_port, https_port, mtls_port, admin_port = free_ports(4)
    text = json.dumps(config).replace(edge.caddy.admin, f"127.0.0.1:{admin_port}")
    for old, new in zip(
        (edge.caddy.http_port, edge.caddy.https_port, edge.caddy.mtls_port),
        (http_port, https_port, mtls_port),
        strict=True,
    ):
        text = re.sub(rf"\b{old}\b", str(new), text)
    (tmp_path / "caddy.json").write_text(text)
    page = f"http://localhost:{http_port}/http/files"
    command = (CADDY, "run", "--config", str(tmp_path / "caddy.json"))
    with running(command, edge.caddy.settings, tmp_path / "log", lambda: answers(page)):
        async with edge.station("C12", f"ws://localhost:{http_port}") as station:
            await station.boot()
            await asyncio.sleep(1.5)
            assert await clear_cache(operator, "C12") == {"status": "Accepted"}
            await station.heartbeat()
