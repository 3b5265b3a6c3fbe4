"""What nobody is shown."""

from typing import Any

import pytest

from chargers.secrets import MASK, holds_secret, is_secret, masked, without_secrets


@pytest.mark.parametrize(
    "name",
    [
        "AuthorizationKey",
        "authorizationkey",
        "WiFiPassword",
        "AdminPasswd",
        "PUK",
        "SimPUK",
        "apn_pwd",
        "WPA_PSK",
        "SSID",
    ],
)
def test_a_key_that_lets_somebody_in_is_a_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["HeartbeatInterval", "CpoName", "ConnectorPhaseRotation", "SecurityProfile", "Pukka"])
def test_another_key_is_none(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"key": "AuthorizationKey", "value": "x"}, {"key": "AuthorizationKey", "value": MASK}),
        ({"Key": "AuthorizationKey", "VALUE": "x"}, {"Key": "AuthorizationKey", "VALUE": MASK}),
        ({"key": "HeartbeatInterval", "value": "x"}, {"key": "HeartbeatInterval", "value": "x"}),
        (
            [2, "1", "A", {"list": [{"key": "PUK", "value": 1}]}],
            [2, "1", "A", {"list": [{"key": "PUK", "value": MASK}]}],
        ),
        (
            {"variable": {"name": "BasicAuthPassword"}, "attributeValue": "x"},
            {"variable": {"name": "BasicAuthPassword"}, "attributeValue": MASK},
        ),
        (
            {"variable": {"name": "BasicAuthPassword"}, "attribute_value": "x", "actualValue": "y"},
            {"variable": {"name": "BasicAuthPassword"}, "attribute_value": MASK, "actualValue": MASK},
        ),
        (
            {"variable": {"name": "Passphrase"}, "variableAttribute": [{"type": "Actual", "value": "x"}, {}]},
            {"variable": {"name": "Passphrase"}, "variableAttribute": [{"type": "Actual", "value": MASK}, {}]},
        ),
        (
            {"variable": {"name": "OfflineThreshold"}, "attributeValue": "60"},
            {"variable": {"name": "OfflineThreshold"}, "attributeValue": "60"},
        ),
        (
            {"vpn": {"server": "s", "user": "u", "password": "x", "key": "y"}},
            {"vpn": {"server": "s", "user": "u", "password": MASK, "key": MASK}},
        ),
        (
            {"apn": {"apn": "a", "apnPassword": "x", "simPin": 1}},
            {"apn": {"apn": "a", "apnPassword": MASK, "simPin": MASK}},
        ),
        ({"apn": {"apn_password": "x", "sim_pin": 1}}, {"apn": {"apn_password": MASK, "sim_pin": MASK}}),
        ("ftp://me:secret@host:21/x", f"ftp://me:{MASK}@host:21/x"),
        ("ftp://me:a:b@c@host/x", f"ftp://me:{MASK}@host/x"),
        ("ftp://me@host/x", "ftp://me@host/x"),
        ("http://host:80/a:b@c", "http://host:80/a:b@c"),
        ("see ftp://a:b@c and ftp://d:e@f", f"see ftp://a:{MASK}@c and ftp://d:{MASK}@f"),
        ("12:30@noon", "12:30@noon"),
        (None, None),
        (5, 5),
    ],
)
def test_secrets_are_masked_wherever_they_stand(value: Any, shown: Any) -> None:
    assert masked(value) == shown


def test_what_is_too_deep_to_be_searched_may_hold_a_secret() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert holds_secret(deep)
    assert holds_secret([{"key": "PUK", "value": "1234"}])
    assert not holds_secret([{"key": "HeartbeatInterval", "value": "1234"}])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('[3,"m1",{"configurationKey":[{"key":"PUK" "value":"1234"', '[3,"m1",'),
        ('[3,"m1",{"value":"1234","key":"AuthorizationKey"', '[3,"m1",'),
        ('[2,"m1","Heartbeat",{', '[2,"m1","Heartbeat",{'),
        (
            '[2,"m1","DataTransfer",{"data":"ftp://me:hunter2@host',
            f'[2,"m1","DataTransfer",{{"data":"ftp://me:{MASK}@host',
        ),
    ],
)
def test_of_a_broken_frame_no_more_is_shown_than_is_safe(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
