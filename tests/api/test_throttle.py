"""No user asks a web process for more than so much."""

import logging

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from api import throttle
from api.throttle import BURST_SECONDS, LOG_SECONDS, Rates, Refusals
from tasks import broker

RATE = 0.3
AT_ONCE = int(RATE * BURST_SECONDS)


@pytest.fixture(autouse=True)
def nothing_used_up(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.WEB_MAX_USER_RATE = RATE
    monkeypatch.setattr(throttle, "_rates", Rates())
    monkeypatch.setattr(throttle, "_refusals", Refusals())


def test_what_is_used_up_comes_back() -> None:
    rates = Rates()
    # An eighth of a second each.
    assert [rates.take(1, 8, now=0) for _ in range(80)] == [0] * 80
    assert rates.take(1, 8, now=0) == 1 / 8
    assert rates.take(1, 8, now=1 / 16) == 1 / 16
    assert rates.take(2, 8, now=0) == 0, "another user has their own"
    assert rates.take(1, 8, now=1 / 8) == 0
    assert [rates.take(1, 8, now=1000) for _ in range(81)].count(0) == 80


@pytest.mark.usefixtures("db", "redis_settings")
def test_a_user_who_sends_too_much_is_told_when_to_come_again_and_others_are_served(
    viewer: APIClient, operator: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert [viewer.get("/api/location/").status_code for _ in range(AT_ONCE)] == [200] * AT_ONCE
    with caplog.at_level(logging.WARNING):
        refused = [viewer.get("/api/location/") for _ in range(3)]
    for each in refused:
        assert each.status_code == 429
        body = each.json()
        assert (body["code"], set(body)) == ("throttled", {"code", "message", "details"})
        assert each["Retry-After"] == str(body["details"]["wait"])
        assert 1 <= body["details"]["wait"] <= 1 / RATE + 1
    assert caplog.text.count("sends too many requests") == 1
    assert operator.get("/api/location/").status_code == 200
    assert broker.client().get(broker.refused_key()) == b"1", "the others are counted with a later one"


@pytest.mark.usefixtures("db", "redis_settings")
def test_a_command_counts_as_any_other_request(operator: APIClient) -> None:
    bodies = [operator.post("/api/ocpp16/reset/", {"chargepoint_id": "nobody", "type": "Soft"}) for _ in range(AT_ONCE)]
    assert {each.status_code for each in bodies} == {404}
    assert operator.post("/api/ocpp16/reset/", {"chargepoint_id": "nobody", "type": "Soft"}).status_code == 429


@pytest.mark.usefixtures("db")
def test_zero_sets_no_limit(viewer: APIClient, settings: Settings) -> None:
    settings.WEB_MAX_USER_RATE = 0
    assert {viewer.get("/api/location/").status_code for _ in range(AT_ONCE + 2)} == {200}


@pytest.mark.usefixtures("db")
def test_whoever_is_nobody_is_not_counted(anonymous: APIClient) -> None:
    assert {anonymous.get("/api/location/").status_code for _ in range(AT_ONCE + 2)} == {401}


def test_refusals_are_counted_without_redis_and_told_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def away(number: int) -> None:
        raise broker.RedisError

    refusals, user = Refusals(), User(pk=1, username="u")
    monkeypatch.setattr(broker, "count_refused", away)
    monkeypatch.setattr(throttle.time, "monotonic", lambda: 0.0)
    refusals.note(user.pk, user.username, 0)
    monkeypatch.setattr(broker, "count_refused", told.append)
    refusals.note(user.pk, user.username, 1)
    assert told == [], "nobody waits for it again so soon"
    refusals.note(user.pk, user.username, LOG_SECONDS)
    assert told == [3]
