"""Failed logins are limited: for each user name at each address, in Redis, for all web processes together.

Nobody can lock somebody out who is elsewhere. Without Redis people log in all the same.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed, Throttled

from tasks import broker, proxies

logger = logging.getLogger(__name__)

WRONG = (AuthenticationFailed, ValidationError)


@contextmanager
def limited(request: HttpRequest, username: str) -> Iterator[None]:
    """Log in inside, where one of `WRONG` is raised for wrong credentials. Raises Throttled: too many have failed."""
    if not settings.LOGIN_MAX_FAILED_ATTEMPTS:
        yield
        return
    address = proxies.network(request.META.get("REMOTE_ADDR", ""))
    key = f"{settings.REDIS_PREFIX}:login:{hashlib.sha256(f'{address} {username}'.encode()).hexdigest()}"
    # Counted beforehand, as many may be sent at once.
    _count(key, address)
    try:
        yield
    except WRONG:
        raise
    except BaseException:
        _forget(key)
        raise
    _forget(key)


def _count(key: str, address: str) -> None:
    try:
        with broker.client().pipeline() as pipe:
            pipe.set(key, 0, ex=settings.LOGIN_ATTEMPT_WINDOW, nx=True)
            pipe.incr(key)
            pipe.ttl(key)
            _, count, seconds = pipe.execute()
    except broker.RedisError as error:
        logger.warning("redis does not answer, and failed logins are not limited: %s", error)
        return
    if count == settings.LOGIN_MAX_FAILED_ATTEMPTS + 1:
        logger.warning("too many failed logins from %s, and more are refused for %d seconds", address, seconds)
    if count > settings.LOGIN_MAX_FAILED_ATTEMPTS:
        raise Throttled(seconds, "Too many failed logins.")


def _forget(key: str) -> None:
    try:
        broker.client().delete(key)
    except broker.RedisError as error:
        logger.warning("redis does not answer, and a login still counts as failed: %s", error)


class AdminLogin(AdminAuthenticationForm):
    """The form of the admin's login."""

    def clean(self) -> dict[str, Any]:
        try:
            with limited(self.request, self.cleaned_data.get("username") or ""):
                return super().clean()
        except Throttled as error:
            raise ValidationError(str(error.detail)) from error
