"""Every endpoint, found by the resolver, with each role and with none."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.permissions import AllowAny
from rest_framework.schemas.generators import EndpointEnumerator
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from api.views import NothingHere
from ov2xmp.asgi import application
from tasks import updates
from tasks.roles import Role
from tests.api import rows
from tests.conftest import client_of, person

PUBLIC = {
    "/api/",
    "/api/schema/",
    "/api/redoc/",
    "/api/health/",
    "/api/token/",
    "/api/token/refresh/",
    "/api/token/verify/",
}


# Who may do what: V is for viewers and those above, O for operators and administrators, A for administrators.
TABLE = {
    "/api/certificate/": "GET:V",
    "/api/certificate/{certificate_id}/": "GET:V",
    "/api/certificateauthority/": "GET:V",
    "/api/chargepoint/": "GET:V POST:O",
    "/api/chargepoint/{chargepoint_id}/": "DELETE:O GET:V PATCH:O",
    "/api/chargepoint/{chargepoint_id}/key/": "POST:O",
    "/api/charginglimit/": "GET:V",
    "/api/charginglimit/{charginglimit_id}/": "GET:V",
    "/api/chargingneeds/": "GET:V",
    "/api/chargingneeds/{chargingneeds_id}/": "GET:V",
    "/api/chargingprofile16/": "GET:V POST:O",
    "/api/chargingprofile16/{chargingprofile_id}/": "DELETE:O GET:V PATCH:O",
    "/api/chargingprofile201/": "GET:V POST:O",
    "/api/chargingprofile201/{chargingprofile_id}/": "DELETE:O GET:V PATCH:O",
    "/api/compositeschedule/": "GET:V",
    "/api/connector/": "GET:V",
    "/api/connector/{uuid}/": "GET:V PATCH:O",
    "/api/displaymessage/": "GET:V",
    "/api/event/": "GET:V",
    "/api/event/{event}/": "GET:V",
    "/api/evschedule/": "GET:V",
    "/api/evschedule/{evschedule_id}/": "GET:V",
    "/api/file/": "GET:V",
    "/api/file/{path}/": "DELETE:A GET:V PUT:O",
    "/api/firmwarepublication/": "GET:V",
    "/api/firmwarepublication/{publication_id}/": "GET:V",
    "/api/firmwareupdate/": "GET:V",
    "/api/firmwareupdate/{update_id}/": "GET:V",
    "/api/idtag/": "GET:V POST:O",
    "/api/idtag/{id_token}/": "DELETE:O GET:V PATCH:O",
    "/api/installedprofile/": "GET:V",
    "/api/installedprofile/{installedprofile_id}/": "GET:V",
    "/api/locallist/": "GET:V",
    "/api/locallist/{chargepoint_id}/": "GET:V PATCH:O",
    "/api/locallist/{chargepoint_id}/synchronize/": "POST:O",
    "/api/location/": "GET:V POST:O",
    "/api/location/{id}/": "DELETE:O GET:V PATCH:O",
    "/api/logupload/": "GET:V",
    "/api/logupload/{upload_id}/": "GET:V",
    "/api/reservation/": "GET:V",
    "/api/reservation/{chargepoint_id}/": "GET:V",
    "/api/sampledvalue/{transaction_id}/": "GET:V",
    "/api/securityevent/": "GET:V",
    "/api/securityevent/{event_id}/": "GET:V",
    "/api/statusnotification/{chargepoint_id}/": "GET:V",
    "/api/task/": "GET:V",
    "/api/task/{task_id}/": "DELETE:O GET:V",
    "/api/transaction/": "GET:V",
    "/api/transaction/{transaction_id}/": "GET:V",
    "/api/user/": "GET:A",
    "/api/user/create/": "POST:A",
    "/api/user/{username}/": "DELETE:A GET:A PATCH:A",
    "/api/variable/": "GET:V",
    "/api/variablemonitor/": "GET:V",
}
ROLES = {role.name[0]: role for role in Role}
# Every command is for operators: what a station is asked to do may cost money, and more.
COMMAND = re.compile(r"/api/ocpp(16|201)/[a-z0-9]+/")


class Everything(EndpointEnumerator):
    """Lists the endpoints that are not documented, too."""

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        return hasattr(callback, "cls") and callback.cls is not NothingHere


ENDPOINTS = [(path, method) for path, method, _ in Everything().get_api_endpoints()]


def needed(path: str, method: str) -> Role:
    if COMMAND.fullmatch(path):
        return Role.OPERATOR
    return ROLES[dict(each.split(":") for each in TABLE[path].split())[method]]


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


def test_the_table_names_every_endpoint_and_no_other() -> None:
    walked = sorted(each for each in ENDPOINTS if each[0] not in PUBLIC and not COMMAND.fullmatch(each[0]))
    assert walked == sorted((path, each.split(":")[0]) for path, methods in TABLE.items() for each in methods.split())
    assert {method for path, method in ENDPOINTS if COMMAND.fullmatch(path)} == {"POST"}


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


# Everything else that has a URL, and the topics of live updates.


def routes(patterns: Sequence[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Walk over all patterns; a variable of a path is 1."""
    for each in patterns:
        text = re.sub(r"<[^>]+>|\(\?P<[^)]+\)|\(.*\)", "1", str(each.pattern)).strip("^$")
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, prefix + text)
        else:
            yield prefix + text, each.callback


