"""OCPP-J frames: from text to a frame and back (OCPP-J 1.6 section 4).

Nothing here closes a connection. A frame that cannot be understood is a Malformed with what can
still be said of it: whose it was, and whether it was an answer.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

CALL, CALL_RESULT, CALL_ERROR = 2, 3, 4

# The specification allows 36 characters; real ids are longer and harmless, rubbish is neither.
ID_LENGTH = 36
MAX_ID_LENGTH = 255

MessageId = str | int


class Call(NamedTuple):
    id: MessageId
    action: str
    payload: dict[str, Any]


class CallResult(NamedTuple):
    id: MessageId
    payload: Any


class CallError(NamedTuple):
    id: MessageId
    code: str
    description: str
    details: Any


Frame = Call | CallResult | CallError


class Malformed(Exception):
    """A frame that cannot be understood.

    `message_id` is what can be read of its id, `message_type` of its type; None where nothing
    can. Only a CALL with an id gets a CALLERROR.
    """

    def __init__(self, reason: str, message_type: int | None = None, message_id: MessageId | None = None) -> None:
        self.reason = reason
        self.message_type = message_type
        self.message_id = message_id
        super().__init__(reason)


class Parsed(NamedTuple):
    """A frame, and the deviations that were overlooked to read it."""

    frame: Frame
    deviations: tuple[str, ...]


def parse(raw: bytes, *, strict: bool = False, repair: bool = False) -> Parsed:
    """Read a frame. Raises Malformed.

    What a strict reading refuses though its intent is clear is overlooked and named, unless
    `strict`. `repair` also mends JSON that is broken, by the repairs of `TEXT_REPAIRS`.
    """
    deviations: list[str] = []
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        text = raw.decode("utf-8", "replace")
        message = None if strict else _read_leniently(text, deviations, repair)
        if message is None:
            raise Malformed(f"not JSON: {error}", *_head(text)) from error
    if not isinstance(message, list):
        raise Malformed(f"a frame is a JSON array, not {_kind(message)}")
    return Parsed(_frame(message, deviations, strict), tuple(deviations))


def _read_leniently(text: str, deviations: list[str], repair: bool) -> Any:
    """Read JSON with raw control bytes in its strings (FR-06) and, if wanted, with known repairs."""
    attempts = [("json-control-characters", text)]
    if repair:
        attempts += [(name, mend(text)) for name, mend in TEXT_REPAIRS.items()]
        attempts.append(("json-repaired", _mend_all(text)))
    for deviation, attempt in attempts:
        try:
            message = json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
        deviations.append(deviation)
        return message
    return None


# Stations that write JSON with printf leave a list's or a member's value out (FR-01, FR-02).
TEXT_REPAIRS: dict[str, Callable[[str], str]] = {
    "json-stray-comma": lambda text: re.sub(r",\s*([\]}])", r"\1", re.sub(r"([\[{])\s*,", r"\1", text)),
    "json-missing-value": lambda text: re.sub(r":\s*([,}\]])", r":null\1", text),
}


def _mend_all(text: str) -> str:
    for mend in TEXT_REPAIRS.values():
        text = mend(text)
    return text


_HEAD = re.compile(r'\s*\[\s*"?([234])"?\s*,\s*(?:"((?:[^"\\]|\\.){1,255})"|(\d{1,18}))\s*,')


def _head(text: str) -> tuple[int | None, MessageId | None]:
    """Read type and id off the text of a frame that is no JSON, so that its sender is not left waiting."""
    match = _HEAD.match(text)
    if match is None:
        return None, None
    return int(match[1]), match[2] if match[2] is not None else int(match[3])


def _frame(message: list[Any], deviations: list[str], strict: bool) -> Frame:
    if len(message) < 2:
        raise Malformed("a frame has a message type and a message id")
    message_type, message_id = message[0], message[1]
    if isinstance(message_type, str) and message_type in ("2", "3", "4") and not strict:
        deviations.append("message-type-as-text")
        message_type = int(message_type)
    if isinstance(message_type, bool) or message_type not in (CALL, CALL_RESULT, CALL_ERROR):
        raise Malformed(f"message type {_excerpt(message_type)} is not known")
    message_type = int(message_type)
    if isinstance(message_id, bool) or not isinstance(message_id, str | int) or message_id == "":
        raise Malformed("the message id is no text", message_type)
    if isinstance(message_id, str) and len(message_id) > ID_LENGTH:
        if len(message_id) > MAX_ID_LENGTH:
            raise Malformed("the message id is too long", message_type)
        if strict:
            raise Malformed("the message id is longer than 36 characters", message_type, message_id)
        deviations.append("message-id-too-long")
    if not isinstance(message_id, str):
        if strict:
            raise Malformed("the message id is no text", message_type, message_id)
        deviations.append("message-id-not-text")
    if message_type == CALL:
        return _call(message, message_id, deviations, strict)
    if message_type == CALL_RESULT:
        return _call_result(message, message_id)
    return _call_error(message, message_id, deviations)


def _call(message: list[Any], message_id: MessageId, deviations: list[str], strict: bool) -> Call:
    def refuse(reason: str) -> Malformed:
        return Malformed(reason, CALL, message_id)

    if len(message) < 3 or not isinstance(message[2], str):
        raise refuse("the third element of a CALL is the name of an action")
    if len(message) != 4:
        if strict:
            raise refuse(f"a CALL has four elements, not {len(message)}")
        deviations.append("frame-length")
    # Null stands for no payload (OCPP-J 1.6 section 4.2.1).
    payload = message[3] if len(message) > 3 and message[3] is not None else {}
    if not isinstance(payload, dict):
        raise refuse(f"the payload is a JSON object, not {_kind(payload)}")
    return Call(message_id, message[2], payload)


def _call_result(message: list[Any], message_id: MessageId) -> CallResult:
    payload = message[2] if len(message) > 2 and message[2] is not None else {}
    if not isinstance(payload, dict):
        raise Malformed(f"the payload is a JSON object, not {_kind(payload)}", CALL_RESULT, message_id)
    return CallResult(message_id, payload)


def _call_error(message: list[Any], message_id: MessageId, deviations: list[str]) -> CallError:
    """Read a CALLERROR, filling in what stations leave out (FR-08)."""
    if len(message) != 5:
        deviations.append("frame-length")
    code, description, details = (*message[2:5], None, None, None)[:3]
    return CallError(message_id, str(code or "GenericError"), str(description or ""), details or {})


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _excerpt(value: Any) -> str:
    return repr(value)[:40]


def encode_call(message_id: str, action: str, payload: dict[str, Any]) -> bytes:
    return orjson.dumps([CALL, message_id, action, payload])


def encode_result(message_id: MessageId, payload: dict[str, Any]) -> bytes:
    return orjson.dumps([CALL_RESULT, message_id, payload])


def encode_error(message_id: MessageId, code: str, description: str) -> bytes:
    # Descriptions are at most 255 characters (OCPP-J 2.0.1 section 4.2.3); 1.6 sets no limit.
    return orjson.dumps([CALL_ERROR, message_id, code, description[:255], {}])
