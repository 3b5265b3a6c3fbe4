"""Payloads that official schemas ask for."""

from typing import Any

from api import examples
from tasks.schemas import Schema


def fitting(schema: Schema, name: str = "", *, whole: bool) -> Any:
    """Make a value that fits a schema: with all its members, or with those that it must have."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            members = schema.get("properties", {})
            shown = members if whole else schema.get("required", ())
            return {each: fitting(members[each], each, whole=whole) for each in shown}
        case "array":
            return [fitting(schema["items"], name, whole=whole)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string" if schema.get("format") == "date-time":
            return "2026-01-01T00:00:00Z"
        case "string":
            certificate = examples.ROOT if "ertificate" in name else "1"
            return certificate[: schema.get("maxLength", len(certificate))]
    return {}


def completed(payload: Any, by: Any) -> Any:
    """Put in what a payload lacks and another has."""
    if not (isinstance(payload, dict) and isinstance(by, dict)):
        return payload
    return by | {name: completed(each, by.get(name)) for name, each in payload.items()}
