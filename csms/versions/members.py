"""How members are read that payloads of every version have."""

from csms.versions.base import Payload


def text(payload: Payload, member: str) -> str:
    """Read an optional text; blank stands for absent (BO-05)."""
    return str(payload.get(member, "")).strip()
