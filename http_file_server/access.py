"""Who may use the server: Basic authentication (RFC 7617) with the account that stations share."""

import asyncio
import base64
import binascii
import logging

from aiohttp import web

from filestore.proxies import client_address
from http_file_server.errors import Problem
from http_file_server.settings import Settings

logger = logging.getLogger(__name__)

CHALLENGE = {"WWW-Authenticate": 'Basic realm="O-V2X-MP files", charset="UTF-8"'}


class Access:
    """Checks the login of each request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failed = settings.logins.failed()

    async def check(self, request: web.BaseRequest) -> None:
        """Let a request pass that has the right account; one with a wrong account waits for its answer.

        Raises Problem: 401 without the right account, 429 from an address that has tried too many.
        """
        given = _basic(request.headers.get("Authorization", ""))
        if given is None:
            raise Problem(401, "not_authenticated", "Log in with the account of the file server.", CHALLENGE)
        address = self.address(request)
        if wait := self._failed.blocked(address):
            headers = {"Retry-After": str(int(wait) + 1)}
            raise Problem(429, "throttled", "There were too many failed logins from this address.", headers)
        if not self._settings.account.matches(*given):
            self._failed.add(address, *given)
            logger.warning("Login failed from %s", address)
            await asyncio.sleep(self._settings.logins.delay)
            raise Problem(401, "authentication_failed", "The user name or the password is wrong.", CHALLENGE)

    def address(self, request: web.BaseRequest) -> str:
        """Return the client's address, also from behind a trusted proxy."""
        forwarded = request.headers.getall("X-Forwarded-For", [])
        return client_address(request.remote or "", forwarded, self._settings.trusted_proxies)


def _basic(header: str) -> tuple[bytes, bytes] | None:
    """Read the account in an Authorization header; None where there is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (username, password) if colon else None
