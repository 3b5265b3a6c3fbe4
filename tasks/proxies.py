"""Who is behind a proxy: headers that tell so count only from the addresses in OV2XMP_TRUSTED_PROXIES.

Web and csms read them alike: X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host, and of mutual
TLS that the proxy has ended Client-Cert and Client-Cert-Chain (RFC 9440).
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from django.conf import settings

Address = IPv4Address | IPv6Address
Field = Callable[[str], Sequence[str]]

FOR, PROTO, HOST = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"
CLIENT_CERT, CLIENT_CERT_CHAIN = "Client-Cert", "Client-Cert-Chain"
HEADERS = (FOR, PROTO, HOST, CLIENT_CERT, CLIENT_CERT_CHAIN)

SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}

# Others that tell the same and might be believed by whoever comes later.
_UNHEARD = frozenset({b"forwarded", b"x-real-ip", b"client-cert", b"client-cert-chain"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, as far as it can be believed.

    `secure` says whether the client itself speaks TLS. `host` is empty where the Host header says
    it. `forwarded` says that a trusted proxy passed the request on; only then `certificate` and
    `chain` are what it sent as Client-Cert and Client-Cert-Chain, each time it did.
    """

    address: str | None
    secure: bool
    host: str = ""
    forwarded: bool = False
    certificate: Sequence[str] = ()
    chain: Sequence[str] = ()


def read_address(text: str) -> Address | None:
    """Read an address as proxies and sockets write it; None where it is none.

    It may have a port, brackets, quotes and a zone. An IPv4 address mapped into IPv6, as a socket
    for both sees it, is an IPv4 address.
    """
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network(address: str) -> str:
    """Return what stands for a client where attempts are counted: of IPv6 it has a whole network (/64)."""
    return str(IPv6Network((address, 64), strict=False)) if ":" in address else address


def trusts(address: Address | None) -> bool:
    """Tell whether what comes from an address may tell who is behind it."""
    return address is not None and any(address in network for network in settings.TRUSTED_PROXIES)


def origin(peer: str | None, secure: bool, field: Field) -> Origin:
    """Find out where a request comes from.

    `peer` is the address at the other end of the connection, `secure` says whether that has TLS,
    and `field` returns all values of a header, in their order.
    """
    if not settings.TRUSTED_PROXIES and (peer is None or ":" not in peer):
        # Most handshakes are as plain as that.
        return Origin(peer, secure)
    address = read_address(peer) if peer else None
    told = str(address) if address else peer
    # Without a header it is a client on a trusted address: a health check, or a station in the same network.
    if not trusts(address) or not sent(field):
        return Origin(told, secure)
    client = _client(_values(field(FOR))) or address
    schemes = {scheme.casefold() for scheme in _values(field(PROTO))}
    return Origin(
        str(client),
        # What the client wrote may stand beside what the proxy did: TLS is believed only where all say so.
        secure=bool(schemes) and schemes <= {"https", "wss"},
        host=(_values(field(HOST)) or [""])[-1],
        forwarded=True,
        certificate=field(CLIENT_CERT),
        chain=field(CLIENT_CERT_CHAIN),
    )


def sent(field: Field) -> bool:
    """Tell whether a request has a header of a proxy, be it believed or not."""
    return any(field(name) for name in HEADERS)


def _values(lines: Sequence[str]) -> list[str]:
    return [value for line in lines for each in line.split(",") if (value := each.strip())]


def _client(hops: Sequence[str]) -> Address | None:
    """Return the last address that is no trusted proxy's: those before it are what the client says.

    Where all are trusted it is the first. What is no address ends the search, since whoever passed
    it on does not know better.
    """
    client = None
    for hop in reversed(hops):
        address = read_address(hop)
        if address is None:
            break
        client = address
        if not trusts(address):
            break
    return client


Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


class ProxyHeaders:
    """An ASGI application that sees clients where a trusted proxy is seen.

    The address, the scheme and the host of a request are the client's. No header of a proxy is
    left, whoever sent it, so that nothing further in can believe one.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = _seen_through(scope)
        await self.application(scope, receive, send)


def _seen_through(scope: Scope) -> Scope:
    headers: list[tuple[bytes, bytes]] = []
    told: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        # Frameworks fold an underscore and a hyphen into one.
        folded = name.lower().replace(b"_", b"-")
        if folded in _UNHEARD or folded.startswith(b"x-forwarded-"):
            told.setdefault(name.lower().decode("latin-1"), []).append(value.decode("latin-1"))
        else:
            headers.append((name, value))
    peer, port = scope.get("client") or (None, 0)
    secure = scope.get("scheme") in ("https", "wss")
    found = origin(peer, secure, lambda name: told.get(name.lower(), ()))
    if found.host:
        headers = [(name, value) for name, value in headers if name.lower() != b"host"]
        headers.append((b"host", found.host.encode("latin-1")))
    return {
        **scope,
        "headers": headers,
        "client": [found.address, 0 if found.forwarded else port] if found.address else None,
        "scheme": SCHEMES[scope["type"]][found.secure],
    }
