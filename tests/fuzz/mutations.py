"""Frames to begin with, and what is done to them: changes that keep their shape, and repetitions without end."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks import schemas
from tasks.actions import ACTIONS
from tests.fuzz.lane import VERSIONS
from tests.fuzz.payloads import fitting

REAL_FRAMES = Path(__file__).parents[1] / "data" / "real-frames.jsonl"
# How long a text becomes that is repeated, in bytes; what takes the square of that would be seen.
STRETCHED = 8 * 1024

ODD: list[Any] = [
    None,
    True,
    False,
    [],
    {},
    [[]],
    [{}],
    "",
    " ",
    "null",
    "0x00",
    "1e999",
    "-1",
    "1,5",
    "NaN",
    "a\x00b",
    "\x7f",
    "\ud800",
    "\u202eabc",
    "x" * 300,
    "9" * 400,
    "1970-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "2026-01-01T00:00:60Z",
    0,
    -1,
    1.5,
    -0.0,
    1e308,
    2**31 - 1,
    2**31,
    2**32,
    2**53,
    2**63 - 1,
    2**63,
    2**64,
    10**400,
    -(2**63),
]


def seeds() -> Iterator[bytes]:
    """Yield frames: those of real stations, a CALL of each kind and an answer to each of ours, with and without all."""
    for line in REAL_FRAMES.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        yield told["raw"].encode() if "raw" in told else _text([*told["frame"]])
    for version in VERSIONS:
        for action in version.handlers:
            schema = schemas.schema(version.name, action, "Request")
            for whole in (True, False):
                yield _text([2, "1", action, fitting(schema, whole=whole)])
    for row in ACTIONS:
        schema = schemas.schema(row.version, row.name, "Response")
        for whole in (True, False):
            yield _text([3, row.name, fitting(schema, whole=whole)])
        yield _text([4, row.name, "NotSupported", "not here", {}])


def words() -> list[str]:
    """Name what schemas know: actions, members and words, for whoever builds frames from them."""
    found: set[str] = set()

    def collect(schema: Any) -> None:
        if isinstance(schema, dict):
            found.update(schema.get("properties", ()))
            found.update(each for each in schema.get("enum", ()) if isinstance(each, str))
            for each in schema.values():
                collect(each)

    for version in VERSIONS:
        for action in schemas.actions(version.name):
            found.add(action)
            for kind in ("Request", "Response"):
                collect(schemas.schema(version.name, action, kind))  # type: ignore[arg-type]
    return sorted(found)


def changed(raw: bytes, chance: random.Random) -> bytes:
    """Change a frame in a place or some, most often so that it is still JSON."""
    if chance.random() < 0.03:
        return stretched(raw, chance)
    try:
        frame = json.loads(raw)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            frame = _changed(frame, chance)
        raw = _text(frame, ascii_only=chance.random() < 0.5)
    except (ValueError, RecursionError):
        return scratched(raw, chance)
    return scratched(raw, chance) if chance.random() < 0.2 else raw


def stretched(raw: bytes, chance: random.Random) -> bytes:
    """Repeat a piece of a text until it is long."""
    at, to = sorted((chance.randrange(len(raw) + 1), chance.randrange(len(raw) + 1)))
    piece = raw[at:to] or b"["
    return raw[:at] + piece * (STRETCHED // len(piece) // chance.choice((1, 10, 100))) + raw[at:]


def scratched(raw: bytes, chance: random.Random) -> bytes:
    """Cut a text, or change bytes in it that JSON or a decoder looks at."""
    scratch = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(scratch) + 1)
        length = chance.choice((0, 0, 1, 1, 5))
        scratch[at : at + length] = chance.choice(
            (
                b"",
                b",",
                b":",
                b"\\",
                b'"',
                b"[",
                b"]",
                b"{",
                b"}",
                b"\x00",
                b"\xff",
                b"\xef\xbb\xbf",
                b"\\ud83d",
                b"NaN",
            )
        )
    return bytes(scratch)


def _changed(frame: Any, chance: random.Random) -> Any:
    places = list(_places(frame))
    if not places:
        return chance.choice(ODD)
    holder, key = chance.choice(places)
    match chance.randrange(6):
        case 0 | 1:
            holder[key] = chance.choice(ODD)
        case 2:
            del holder[key]
        case 3:
            other, name = chance.choice(places)
            holder[key] = copy.deepcopy(other[name])
        case 4 if isinstance(holder, dict):
            holder[chance.choice((str(key).upper(), f" {key}", "customData", "x"))] = holder.pop(key)
        case 4:
            holder.insert(key, copy.deepcopy(holder[key]))
        case _:
            holder[key] = _other(holder[key], chance)
    return frame


def _other(value: Any, chance: random.Random) -> Any:
    """Say nearly the same in another way."""
    match value:
        case bool():
            return chance.choice((str(value), int(value), not value))
        case str():
            return chance.choice((value.upper(), f" {value} ", value + "\x00", [value], {"value": value}, value * 40))
        case int() | float() if abs(value) < 1e300:
            return chance.choice((str(value), value + 0.5, -value, [value], value * 10**6, f"{value} "))
        case dict():
            return [value]
        case list() if value:
            return chance.choice((value[0], value * 2))
    return [value]


def _places(value: Any, depth: int = 20) -> Iterator[tuple[Any, Any]]:
    if depth and isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key], depth - 1)


def _text(frame: Any, *, ascii_only: bool = False) -> bytes:
    # A half of a surrogate pair has no bytes but in an escape.
    try:
        return json.dumps(frame, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return json.dumps(frame).encode()
