from ipaddress import ip_network

import pytest

from filestore.environment import SettingError
from filestore.proxies import client_address, read_trusted

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


def test_a_proxy_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OV2XMP_TRUSTED_PROXIES", "10.0.0.1, caddy")

    with pytest.raises(SettingError, match=r"OV2XMP_TRUSTED_PROXIES .* not 'caddy'"):
        read_trusted()
