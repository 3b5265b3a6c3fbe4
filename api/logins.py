"""Failed logins are limited: for each user name at each address, and for each address, in Redis, for all web processes.

Nobody can lock somebody out who is elsewhere. Without Redis people log in all the same.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed, Throttled

from filestore import addresses
from tasks import broker

logger = logging.getLogger(__name__)

WRONG = (AuthenticationFailed, ValidationError)
# Of a user name in the log.
MAX_NAME = 150


class Count(NamedTuple):
    """What counts failed logins: a key, how many it may have, and whether a login sets it back to nothing."""

    key: str
    most: int
    of_name: bool


@contextmanager
def limited(request: HttpRequest, username: str) -> Iterator[None]:
    """Log in inside, where one of `WRONG` is raised for wrong credentials. Raises Throttled: too many have failed."""
    address = addresses.network(request.META.get("REMOTE_ADDR", ""))
    counts = [each for each in _counts(address, username) if each.most]
    # Counted beforehand, as many may be sent at once.
    _count(counts, address)
    try:
        yield
    except WRONG:
        logger.warning("%r from %s could not log in", username[:MAX_NAME], address)
        raise
    except BaseException:
        _forget(counts)
        raise
    _forget(counts)
    logger.info("%r has logged in from %s", username[:MAX_NAME], address)


def _counts(address: str, username: str) -> Iterator[Count]:
    for text, most in (
        (f"{address} {username}", settings.LOGIN_MAX_FAILED_ATTEMPTS),
        (address, settings.LOGIN_MAX_FAILED_PER_ADDRESS),
    ):
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        yield Count(f"{settings.REDIS_PREFIX}:login:{digest}", most, text != address)


def _count(counts: Sequence[Count], address: str) -> None:
    try:
        with broker.client().pipeline() as pipe:
            for each in counts:
                pipe.set(each.key, 0, ex=settings.LOGIN_ATTEMPT_WINDOW, nx=True)
                pipe.incr(each.key)
                pipe.ttl(each.key)
            told = pipe.execute() if counts else []
    except broker.RedisError as error:
        logger.warning("redis does not answer, and failed logins are not limited: %s", error)
        return
    for each, count, seconds in zip(counts, told[1::3], told[2::3], strict=True):
        if count == each.most + 1:
            logger.warning("too many failed logins from %s, and more are refused for %d seconds", address, seconds)
        if count > each.most:
            raise Throttled(seconds, "Too many failed logins.")


def _forget(counts: Sequence[Count]) -> None:
    """Take back what was counted; a login sets its name back, and is no more than one of its address."""
    try:
        with broker.client().pipeline() as pipe:
            for each in counts:
                if each.of_name:
                    pipe.delete(each.key)
                else:
                    # One that has run out meanwhile must not begin anew without an end.
                    pipe.set(each.key, 1, ex=settings.LOGIN_ATTEMPT_WINDOW, nx=True)
                    pipe.decr(each.key)
            if counts:
                pipe.execute()
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
