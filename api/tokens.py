"""Logging in: access tokens for an hour, refresh tokens for a day, unless set otherwise."""

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from rest_framework_simplejwt import views
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.tokens import AccessToken

from api import logins
from api.openapi import INVALID, Schema, error


class RefreshSerializer(TokenRefreshSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        """Refuse the token of a user who is gone, or who has another password by now. Raises AuthenticationFailed."""
        try:
            told = super().validate(attrs)
            JWTAuthentication().get_user(AccessToken(told["access"]))
        except ObjectDoesNotExist as error:
            raise AuthenticationFailed("There is no such user.", "user_not_found") from error
        return told


class TokenSchema(Schema):
    def get_request_serializer(self) -> Any:
        return self.view.get_serializer_class()

    def successes(self) -> dict[int, Any]:
        return {200: self.view.get_serializer_class()}

    def errors(self) -> dict[int, Any]:
        return {400: INVALID, 401: error("no_active_account", "Wrong username or password, or no valid token.")}


class LoginSerializer(TokenObtainPairSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        with logins.limited(self.context["request"], attrs[self.username_field]):
            return super().validate(attrs)


class LoginSchema(TokenSchema):
    def errors(self) -> dict[int, Any]:
        wait = error("throttled", "Too many failed logins; `Retry-After` has the seconds.", {"wait": 300})
        return {**super().errors(), 429: wait}


class Login(views.TokenObtainPairView):
    """Paste the `access` token into *Authorize*, above on the right, to use everything else here."""

    schema = LoginSchema()
    serializer_class = LoginSerializer
    tag = "tokens"
    summaries = {"post": "Log in"}


class Refresh(views.TokenRefreshView):
    """A fresh access token for a refresh token."""

    schema = TokenSchema()
    serializer_class = RefreshSerializer
    tag = "tokens"
    summaries = {"post": "Get a fresh access token"}


class Verify(views.TokenVerifyView):
    """200 for a token that is still good, access or refresh, else 401."""

    schema = TokenSchema()
    tag = "tokens"
    summaries = {"post": "Check a token"}
