"""Addresses of clients, also of those behind a proxy."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


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
    read = read_address(address)
    if isinstance(read, IPv6Address):
        return str(IPv6Network((read, 64), strict=False))
    return str(read) if read else address


def is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address in each for each in networks)


def hops(lines: Iterable[str]) -> list[str]:
    """Split the values of a header such as X-Forwarded-For."""
    return [value for line in lines for each in line.split(",") if (value := each.strip())]


def last_client(forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """Return the last address that is no trusted proxy's: those before it are what the client says.

    Where all are trusted it is the first. What is no address ends the search, since whoever passed
    it on does not know better.
    """
    client = None
    for hop in reversed(forwarded):
        address = read_address(hop)
        if address is None:
            break
        client = address
        if not is_within(address, trusted):
            break
    return client


def client_address(peer: str, lines: Iterable[str], trusted: Sequence[Network]) -> str:
    """Return the address of a client, which a trusted peer tells in the lines of X-Forwarded-For."""
    address = read_address(peer)
    if is_within(address, trusted):
        address = last_client(hops(lines), trusted) or address
    return str(address) if address else peer
