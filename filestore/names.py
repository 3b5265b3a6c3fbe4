"""Names and paths of files that stations may choose, made fit for every disk and every URL."""

import re
import secrets
from collections.abc import Iterable, Iterator

from filestore.errors import PathTooDeep

MAX_NAME = 100
MAX_DEPTH = 20
# Suffixes that are tried in order before random ones.
MAX_NUMBERED = 99
# Letters of other alphabets are no trouble on disk, and some in the URLs that stations read.
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_EXTENSION = re.compile(r"(?<=.)(\.tar)?\.[A-Za-z0-9]{1,10}$")


def safe_name(name: str) -> str:
    """Make a name that a station gave fit for a path; it may hold colons and slashes, or nothing at all (FW-04).

    What comes out is left as it is when it comes in again.
    """
    return _shortened(_UNSAFE.sub("_", name).lstrip(".")) or "_"


def has_extension(name: str) -> bool:
    return _EXTENSION.search(name) is not None


def _shortened(name: str, suffix: str = "") -> str:
    extension = match[0] if (match := _EXTENSION.search(name)) else ""
    stem = name[: len(name) - len(extension)]
    return stem[: MAX_NAME - len(extension) - len(suffix)] + suffix + extension


def candidates(name: str) -> Iterator[str]:
    """Yield names under which a file may be kept when the first ones are taken: ``a.zip``, ``a-1.zip``, and so on."""
    yield name
    for number in range(1, MAX_NUMBERED + 1):
        yield _shortened(name, f"-{number}")
    while True:
        yield unique(name)


def unique(name: str) -> str:
    """Make another name of a name, which nobody has."""
    return _shortened(safe_name(name), f"-{secrets.token_hex(4)}")


def resolve(segments: Iterable[str]) -> list[str]:
    """Resolve ``.`` and ``..`` in the segments of a path; nothing is above its beginning.

    Raises PathTooDeep.
    """
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    if len(kept) > MAX_DEPTH:
        raise PathTooDeep(f"A path may have {MAX_DEPTH} parts at most.")
    return kept
