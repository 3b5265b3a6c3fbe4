"""The web process behind a real Caddy that ends TLS for it."""

import json
import secrets
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
import websockets

from tests.caddy import caddy
from tests.certificates import Authority
from tests.e2e.launcher import free_ports
from tests.e2e.parts import Parts
from tests.e2e.storage import PASSWORD, Template

HOST = "csms.example.org"
SITES = """
http://:{plain} {{
	bind 127.0.0.1
	reverse_proxy {web}
}}
https://:{secured} {{
	bind 127.0.0.1
	tls {certificate} {key}
	reverse_proxy {web}
}}
"""


class Edge(NamedTuple):
    """The URLs that people know, and the one behind them."""

    plain: str
    secured: str
    web: str


@pytest.fixture(scope="module")
def edge(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, redis_url: str, template: Template
) -> Iterator[Edge]:
    directory = tmp_path_factory.mktemp("proxy")
    plain, secured = free_ports(2)
    with template.copied(directory) as storage:
        environment = {
            "OV2XMP_TRUSTED_PROXIES": "127.0.0.1",
            "OV2XMP_DJANGO_ALLOWED_HOSTS": f"{HOST},127.0.0.1",
            "OV2XMP_REDIS_URL": redis_url,
            "OV2XMP_REDIS_PREFIX": f"proxy-{secrets.token_hex(4)}",
        }
        parts = Parts(directory, **{**environment, **storage})
        papers = authority.server()
        sites = SITES.format(
            plain=plain,
            secured=secured,
            web=urlsplit(parts.web).netloc,
            certificate=papers.certificate,
            key=papers.key,
        )
        try:
            parts.start("web")
            with caddy(directory, sites, plain, secured):
                yield Edge(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secured}", parts.web)
        finally:
            parts.kill_all()


@pytest.fixture
def client(authority: Authority) -> Iterator[httpx.Client]:
    with httpx.Client(verify=authority.trusting(), trust_env=False, timeout=20) as client:
        yield client


def log_in_to_admin(client: httpx.Client, url: str, **headers: str) -> httpx.Response:
    """Send the form of the admin's login as a browser does."""
    client.cookies.clear()
    page = client.get(f"{url}/admin/login/", headers=headers)
    token = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/admin/"}
    sent = {"Origin": headers.get("Origin", url), "Referer": f"{url}/admin/login/", **headers}
    # Secure cookies do not go over plain HTTP, not even when it says that it is none.
    sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    client.cookies.clear()
    return client.post(f"{url}/admin/login/", data=form, headers=sent)


def test_cookies_of_who_came_over_tls_are_secure_and_others_are_not(edge: Edge, client: httpx.Client) -> None:
    for url, secure in ((edge.secured, True), (edge.plain, False), (edge.web, False)):
        answer = log_in_to_admin(client, url)
        assert answer.status_code == 302, answer.text
        cookies = answer.headers.get_list("set-cookie")
        assert {cookie.split("=")[0] for cookie in cookies} == {"csrftoken", "sessionid"}
        assert [("Secure" in cookie) for cookie in cookies] == [secure] * 2


def test_a_list_links_to_where_its_reader_came_from(edge: Edge, client: httpx.Client) -> None:
    for url in (edge.secured, edge.plain):
        access = client.post(f"{url}/api/token/", json={"username": "admin", "password": PASSWORD}).json()["access"]
        headers = {"Authorization": f"Bearer {access}"}
        for number in (1, 2):
            client.post(f"{url}/api/location/", headers=headers, json={"name": f"Depot {number}"})
        page = client.get(f"{url}/api/location/?limit=1", headers=headers)
        assert page.json()["next"] == f"{url}/api/location/?limit=1&offset=1"
        named = client.get(f"{url}/api/location/?limit=1", headers={**headers, "Host": HOST})
        assert named.json()["next"] == f"{urlsplit(url).scheme}://{HOST}/api/location/?limit=1&offset=1"


def test_what_a_client_says_of_itself_does_not_pass_caddy(edge: Edge, client: httpx.Client) -> None:
    lies = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": HOST, "Forwarded": f"proto=https;host={HOST}"}
    cookie = client.get(f"{edge.plain}/admin/login/", headers=lies).headers["set-cookie"]
    assert "Secure" not in cookie


def test_a_host_that_is_not_ours_is_refused_however_it_is_told(edge: Edge, client: httpx.Client) -> None:
    assert client.get(f"{edge.secured}/api/health/", headers={"Host": "evil.example"}).status_code == 400
    # The machine itself is the trusted proxy here.
    assert client.get(f"{edge.web}/api/health/", headers={"X-Forwarded-Host": "evil.example"}).status_code == 400


async def test_live_updates_come_over_tls_as_well(edge: Edge, authority: Authority) -> None:
    login = {"username": "admin", "password": PASSWORD}
    async with httpx.AsyncClient(verify=authority.trusting(), trust_env=False, timeout=20) as client:
        access = (await client.post(f"{edge.secured}/api/token/", json=login)).json()["access"]
        live = f"{edge.secured.replace('https', 'wss')}/ws/updates/chargepoint/?token={access}"
        async with websockets.connect(live, ssl=authority.trusting(), proxy=None) as socket:
            body = {"chargepoint_id": "CP1"}
            made = await client.post(
                f"{edge.secured}/api/chargepoint/", json=body, headers={"Authorization": f"Bearer {access}"}
            )
            assert made.status_code == 201, made.text
            update = json.loads(await socket.recv())
            assert (update["topic"], update["data"]["chargepoint_id"]) == ("chargepoint", "CP1")
