from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_settings")]

CREDENTIALS = {"username": "operating_user", "password": "correct horse battery"}


@pytest.fixture(autouse=True)
def password(settings: Any, operating_user: User) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    operating_user.set_password(CREDENTIALS["password"])
    operating_user.save()


def test_logging_in_gives_tokens_that_work(anonymous: APIClient) -> None:
    tokens = anonymous.post("/api/token/", CREDENTIALS).json()
    assert tokens.keys() == {"access", "refresh"}
    fresh = anonymous.post("/api/token/refresh/", {"refresh": tokens["refresh"]}).json()
    for access in (tokens["access"], fresh["access"]):
        assert anonymous.post("/api/token/verify/", {"token": access}).status_code == 200
        headers = {"Authorization": f"Bearer {access}"}
        assert anonymous.get("/api/chargepoint/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("", {**CREDENTIALS, "password": "wrong"}, "no_active_account"),
        ("", {**CREDENTIALS, "username": "nobody"}, "no_active_account"),
        ("refresh/", {"refresh": "rubbish"}, "token_not_valid"),
        ("verify/", {"token": "rubbish"}, "token_not_valid"),
    ],
)
def test_what_is_not_valid_is_refused(path: str, body: dict[str, str], code: str, anonymous: APIClient) -> None:
    refused = anonymous.post(f"/api/token/{path}", body)
    assert refused.status_code == 401
    assert refused.json().keys() == {"code", "message", "details"}
    assert refused.json()["code"] == code


@pytest.mark.parametrize("body", [{"username": "operating_user"}, {"password": "x"}, {}])
def test_a_missing_field_is_named(body: dict[str, str], anonymous: APIClient) -> None:
    refused = anonymous.post("/api/token/", body)
    assert refused.status_code == 400
    assert refused.json()["details"].keys() == CREDENTIALS.keys() - body.keys()


def test_an_expired_token_is_refused(anonymous: APIClient, operating_user: User) -> None:
    token = AccessToken.for_user(operating_user)
    token.set_exp(lifetime=-timedelta(seconds=1))
    refused = anonymous.get("/api/chargepoint/", headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 401
    assert refused.json()["code"] == "token_not_valid"
    assert refused["WWW-Authenticate"].startswith("Bearer")


def test_a_refresh_token_opens_nothing(anonymous: APIClient) -> None:
    refresh = anonymous.post("/api/token/", CREDENTIALS).json()["refresh"]
    assert anonymous.get("/api/chargepoint/", headers={"Authorization": f"Bearer {refresh}"}).status_code == 401


def test_tokens_end_with_the_password_that_they_were_given_for(anonymous: APIClient, operating_user: User) -> None:
    tokens = anonymous.post("/api/token/", CREDENTIALS).json()
    operating_user.set_password("another horse battery")
    operating_user.save()
    headers = {"Authorization": f"Bearer {tokens['access']}"}
    assert anonymous.get("/api/chargepoint/", headers=headers).status_code == 401
    refused = anonymous.post("/api/token/refresh/", {"refresh": tokens["refresh"]})
    assert (refused.status_code, refused.json()["code"]) == (401, "password_changed")


@pytest.mark.parametrize("gone", ["deleted", "inactive"])
def test_a_user_who_is_gone_refreshes_nothing(gone: str, anonymous: APIClient, operating_user: User) -> None:
    tokens = anonymous.post("/api/token/", CREDENTIALS).json()
    if gone == "deleted":
        operating_user.delete()
    else:
        User.objects.filter(pk=operating_user.pk).update(is_active=False)
    assert anonymous.post("/api/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 401
