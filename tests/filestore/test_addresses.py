from ipaddress import ip_network

import pytest

from filestore.addresses import client_address, network

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::1")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        ("fd00::1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["1.2.3.4:5"], "1.2.3.4"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", ["rubbish"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("1.1.1.1", ["2.2.2.2"], "1.1.1.1"),
    ],
)
def test_the_client_is_who_no_trusted_proxy_is(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == client


def test_a_client_counts_with_the_whole_network_that_it_has() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff") != network("2001:db8:0:1::1")
    assert network("203.0.113.7") == network("::ffff:203.0.113.7") != network("::ffff:203.0.113.8")
