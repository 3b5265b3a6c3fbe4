"""Who is behind a proxy: X-Forwarded-For counts only from addresses that are trusted."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from filestore.environment import SettingError, env_list

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def read_trusted() -> list[Network]:
    """Return the addresses and networks of trusted proxies.

    Raises SettingError.
    """
    name = "OV2XMP_TRUSTED_PROXIES"
    networks = []
    for text in env_list(name):
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError as error:
            raise SettingError(f"{name} must be addresses and networks separated by commas, not {text!r}") from error
    return networks


def client_address(peer: str, forwarded: Iterable[str], trusted: Sequence[Network]) -> str:
    """Return the last address that no trusted proxy has; those before it are what the client says itself."""
    client = peer
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    for hop in [*hops, peer][::-1]:
        address = _read(hop)
        if address is None:
            break
        client = str(address)
        if not any(address in network for network in trusted):
            break
    return client


def _read(text: str) -> Address | None:
    """Read an address, which may have brackets, a port or a zone; an IPv4 one that is mapped into IPv6 is itself."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
