"""What browsers are told about every answer."""

import re

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

PAGES = ["/api/", "/api/redoc/", "/admin/login/"]
OTHERS = ["/api/schema/", "/api/chargepoint/", "/api/nothing/", "/", "/admin/", "/nothing/"]

pytestmark = pytest.mark.django_db


def policy(answer: object) -> dict[str, str]:
    text = answer.headers["Content-Security-Policy"]  # type: ignore[attr-defined]
    return dict(each.strip().split(" ", 1) for each in text.split(";"))


@pytest.mark.parametrize("path", PAGES + OTHERS)
def test_every_answer_tells_browsers_what_it_may_do(path: str, client: Client) -> None:
    answer = client.get(path)
    told = policy(answer)
    assert told["default-src"] == told["base-uri"] == told["frame-ancestors"] == told["object-src"] == "'none'"
    assert "unsafe" not in told.get("script-src", "")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_script_of_its_own(path: str, client: Client) -> None:
    page = client.get(path).content.decode()
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    assert not re.search(r"\son[a-z]+=", page)
    assert "http://" not in re.sub(r"<!DOCTYPE[^>]*>", "", page).replace("http://www.w3.org", "")


def test_the_script_of_swagger_is_a_script(client: Client) -> None:
    page = client.get("/api/").content.decode()
    (source,) = [each for each in re.findall(r'<script src="([^"]+)"', page) if "script=" in each]
    answer = client.get(source)
    assert answer.headers["Content-Type"].startswith("application/javascript")
    assert b"SwaggerUIBundle" in answer.content


def test_static_files_may_be_kept(client: Client) -> None:
    answer = client.get("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css")
    assert answer.status_code == 200
    assert "no-store" not in answer.headers.get("Cache-Control", "")
    assert policy(answer)["default-src"] == "'none'"
    answer.close()


def test_pages_of_the_admin_have_no_script_of_their_own(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root", password="correct horse battery"))
    for path in (
        "/admin/",
        "/admin/chargers/chargepoint/",
        "/admin/chargers/chargepoint/add/",
        "/admin/tasks/command/",
    ):
        answer = client.get(path)
        assert answer.status_code == 200
        scripts = re.findall(r"<script[^>]*>", answer.content.decode())
        assert all("src=" in tag or "application/json" in tag for tag in scripts), path
        assert policy(answer)["script-src"] == "'self'"


def test_the_session_of_the_admin_has_an_end(client: Client) -> None:
    User.objects.create_superuser("root", password="correct horse battery")
    answer = client.post("/admin/login/?next=/admin/", {"username": "root", "password": "correct horse battery"})
    assert answer.status_code == 302
    cookie = answer.cookies["sessionid"]
    assert cookie["max-age"] == 12 * 3600
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_an_answer_of_rest_is_kept_by_nobody(viewer: APIClient) -> None:
    answer = viewer.get("/api/chargepoint/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert httpx.Headers(answer.headers)["content-type"] == "application/json"
