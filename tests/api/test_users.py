from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from tasks.roles import Role, role_of
from tests.api import rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_settings")]

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_a_user_is_added_with_a_role(administrator: APIClient) -> None:
    body = {"username": "olive", "email": "olive@example.com", "first_name": "Olive", "role": "operators"}
    created = administrator.post("/api/user/create/", {**body, "password": PASSWORD})
    assert created.status_code == 201
    assert body.items() <= created.json().items()
    assert created.json() == administrator.get("/api/user/olive/").json()

    token = APIClient().post("/api/token/", {"username": "olive", "password": PASSWORD}).json()["access"]
    olive = APIClient(headers={"Authorization": f"Bearer {token}"})
    assert olive.post("/api/location/", {"name": "Depot"}).status_code == 201
    assert olive.get("/api/user/").status_code == 403


def test_a_new_user_is_a_viewer_unless_told(administrator: APIClient) -> None:
    created = administrator.post("/api/user/create/", {"username": "eve", "password": PASSWORD}).json()
    assert (created["role"], created["is_staff"], created["is_active"]) == ("viewers", False, True)


@pytest.mark.parametrize("path", ["/api/user/", "/api/user/operating_user/"])
def test_no_answer_holds_a_password(path: str, administrator: APIClient, operating_user: User) -> None:
    operating_user.set_password(PASSWORD)
    operating_user.save()
    text = administrator.get(path).content.decode()
    assert "operating_user" in text
    assert "password" not in text
    assert operating_user.password not in text
    assert administrator.get("/api/user/?fields=password").status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "username"),
        ({"username": "eve"}, "password"),
        ({"username": "eve", "password": "short"}, "password"),
        ({"username": "eve", "password": "1234567890123"}, "password"),
        ({"username": "evelyn.adams", "password": "evelyn.adams"}, "password"),
        ({"username": "operating_user", "password": PASSWORD}, "username"),
        ({"username": "a/b", "password": PASSWORD}, "username"),
        ({"username": "create", "password": PASSWORD}, "username"),
        ({"username": "eve", "password": PASSWORD, "role": "kings"}, "role"),
        ({"username": "eve", "password": PASSWORD, "email": "nowhere"}, "email"),
        ({"username": "eve", "password": PASSWORD, "is_superuser": True}, "is_superuser"),
    ],
)
def test_a_bad_user_is_refused_by_field(
    body: dict[str, Any], field: str, administrator: APIClient, operating_user: User
) -> None:
    refused = administrator.post("/api/user/create/", body)
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == {field}


def test_a_password_is_not_told_back_when_it_is_refused(administrator: APIClient) -> None:
    refused = administrator.post("/api/user/create/", {"username": "eve", "password": "sesame"})
    assert "sesame" not in refused.content.decode()


def test_a_user_is_changed(administrator: APIClient, operating_user: User) -> None:
    changed = administrator.patch(
        "/api/user/operating_user/", {"role": "viewers", "last_name": "Night shift", "is_staff": True}
    )
    assert changed.status_code == 200
    assert (changed.json()["role"], changed.json()["last_name"]) == ("viewers", "Night shift")
    assert role_of(User.objects.get(pk=operating_user.pk)) == Role.VIEWER

    assert administrator.patch("/api/user/operating_user/", {"password": PASSWORD}).status_code == 200
    assert User.objects.get(pk=operating_user.pk).check_password(PASSWORD)
    assert administrator.patch("/api/user/operating_user/", {"username": "another"}).status_code == 400


def test_an_inactive_user_keeps_the_role_but_cannot_log_in(administrator: APIClient, operating_user: User) -> None:
    administrator.patch("/api/user/operating_user/", {"password": PASSWORD, "is_active": False})
    assert administrator.get("/api/user/operating_user/").json()["role"] == "operators"
    assert APIClient().post("/api/token/", {"username": "operating_user", "password": PASSWORD}).status_code == 401


def test_a_role_leaves_other_groups_alone(administrator: APIClient, operating_user: User) -> None:
    operating_user.groups.add(Group.objects.create(name="night shift"))
    administrator.patch("/api/user/operating_user/", {"role": "administrators"})
    assert {group.name for group in operating_user.groups.all()} == {"administrators", "night shift"}


def test_a_superuser_who_is_given_another_role_is_no_superuser_any_more(administrator: APIClient) -> None:
    User.objects.create(username="owner", is_superuser=True)
    assert administrator.get("/api/user/owner/").json()["role"] == "administrators"
    assert administrator.patch("/api/user/owner/", {"role": "viewers"}).json()["role"] == "viewers"
    assert not User.objects.get(username="owner").is_superuser


def test_nobody_locks_themselves_out(administrator: APIClient) -> None:
    assert administrator.patch("/api/user/administrating_user/", {"role": "viewers"}).json()["details"].keys() == {
        "role"
    }
    assert administrator.patch("/api/user/administrating_user/", {"is_active": False}).json()["details"].keys() == {
        "is_active"
    }
    refused = administrator.delete("/api/user/administrating_user/")
    assert (refused.status_code, refused.json()["code"]) == (409, "OWN_USER")
    assert (
        administrator.patch("/api/user/administrating_user/", {"email": "administrating_user@example.com"}).status_code
        == 200
    )


def test_deleting_a_user_keeps_what_they_asked_for(administrator: APIClient, operating_user: User) -> None:
    command = rows.command(rows.station(), requested_by=operating_user)
    tag = rows.tag(user=operating_user)
    assert administrator.delete("/api/user/operating_user/").status_code == 204
    assert administrator.get(f"/api/task/{command.pk}/").json()["requested_by"] is None
    assert administrator.get(f"/api/idtag/{tag.pk}/").json()["user"] is None
