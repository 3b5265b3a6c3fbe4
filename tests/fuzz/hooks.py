"""What schemathesis is told of the platform: which things there are, so that some requests find them, and who may do what."""

import os
from typing import Any
from zlib import crc32

import schemathesis

from tests.fuzz.access import expected_statuses
from tests.fuzz.rest import ROLE, STATIONS, THINGS


@schemathesis.check
def answers_are_for_the_role(ctx: Any, response: Any, case: Any) -> None:
    """Check that who may not do something is told so, whatever else is wrong with the request."""
    expected = expected_statuses(os.environ[ROLE], case.method, case.operation.path)
    # Twisted looks at forms before anybody asks who sent them; what is odd enough ends at another path.
    own = (response.status_code == 400 and not response.content) or b"There is nothing at" in response.content
    if expected and response.status_code not in expected and not own:
        raise AssertionError(f"{response.status_code} in place of {expected}: {response.content[:200]!r}")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    return _map(context, body)


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    return _map(context, path_parameters)


def _map(context: Any, members: Any) -> Any:
    if not isinstance(members, dict):
        return members
    return {name: _told(name, value, context.operation.path) for name, value in members.items()}


def _told(name: str, value: Any, path: str) -> Any:
    """Put what there is in place of every other value that names something."""
    if crc32(repr(value).encode("utf-8", "replace")) % 2:
        return value
    if name == "chargepoint_id":
        return STATIONS["2.0.1" if "/ocpp201/" in path else "1.6"]
    if name == "id" and isinstance(value, int):
        return abs(value) % 3
    return THINGS.get(name, value)