ROUTES = list(routes(get_resolver().url_patterns))
ADMIN = sorted({path for path, _ in ROUTES if path.startswith("admin/")} - {"admin/login/", "admin/logout/"})


def test_there_is_nothing_but_the_api_the_admin_and_the_way_to_them() -> None:
    others = {path for path, _ in ROUTES if not path.startswith(("admin/", "api/"))}
    assert others == {""}
    # Plain functions among the API would pass by its permissions.
    assert all(hasattr(view, "cls") for path, view in ROUTES if path.startswith("api/"))
    assert len(ADMIN) > 100


@pytest.mark.parametrize("role", [None, *Role])
def test_the_admin_is_for_staff_only(role: Role | None, client: Client, db: None) -> None:
    if role is not None:
        client.force_login(person("somebody", role))
    for path in ADMIN:
        answer = client.get(f"/{path}")
        assert (answer.status_code, answer.headers.get("Location", "")[:13]) == (302, "/admin/login/"), path
    assert client.get("/admin/login/").status_code == 200


@pytest.mark.parametrize("role", [None, Role.VIEWER])
def test_staff_may_change_no_more_in_the_admin_than_their_role_allows(
    role: Role | None, client: Client, db: None
) -> None:
    user = person("somebody", role)
    user.is_staff = True
    user.save()
    client.force_login(user)
    adding = [path for path in ADMIN if path.endswith("/add/")]
    assert len(adding) > 10
    assert {client.get(f"/{path}").status_code for path in adding} == {403}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis_settings", "short_connections")
@pytest.mark.parametrize("role", [None, *Role])
async def test_every_topic_of_live_updates_is_for_viewers_and_those_above(role: Role | None) -> None:
    def token() -> str:
        try:
            return str(AccessToken.for_user(person("somebody", role)))
        finally:
            connection.close()

    access = await asyncio.to_thread(token)
    topics = (*updates.TOPICS, updates.ALL)
    for given, allowed in ((access, role is not None), ("", False)):
        sockets = [WebsocketCommunicator(application, f"/ws/updates/{topic}/?token={given}") for topic in topics]
        for socket in sockets:
            await socket.connect(timeout=5)
        if allowed:
            quiet = await asyncio.gather(*(socket.receive_nothing(0.2) for socket in sockets))
            assert all(quiet)
        else:
            codes = [(await socket.receive_output(5))["code"] for socket in sockets]
            assert codes == [4401] * len(topics)
        for socket in sockets:
            await socket.disconnect()


@pytest.mark.django_db
def test_superuser_is_an_administrator() -> None:
    root = User.objects.create(username="root", is_superuser=True)
    assert client_of(root).get("/api/user/").status_code == 200


def test_inactive_user_is_nobody(administrating_user: User) -> None:
    client = client_of(administrating_user)
    administrating_user.is_active = False
    administrating_user.save()
    assert client.get("/api/chargepoint/").status_code == 401
