"""The folder that the file servers share with the platform, as the platform reads and writes it.

Paths are relative to the folder, as stations see them. Names that begin with a dot are hidden, as
uploads that are not whole yet are; links are not shown, nor are names that no answer could tell.
"""

import contextlib
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from django.conf import settings

from chargers.errors import FileExists, FileRefused, FileTooLarge, StorageFull, StorageReadOnly, UnknownFile
from filestore.errors import InTheWay, Missing, NoSpace, TooLarge
from filestore.folder import Folder
from filestore.names import MAX_DEPTH, safe_name

# Bytes that an upload is read by.
BLOCK_SIZE = 256 * 1024
_NUMBERS = re.compile(r"([0-9]+)")
# Control characters, which no header may hold, and surrogates, which stand for bytes that are no UTF-8.
_UNTELLABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class StoredFile:
    """A file as it was when it was looked at; `size` is in bytes."""

    path: str
    size: int
    modified: datetime


def is_visible() -> bool:
    """Tell whether this process sees the folder at all."""
    return settings.FILES_DIR.is_dir()


def shared() -> Folder:
    """Return the folder as the file servers see it."""
    return Folder(settings.FILES_DIR, kind="web", max_size=settings.FILES_MAX_SIZE, min_free=settings.FILES_MIN_FREE)


def locate(path: str) -> Path:
    """Return where a file or folder is. Raises UnknownFile: there is none, or none that is shown."""
    names = path.split("/")
    if not all(_is_shown(name) for name in names):
        raise UnknownFile(path)
    try:
        return shared().locate(names)
    except (Missing, OSError) as error:
        raise UnknownFile(path) from error


def open_file(path: str) -> BinaryIO:
    """Open a file for reading. Raises UnknownFile: there is none."""
    try:
        # Not to wait where somebody put a pipe there.
        handle = os.open(locate(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnknownFile(path) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UnknownFile(path)
    return os.fdopen(handle, "rb")


def store(path: str, source: Source) -> None:
    """Put a file there that `source` reads.

    Raises FileRefused: stations could not ask for such a path, or there is nothing in it; FileExists;
    FileTooLarge; StorageFull; StorageReadOnly.
    """
    names = path.split("/")
    for name in names:
        if safe_name(name) != name:
            raise FileRefused("path", f"{name!r} is no good: take {safe_name(name)!r}, so that every station finds it.")
    if len(names) > MAX_DEPTH:
        raise FileRefused("path", f"Must have {MAX_DEPTH} names at most.")
    files = shared()
    try:
        files.prepare()
        files.sweep()
        _refuse_taken(path)
        upload = files.begin(names)
        try:
            while block := source.read(BLOCK_SIZE):
                upload.write(block)
            if not upload.size:
                raise FileRefused("body", "Must not be empty.")
            stored = upload.commit()
        finally:
            upload.discard()
    except TooLarge as error:
        raise FileTooLarge(files.max_size) from error
    except NoSpace as error:
        raise StorageFull(str(error)) from error
    except InTheWay as error:
        raise FileExists(path, str(error)) from error
    except OSError as error:
        raise StorageReadOnly(f"the folder of files lets nothing be written: {error.strerror}") from error
    if stored != path:
        # Somebody else was faster.
        files.root.joinpath(stored).unlink()
        raise FileExists(path)


def _refuse_taken(path: str) -> None:
    with contextlib.suppress(UnknownFile):
        look(path)
        raise FileExists(path)


def remove(path: str) -> None:
    """Delete a file. Raises UnknownFile: there is none; StorageReadOnly."""
    look(path)
    try:
        locate(path).unlink(missing_ok=True)
    except OSError as error:
        raise StorageReadOnly(f"the folder of files lets nothing be deleted: {error.strerror}") from error


def look(path: str) -> StoredFile:
    """Look at a file. Raises UnknownFile: there is none."""
    try:
        told = locate(path).lstat()
    except OSError as error:
        raise UnknownFile(path) from error
    if not stat.S_ISREG(told.st_mode):
        raise UnknownFile(path)
    return StoredFile(path, told.st_size, datetime.fromtimestamp(told.st_mtime, UTC))


def look_at(wanted: Iterable[str]) -> Iterator[StoredFile]:
    """Look at files, but for those that are gone meanwhile."""
    for path in wanted:
        try:
            yield look(path)
        except UnknownFile:
            continue


def walk(start: str = "", *, without: Collection[str] = ()) -> list[str]:
    """Return the paths of the files below a folder, numbers in names in their order, without looking at any.

    `without` names folders at the top that are left out.
    """
    top = start.rstrip("/")
    found: list[str] = []
    with contextlib.suppress(UnknownFile):
        _walk(locate(top) if top else settings.FILES_DIR, f"{top}/" if top else "", found, without)
    return found


def _walk(place: str | Path, prefix: str, found: list[str], without: Collection[str] = ()) -> None:
    try:
        with os.scandir(place) as entries:
            shown = [each for each in entries if _is_shown(each.name)]
    except OSError:
        # Gone meanwhile, or not ours to read.
        return
    if len(shown) > 1:
        shown.sort(key=lambda each: natural(each.name))
    for entry in shown:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in without:
                _walk(entry.path, f"{prefix}{entry.name}/", found)
        elif entry.is_file(follow_symlinks=False):
            found.append(prefix + entry.name)


def _is_shown(name: str) -> bool:
    return name != "" and not name.startswith(".") and not _UNTELLABLE.search(name)


def natural(path: str) -> tuple[list[list[str | int]], str]:
    """Return what sorts paths as people do: by their names one after the other, and 9 before 10."""
    names = [
        [int(part) if position % 2 else part for position, part in enumerate(_NUMBERS.split(name))]
        for name in path.split("/")
    ]
    # 01 and 1 are two names.
    return names, path
