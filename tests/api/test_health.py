from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from tasks import broker
from tasks.tasks import sweep_commands
from tests.api import rows

Ask = Callable[[], tuple[int, str, dict[str, str]]]


@pytest.fixture
def ask(anonymous: APIClient) -> Ask:
    """Return a function that asks for the health, and tells its status, its summary and the components' states."""

    def ask() -> tuple[int, str, dict[str, str]]:
        response = anonymous.get("/api/health/")
        body = response.json()
        states = {name: component["state"] for name, component in body["components"].items()}
        return response.status_code, body["status"], states

    return ask


def test_all_is_well_when_everything_runs(ask: Ask, redis_settings: str, anonymous: APIClient) -> None:
    rows.node()
    rows.node("dead", alive=False)
    sweep_commands()
    assert ask() == (200, "up", {"database": "up", "csms": "up", "redis": "up", "worker": "up"})
    assert anonymous.get("/api/health/").json()["components"]["csms"]["nodes"] == 1


def test_what_can_be_done_without_is_told_but_no_failure(ask: Ask, redis_settings: str) -> None:
    assert ask() == (200, "degraded", {"database": "up", "csms": "down", "redis": "up", "worker": "down"})


@pytest.mark.django_db
def test_without_redis_the_platform_is_down(ask: Ask, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    broker.client.cache_clear()
    rows.node()
    assert ask() == (503, "down", {"database": "up", "csms": "up", "redis": "down", "worker": "unknown"})
    broker.client.cache_clear()


def test_without_the_database_the_platform_is_down(
    ask: Ask, redis_settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise OperationalError("secret host")

    monkeypatch.setattr("django.db.models.query.QuerySet.count", fail)
    assert ask() == (503, "down", {"database": "down", "csms": "unknown", "redis": "up", "worker": "down"})
