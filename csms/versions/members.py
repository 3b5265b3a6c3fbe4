"""How members are read that payloads of every version have."""

from typing import Any

from csms.versions.base import Payload

MAX_NUMBER = 2**31 - 1
# Of the columns that keep numbers of a station's own choice.
MAX_OWN_NUMBER = 2**63 - 1


def whole(value: Any, limit: int = MAX_NUMBER) -> int | None:
    """Read a whole number that can be kept, be it spelt as 1.0, as the schemas of 2.x take it; None for any other."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and abs(value) <= limit else None


def text(payload: Payload, member: str) -> str:
    """Read an optional text; blank stands for absent (BO-05)."""
    return str(payload.get(member, "")).strip()
