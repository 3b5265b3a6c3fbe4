"""Whose word counts about who is behind a proxy."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from tasks import proxies
from tasks.proxies import Origin, ProxyHeaders

PROXY = "172.20.0.5"


@pytest.fixture(autouse=True)
def trusted(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = tuple(map(ip_network, (PROXY, "10.0.0.0/8", "fd00::/8")))


def field(headers: Mapping[str, str | Sequence[str]]) -> proxies.Field:
    lines = {name.lower(): [value] if isinstance(value, str) else value for name, value in headers.items()}
    return lambda name: lines.get(name.lower(), [])


def origin(peer: str | None, **headers: str | Sequence[str]) -> Origin:
    return proxies.origin(peer, False, field({name.replace("_", "-"): value for name, value in headers.items()}))


def address(*hops: str, peer: str = PROXY) -> str | None:
    return origin(peer, X_Forwarded_For=list(hops), X_Forwarded_Proto="https").address


@pytest.mark.parametrize("peer", ["203.0.113.9", "172.20.0.6", "2001:db8::1", "::ffff:203.0.113.9"])
def test_headers_from_anybody_else_count_for_nothing(peer: str) -> None:
    told = origin(
        peer,
        X_Forwarded_For="198.51.100.1",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="evil.example",
        Client_Cert=":MAA=:",
    )
    assert told == Origin(peer.removeprefix("::ffff:"), secure=False)


def test_without_trusted_proxies_nobody_is_believed(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ()
    assert origin(PROXY, X_Forwarded_For="198.51.100.1", X_Forwarded_Proto="https") == Origin(PROXY, secure=False)


def test_a_peer_without_an_address_is_not_trusted() -> None:
    assert origin(None, X_Forwarded_For="198.51.100.1") == Origin(None, secure=False)


@pytest.mark.parametrize("secure", [True, False])
def test_a_trusted_peer_that_forwards_nothing_is_the_client_itself(secure: bool) -> None:
    assert proxies.origin(PROXY, secure, field({})) == Origin(PROXY, secure)


@pytest.mark.parametrize("peer", [PROXY, f"::ffff:{PROXY}", "10.1.2.3", "fd00::5", "fd00::5%eth0"])
def test_a_trusted_peer_is_known_in_whatever_form_its_socket_shows_it(peer: str) -> None:
    assert address("198.51.100.1", peer=peer) == "198.51.100.1"


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        (["198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1:51234"], "198.51.100.1"),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:db8::7]:51234"], "2001:db8::7"),
        (['"[2001:DB8::7]"'], "2001:db8::7"),
        (["fe80::7%eth0"], "fe80::7"),
        (["::ffff:198.51.100.1"], "198.51.100.1"),
        # What the client made up stands before what the proxy saw.
        (["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        (["10.9.9.9, 198.51.100.1"], "198.51.100.1"),
        (["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
        # Proxies in a row.
        (["1.2.3.4, 198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        (["1.2.3.4, 198.51.100.1", "10.0.0.7, fd00::8"], "198.51.100.1"),
        # A client in the trusted network.
        (["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        # No addresses.
        (["nonsense, 198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1, nonsense"], PROXY),
        (["198.51.100.1, unknown, 10.0.0.7"], "10.0.0.7"),
        (["198.51.100.1,,"], "198.51.100.1"),
        ([""], PROXY),
        ([], PROXY),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxys(hops: Sequence[str], client: str) -> None:
    assert address(*hops) == client


@pytest.mark.parametrize(
    ("schemes", "secure"),
    [
        (["https"], True),
        (["HTTPS"], True),
        (["wss"], True),
        (["https, https"], True),
        (["http"], False),
        (["https, http"], False),
        (["http", "https"], False),
        (["https; evil"], False),
        ([""], False),
        ([], False),
    ],
)
def test_a_client_has_tls_where_every_scheme_says_so(schemes: Sequence[str], secure: bool) -> None:
    assert origin(PROXY, X_Forwarded_For="198.51.100.1", X_Forwarded_Proto=schemes).secure is secure


def test_tls_between_proxy_and_platform_is_not_the_clients() -> None:
    told = proxies.origin(PROXY, True, field({"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "http"}))
    assert not told.secure


@given(st.lists(st.text(max_size=60), max_size=4), st.lists(st.text(max_size=20), max_size=2))
def test_rubbish_in_the_headers_gives_an_address_all_the_same(hops: list[str], schemes: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.TRUSTED_PROXIES", (ip_network(PROXY),), raising=False)
        assert proxies.read_address(address(*hops) or "") is not None
        origin(PROXY, X_Forwarded_Host=hops, X_Forwarded_Proto=schemes)


# The web process


async def seen(
    headers: Sequence[tuple[bytes, bytes]], *, client: Sequence[Any] | None = (PROXY, 4711), kind: str = "http"
) -> dict[str, Any]:
    """Return the scope that an application behind `ProxyHeaders` gets."""
    scopes = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    scope = {"type": kind, "scheme": "http" if kind == "http" else "ws", "client": client, "headers": list(headers)}
    await ProxyHeaders(application)(scope, None, None)
    assert scope["headers"] == list(headers)
    return dict(scopes[0])


FORWARDED = [
    (b"host", b"ov2xmp-daphne:8000"),
    (b"x-forwarded-for", b"198.51.100.1"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"csms.example.org"),
    (b"authorization", b"Bearer x"),
]


@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss")])
async def test_a_request_through_a_trusted_proxy_is_its_clients(kind: str, scheme: str) -> None:
    scope = await seen(FORWARDED, kind=kind)
    assert (scope["client"], scope["scheme"]) == (["198.51.100.1", 0], scheme)
    assert scope["headers"] == [(b"authorization", b"Bearer x"), (b"host", b"csms.example.org")]


@pytest.mark.parametrize(("kind", "scheme"), [("http", "http"), ("websocket", "ws")])
async def test_a_request_from_anybody_else_loses_what_it_says_of_itself(kind: str, scheme: str) -> None:
    more = [(b"Client-Cert", b":MAA=:"), (b"forwarded", b"proto=https"), (b"x_forwarded_proto", b"https")]
    scope = await seen([*FORWARDED, *more, (b"x-forwarded-port", b"443")], client=("203.0.113.9", 4711), kind=kind)
    assert (scope["client"], scope["scheme"]) == (["203.0.113.9", 4711], scheme)
    assert scope["headers"] == [(b"host", b"ov2xmp-daphne:8000"), (b"authorization", b"Bearer x")]


async def test_a_header_with_underscores_is_not_the_proxys() -> None:
    scope = await seen([(b"x-forwarded-for", b"198.51.100.1"), (b"x_forwarded_proto", b"https")])
    assert (scope["scheme"], scope["headers"]) == ("http", [])


async def test_a_request_on_a_unix_socket_has_no_address() -> None:
    assert (await seen(FORWARDED, client=None))["client"] is None


async def test_the_lifespan_of_the_server_passes() -> None:
    scopes = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    await ProxyHeaders(application)({"type": "lifespan"}, None, None)
    assert scopes == [{"type": "lifespan"}]
