"""Failed logins are limited, for the user name and the address that they come from."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from api import logins
from tasks import broker

PASSWORD = "correct horse battery"
LIMIT = 3

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_settings")]


@pytest.fixture(autouse=True)
def password(settings: Settings, administrating_user: User) -> None:
    settings.LOGIN_MAX_FAILED_ATTEMPTS = LIMIT
    settings.LOGIN_MAX_FAILED_PER_ADDRESS = 0
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    administrating_user.set_password(PASSWORD)
    administrating_user.is_staff = True
    administrating_user.save()


@pytest.fixture
def log_in(anonymous: APIClient) -> Callable[..., int]:
    def log_in(password: str = "wrong", *, name: str = "administrating_user", address: str = "203.0.113.9") -> int:
        body = {"username": name, "password": password}
        return anonymous.post("/api/token/", body, REMOTE_ADDR=address).status_code

    return log_in


def form(password: str, address: str = "203.0.113.9") -> str:
    body = {"username": "administrating_user", "password": password, "next": "/admin/"}
    answer = Client().post("/admin/login/", body, REMOTE_ADDR=address)
    return answer.headers.get("Location") or answer.content.decode()


def test_too_many_failed_logins_are_refused_with_the_right_password_too(
    anonymous: APIClient, log_in: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    assert [log_in() for _ in range(LIMIT + 1)] == [401] * LIMIT + [429]
    body = {"username": "administrating_user", "password": PASSWORD}
    refused = anonymous.post("/api/token/", body, REMOTE_ADDR="203.0.113.9")
    assert refused.status_code == 429
    assert refused.json()["code"] == "throttled"
    assert 290 <= int(refused["Retry-After"]) <= 300
    assert refused.json()["details"] == {"wait": int(refused["Retry-After"])}
    assert caplog.text.count("too many failed logins from 203.0.113.9") == 1


def test_the_same_user_elsewhere_and_others_here_log_in(log_in: Callable[..., int], operating_user: User) -> None:
    operating_user.set_password(PASSWORD)
    operating_user.save()
    assert [log_in() for _ in range(LIMIT + 1)][-1] == 429
    assert log_in(PASSWORD, address="203.0.113.10") == 200
    assert log_in(PASSWORD, name="operating_user") == 200


def test_addresses_of_one_ipv6_network_are_one(log_in: Callable[..., int]) -> None:
    assert [log_in(address=f"2001:db8::{n}") for n in range(LIMIT + 1)][-1] == 429
    assert log_in(PASSWORD, address="2001:db8:0:1::1") == 200


def test_a_login_in_between_begins_anew(log_in: Callable[..., int]) -> None:
    for _ in range(2):
        assert [log_in() for _ in range(LIMIT - 1)] == [401] * (LIMIT - 1)
        assert log_in(PASSWORD) == 200


def test_what_is_over_is_forgotten(log_in: Callable[..., int], redis_settings: str) -> None:
    assert [log_in() for _ in range(LIMIT + 1)][-1] == 429
    (key,) = broker.client().keys(f"{redis_settings}:login:*")
    assert 0 < broker.client().ttl(key) <= 300
    broker.client().pexpire(key, 0)
    assert log_in(PASSWORD) == 200
    assert broker.client().keys(f"{redis_settings}:login:*") == []


def test_the_admin_counts_together_with_rest(log_in: Callable[..., int]) -> None:
    assert log_in() == 401
    assert "Please enter the correct username and password" in form("wrong")
    assert log_in() == 401
    assert "Too many failed logins. Expected available in" in form(PASSWORD)
    assert form(PASSWORD, "203.0.113.10") == "/admin/"


def test_zero_refuses_none(log_in: Callable[..., int], settings: Settings) -> None:
    settings.LOGIN_MAX_FAILED_ATTEMPTS = 0
    assert {log_in() for _ in range(20)} == {401}


def test_without_redis_people_log_in_all_the_same(
    log_in: Callable[..., int], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    broker.client.cache_clear()
    assert [log_in() for _ in range(LIMIT + 1)] == [401] * (LIMIT + 1)
    assert log_in(PASSWORD) == 200
    assert "failed logins are not limited" in caplog.text


def test_a_database_that_is_away_is_no_failed_login(
    log_in: Callable[..., int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "api.errors")
    with monkeypatch.context() as outage:

        def away(*args: object, **options: object) -> None:
            raise OperationalError

        outage.setattr("django.contrib.auth.backends.ModelBackend.authenticate", away)
        assert {log_in() for _ in range(LIMIT + 1)} == {503}
    assert log_in(PASSWORD) == 200


def test_logins_that_are_sent_at_once_are_no_way_around_the_limit(settings: Settings) -> None:
    class Request:
        META = {"REMOTE_ADDR": "203.0.113.9"}

    def attempt(_: int) -> str:
        try:
            with logins.limited(Request(), "somebody"):  # type: ignore[arg-type]
                raise logins.AuthenticationFailed
        except (logins.AuthenticationFailed, logins.Throttled) as error:
            return type(error).__name__

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(attempt, range(20)))
    assert outcomes == ["AuthenticationFailed"] * LIMIT + ["Throttled"] * (20 - LIMIT)


def test_many_names_from_one_address_are_refused_together(
    log_in: Callable[..., int], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LOGIN_MAX_FAILED_PER_ADDRESS = 5
    assert [log_in(name=f"user{number}") for number in range(7)] == [401] * 5 + [429] * 2
    assert log_in(PASSWORD) == 429
    assert log_in(PASSWORD, address="203.0.113.10") == 200
    assert caplog.text.count("too many failed logins from 203.0.113.9") == 1


def test_logins_do_not_count_among_the_failed_ones_of_their_address(
    log_in: Callable[..., int], settings: Settings, redis_settings: str
) -> None:
    settings.LOGIN_MAX_FAILED_PER_ADDRESS = 3
    assert log_in(name="nobody") == 401
    assert {log_in(PASSWORD) for _ in range(6)} == {200}
    assert log_in(name="nobody") == 401
    # What has run out in between begins anew, and ends again.
    _, of_address = logins._counts("203.0.113.9", "nobody")
    key = of_address.key
    assert broker.client().get(key) == b"2"
    with logins.limited(Django(), "administrating_user"):  # type: ignore[arg-type]
        broker.client().delete(key)
    assert (broker.client().get(key), broker.client().ttl(key) > 0) == (b"0", True)


class Django:
    META = {"REMOTE_ADDR": "203.0.113.9"}


def test_who_logs_in_and_who_fails_is_told_in_the_log(
    log_in: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api.logins")
    log_in(name="no\nbody")
    log_in(PASSWORD)
    assert r"'no\nbody' from 203.0.113.9 could not log in" in caplog.text
    assert "'administrating_user' has logged in from 203.0.113.9" in caplog.text
    assert PASSWORD not in caplog.text
