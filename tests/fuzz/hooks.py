"""What schemathesis is told of the platform: which things there are, so that some requests find them."""

from typing import Any
from zlib import crc32

import schemathesis

from tests.fuzz.rest import STATIONS, THINGS


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
