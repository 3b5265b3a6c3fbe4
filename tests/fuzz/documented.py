"""What the OpenAPI document says of answers."""

import io
import json
from typing import Any

import jsonschema_rs
from django.core.management import call_command


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


def problem(method: str, path: str, status: int, kind: str, body: bytes) -> str:
    """Say what is wrong with the answer of an operation; nothing where it is as documented."""
    documented = DOCUMENT["paths"][path][method]["responses"]
    # What is odd enough ends at another path.
    if status == 404 and b"There is nothing at" in body:
        return ""
    if str(status) not in documented:
        return f"{status} is not documented: {body[:200]!r}"
    if status >= 500 and status != 504:
        return f"{status}: {body[:200]!r}"
    content = documented[str(status)].get("content", {})
    if not content or "application/octet-stream" in content:
        return ""
    kind = kind.partition(";")[0]
    if kind not in content:
        return f"{kind} is not documented"
    schema = content[kind].get("schema", {}) | {"components": DOCUMENT["components"]}
    errors = list(jsonschema_rs.validator_for(schema).iter_errors(json.loads(body)))
    return f"{status}: {errors[0]}" if errors else ""
