"""The bound on requests that work at once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from api import slots
from api.slots import Slots, turn_given_away

REQUEST = RequestFactory().get("/")


@pytest.fixture(autouse=True)
def two_turns(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(slots, "_turns", threading.BoundedSemaphore(2))
    settings.WEB_QUEUE_TIMEOUT = 0.2


def in_threads(view: Callable[[HttpRequest], HttpResponse], number: int) -> list[int]:
    """Answer so many requests at once; return their statuses."""
    with ThreadPoolExecutor(number) as pool:
        return sorted(response.status_code for response in pool.map(Slots(view), [REQUEST] * number))


def test_no_more_than_the_bound_work_at_once() -> None:
    working: list[int] = []
    most = []

    def view(request: HttpRequest) -> HttpResponse:
        working.append(1)
        most.append(len(working))
        time.sleep(0.05)
        working.pop()
        return HttpResponse()

    assert in_threads(view, 6) == [200] * 6
    assert max(most) == 2


def test_a_request_whose_turn_does_not_come_is_told_so() -> None:
    done = threading.Event()

    def view(request: HttpRequest) -> HttpResponse:
        done.wait(2)
        return HttpResponse()

    with ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(Slots(view), REQUEST) for _ in range(2)]
        refused = Slots(view)(REQUEST)
        done.set()
    assert refused.status_code == 503
    assert b'"code": "BUSY"' in refused.content
    assert [each.result().status_code for each in busy] == [200, 200]
    assert Slots(view)(REQUEST).status_code == 200


def test_who_waits_for_a_station_gives_the_turn_away() -> None:
    together = threading.Barrier(5)

    def view(request: HttpRequest) -> HttpResponse:
        with turn_given_away():
            together.wait(2)
        return HttpResponse()

    assert in_threads(view, 5) == [200] * 5


def test_a_turn_comes_back_from_a_request_that_fails() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        with turn_given_away():
            raise RuntimeError

    for _ in range(3):
        with pytest.raises(RuntimeError):
            Slots(view)(REQUEST)


def test_without_a_turn_there_is_none_to_give() -> None:
    with turn_given_away():
        pass
