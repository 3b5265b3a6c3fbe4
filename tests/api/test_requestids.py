"""The id of a request, as clients and the log see it."""

from typing import Any

import httpx
import pytest
from django.conf import settings as project_settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path
from pytest_django.fixtures import Settings

from api import views
from api.requestids import RequestIds
from ov2xmp.logformat import ContextFilter
from tasks import logcontext

seen: list[Any] = []


def note(request: HttpRequest) -> HttpResponse:
    # In a thread of its own.
    seen.append(logcontext.request_id.get())
    return HttpResponse()


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret")


urlpatterns = [path("note/", note), path("api/fail/", fail), path("admin/fail/", fail)]
handler500 = views.failed


@pytest.fixture
def client(settings: Settings) -> httpx.AsyncClient:
    """A client of views that fail and succeed, without what needs a database."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    seen.clear()
    transport = httpx.ASGITransport(RequestIds(ASGIHandler()))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.mark.parametrize("given", ["3f9c", "a-b_c.d:e~f@g/h=i+j", "x" * 128])
async def test_a_sound_id_of_the_client_is_kept(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/note/", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    assert seen == [given]


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, '"quoted"', "é", "a[31m"])
async def test_any_other_request_gets_one_of_its_own(client: httpx.AsyncClient, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given.encode()}
    ids = [(await client.get("/note/", headers=headers)).headers["X-Request-ID"] for _ in range(2)]
    assert ids == seen
    assert len(set(ids)) == 2
    assert given not in ids
    assert logcontext.request_id.get() is None


async def test_a_failure_is_told_with_the_id_of_its_log_line(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caplog.handler, "filters", [ContextFilter()])
    failed = await client.get("/api/fail/", headers={"X-Request-ID": "night-shift"})
    assert failed.status_code == 500
    assert failed.json() == {
        "code": "error",
        "message": "The platform failed; its log says why.",
        "details": {"request_id": "night-shift"},
    }
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.request_id == "night-shift"  # type: ignore[attr-defined]
    assert record.exc_info
    assert str(record.exc_info[1]) == "secret"


async def test_a_page_that_fails_names_the_id_as_well(client: httpx.AsyncClient) -> None:
    failed = await client.get("/admin/fail/", headers={"X-Request-ID": "night-shift"})
    assert failed.status_code == 500
    assert failed.headers["Content-Type"].startswith("text/html")
    assert "<code>night-shift</code>" in failed.text
    assert "secret" not in failed.text


def test_the_platform_answers_failures_like_this() -> None:
    from ov2xmp import urls

    assert urls.handler500 == f"{views.failed.__module__}.{views.failed.__qualname__}"
    assert urls.__name__ == project_settings.ROOT_URLCONF
