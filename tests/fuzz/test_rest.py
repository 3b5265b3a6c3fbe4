"""Odd requests to every operation of REST: each is answered as its OpenAPI says, and none is a failure of the platform's."""

import copy
import io
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema_rs
import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from api import examples
from chargers.models import IdTag
from tests.api import rows
from tests.fuzz import mutations

SEED = 1
# Requests of an operation for each member that is odd in them.
ODD_TEXTS = (b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"%00", b"9" * 400, b"-1", b"9223372036854775808", b"1e400", b"\n")
TIMES = 3


def document() -> dict[str, Any]:
    output = io.StringIO()
    call_command("spectacular", format="openapi-json", stdout=output)
    return _as_json_schema(json.loads(output.getvalue()))


def _as_json_schema(node: Any) -> Any:
    """Say in JSON Schema what OpenAPI 3.0 says of null in its own way."""
    if isinstance(node, list):
        return [_as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {name: _as_json_schema(each) for name, each in node.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


DOCUMENT = document()
OPERATIONS = [
    (method, path)
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    if method in ("get", "post", "put", "patch", "delete")
]


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


@pytest.mark.parametrize("who", ["administrator", "viewer"])
def test_odd_requests_are_answered_as_documented(
    who: str, things: None, handed_over: list[str], request: pytest.FixtureRequest, viewing_user: Any
) -> None:
    client: APIClient = request.getfixturevalue(who)
    client.raise_request_exception = False
    chance = random.Random(f"{SEED} {who}")
    found = []
    for method, path in OPERATIONS:
        if "/token" in path or "/health" in path:
            continue
        for address, body in requests(method, path, chance):
            answer = client.generic(method.upper(), address, body or b"", content_type="application/json")
            if problem := _problem(method, path, answer):
                found.append(f"{method} {address} {(body or b'')[:300]!r}: {problem}")
    assert not found, "\n".join(found)


def _problem(method: str, path: str, answer: Any) -> str:
    """Say what is wrong with an answer; nothing where it is as documented."""
    documented = DOCUMENT["paths"][path][method]["responses"]
    status = str(answer.status_code)
    # What is odd enough ends at another path.
    if status == "404" and b"There is nothing at" in answer.content:
        return ""
    if status not in documented:
        return f"{status} is not documented: {answer.content[:200]!r}"
    if answer.status_code >= 500 and answer.status_code != 504:
        return f"{status}: {answer.content[:200]!r}"
    content = documented[status].get("content", {})
    if answer.streaming or not content:
        return ""
    kind = answer.get("Content-Type", "").partition(";")[0]
    if kind not in content:
        return f"{kind} is not documented"
    schema = content[kind].get("schema", {}) | {"components": DOCUMENT["components"]}
    errors = list(jsonschema_rs.validator_for(schema).iter_errors(json.loads(answer.content)))
    return f"{status}: {errors[0]}" if errors else ""
