"""Odd requests to every operation of REST: each is answered as its OpenAPI says, and nobody does what they may not."""

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from api import examples
from chargers.models import IdTag
from tests.api import rows
from tests.fuzz import mutations
from tests.fuzz.access import READERS, expected_statuses
from tests.fuzz.documented import DOCUMENT, OPERATIONS, problem
from tests.fuzz.holdings import Holdings, changes, holdings

# Requests of an operation and role: a few that are always the same, else as many as the environment asks for.
ASKED = os.environ.get("OV2XMP_FUZZ_EXAMPLES")
TIMES = int(ASKED or 1)
SEED = random.randrange(2**32) if ASKED else 1
ODD_TEXTS = (b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"%00", b"9" * 400, b"-1", b"9223372036854775808", b"1e400", b"\n")
# Who asks, by the fixture and by the role.
WHO = {"administrator": "administrators", "operator": "operators", "viewer": "viewers", "anonymous": ""}


def requests(method: str, path: str, chance: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """Yield addresses and bodies, each odd in one place at least."""
    operation = DOCUMENT["paths"][path][method]
    parameters = operation.get("parameters", [])
    places = [each["name"] for each in parameters if each["in"] == "path"]
    queries = [each["name"] for each in parameters if each["in"] == "query"]
    body = _example(operation)
    for _ in range(TIMES):
        address = path
        for name in places:
            odd = chance.random() < 0.4
            value = chance.choice(ODD_TEXTS) if odd else KNOWN.get(name, "1").encode()
            address = address.replace(f"{{{name}}}", quote(value, safe=""))
        asked = {name: chance.choice(ODD_TEXTS) for name in chance.sample(queries, min(len(queries), 1))}
        yield f"{address}?{urlencode(asked)}", None if body is None else _odd_body(body, chance)


def _odd_body(body: Any, chance: random.Random) -> bytes:
    if chance.random() < 0.1:
        return chance.choice((b"", b"null", b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900, b"\xff", b'{"a":NaN}'))
    return mutations.changed(json.dumps(body).encode(), chance)


def _example(operation: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    for example in content.get("examples", {}).values():
        return copy.deepcopy(example["value"])
    return {"username": "admin", "password": "x", "refresh": "x", "token": "x"}


KNOWN = {"chargepoint_id": "CP001", "id_token": examples.TAG, "username": "viewing_user", "path": "logs/CP001/1/a.log"}


@pytest.fixture
def things(db: None, files_dir: Any, settings: Settings) -> None:
    """Some of what there may be."""
    settings.OCPP_TIMEOUT = 0.1
    rows.connector(rows.station("CP001"))
    IdTag.objects.create(id_token=examples.TAG)


@pytest.mark.parametrize(("who", "role"), WHO.items())
def test_odd_requests_are_answered_as_documented(
    who: str,
    role: str,
    things: None,
    files_dir: Path,
    handed_over: list[str],
    request: pytest.FixtureRequest,
    viewing_user: Any,
) -> None:
    client: APIClient = request.getfixturevalue(who)
    client.raise_request_exception = False
    chance = random.Random(f"{SEED} {who}")
    found = []
    before = _held(files_dir)
    for method, path in OPERATIONS:
        if "/token" in path or "/health" in path:
            continue
        for address, body in requests(method, path, chance):
            answer = client.generic(method.upper(), address, body or b"", content_type="application/json")
            if wrong := _problem(method, path, answer) or _permission(role, method, path, answer):
                found.append(f"{method} {address} {(body or b'')[:300]!r}: {wrong}")
    if role in READERS:
        found += changes(before, _held(files_dir))
    assert not found, "\n".join(found)


def _held(files: Path) -> Holdings:
    return holdings(connection, connection.introspection.table_names(), files)


def _problem(method: str, path: str, answer: Any) -> str:
    content = b"" if answer.streaming else answer.content
    return problem(method, path, answer.status_code, answer.get("Content-Type", ""), content)


def _permission(role: str, method: str, path: str, answer: Any) -> str:
    """Say what is wrong where somebody may not do what they ask for, and is not told so."""
    expected = expected_statuses(role, method.upper(), path)
    found = b"There is nothing at" not in getattr(answer, "content", b"")
    return (
        f"{answer.status_code} in place of {expected}"
        if expected and found and answer.status_code not in expected
        else ""
    )
