"""Every endpoint, found by the resolver, with each role and with none."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.permissions import AllowAny
from rest_framework.schemas.generators import EndpointEnumerator
from rest_framework.test import APIClient

from api.views import NothingHere
from tasks.roles import Role
from tests.api import rows
from tests.conftest import client_of

PUBLIC = {
    "/api/",
    "/api/schema/",
    "/api/redoc/",
    "/api/health/",
    "/api/token/",
    "/api/token/refresh/",
    "/api/token/verify/",
}


class Everything(EndpointEnumerator):
    """Lists the endpoints that are not documented, too."""

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        return hasattr(callback, "cls") and callback.cls is not NothingHere


ENDPOINTS = [(path, method) for path, method, _ in Everything().get_api_endpoints()]


def needed(path: str, method: str) -> Role:
    if path.startswith("/api/user/") or (path, method) == ("/api/file/{path}/", "DELETE"):
        return Role.ADMINISTRATOR
    return Role.VIEWER if method == "GET" else Role.OPERATOR


@pytest.fixture
def keys(db: None, files_dir: Path) -> dict[str, str]:
    """Give every variable of a path the key of a row or file that exists."""
    (files_dir / "a.log").touch()
    station = rows.station()
    connector = rows.connector(station)
    rows.local_list(station, {"TAG1": {"status": "Accepted"}})
    return {
        "chargepoint_id": station.pk,
        "uuid": str(connector.pk),
        "id_token": rows.tag().pk,
        "certificate_id": str(rows.certificate(station).pk),
        "transaction_id": str(rows.transaction(station).pk),
        "id": str(rows.location().pk),
        "chargingprofile_id": str(rows.charging_profile().pk),
        "charginglimit_id": str(rows.charging_limit(station).pk),
        "chargingneeds_id": str(rows.charging_needs(station).pk),
        "evschedule_id": str(rows.ev_schedule(station).pk),
        "installedprofile_id": str(rows.installed_profile(station).pk),
        "event_id": str(rows.security_event(station).pk),
        "event": str(rows.event(station).pk),
        "publication_id": str(rows.firmware_publication(station).pk),
        "update_id": str(rows.firmware_update(station).pk),
        "upload_id": str(rows.log_upload(station).pk),
        "task_id": str(rows.command(station).pk),
        "path": "a.log",
        "username": User.objects.create(username="somebody").username,
    }


def status_of(client: APIClient, method: str, path: str, keys: dict[str, str]) -> int:
    url = re.sub(r"\{(\w+)\}", lambda match: keys[match[1]], path)
    answer = client.generic(method, url, data="{}", content_type="application/json")
    if answer.streaming:
        # Reading to the end closes the file.
        answer.getvalue()
    return answer.status_code


def test_the_walk_meets_the_endpoints() -> None:
    assert len(ENDPOINTS) > 40
    assert {path for path, _ in ENDPOINTS} >= {"/api/chargepoint/{chargepoint_id}/", "/api/ocpp16/changeavailaility/"}


def test_only_the_login_the_documents_and_the_health_are_public() -> None:
    endpoints = Everything().get_api_endpoints()
    assert {path for path, _, callback in endpoints if AllowAny in callback.cls.permission_classes} | {
        path for path, _, callback in endpoints if not callback.cls.permission_classes
    } == PUBLIC


@pytest.mark.parametrize(("path", "method"), [each for each in ENDPOINTS if each[0] not in PUBLIC])
def test_endpoint_is_for_its_role_and_those_above(
    path: str,
    method: str,
    keys: dict[str, str],
    anonymous: APIClient,
    roleless_user: User,
    viewing_user: User,
    operating_user: User,
    administrating_user: User,
) -> None:
    assert status_of(anonymous, method, path, keys) == 401
    assert status_of(client_of(roleless_user), method, path, keys) == 403
    for user, role in (
        (viewing_user, Role.VIEWER),
        (operating_user, Role.OPERATOR),
        (administrating_user, Role.ADMINISTRATOR),
    ):
        status = status_of(client_of(user), method, path, keys)
        allowed = list(Role).index(role) <= list(Role).index(needed(path, method))
        if allowed:
            # What is there is not put there again.
            assert status in (200, 201, 204, 400) or (method, status) == ("PUT", 409), (role, status)
            break
        assert status == 403, role


@pytest.mark.parametrize(("path", "method"), [each for each in ENDPOINTS if each[0] in PUBLIC])
def test_public_endpoint_asks_nobody_who_they_are(
    path: str, method: str, anonymous: APIClient, redis_settings: str
) -> None:
    assert status_of(anonymous, method, path, {}) in (200, 400)


@pytest.mark.django_db
def test_superuser_is_an_administrator() -> None:
    root = User.objects.create(username="root", is_superuser=True)
    assert client_of(root).get("/api/user/").status_code == 200


def test_inactive_user_is_nobody(administrating_user: User) -> None:
    client = client_of(administrating_user)
    administrating_user.is_active = False
    administrating_user.save()
    assert client.get("/api/chargepoint/").status_code == 401
