"""The folder that the file servers share with the platform: what lies in it, and which job it belongs to.

Paths are relative to the folder, as stations see them. Names that begin with a dot are hidden, as
uploads that are not whole yet are; links are not shown, nor are names that are no UTF-8.
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

from chargers.choices import FileKind, JobFlag
from chargers.errors import FileExists, FileRefused, FileTooLarge, StorageFull, StorageReadOnly, UnknownFile
from chargers.models import ChargePoint, FirmwareUpdate, LogUpload
from chargers.models.job import Job
from filestore.errors import InTheWay, Missing, NoSpace, TooLarge
from filestore.folder import Folder
from filestore.names import MAX_DEPTH, safe_name

# How many files are shown with their job; a list of files shows the others.
MAX_OF_A_JOB = 100
# Bytes that an upload is read by.
BLOCK_SIZE = 256 * 1024
_NUMBERS = re.compile(r"([0-9]+)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LOG = re.compile(r"logs/(?P<station>[^/]+)/(?:(?P<id>[0-9]{1,10})/)?")


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class StoredFile:
    """A file as it was when it was looked at; `size` is in bytes."""

    path: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Belonging:
    """Whom a file belongs to, as far as its path tells."""

    kind: FileKind
    job: Job | None
    chargepoint_id: str | None


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


def walk(folder: str = "", *, without: Collection[str] = ()) -> list[str]:
    """Return the paths of the files below a folder, numbers in names in their order, without looking at any.

    `without` names folders at the top that are left out.
    """
    start = folder.rstrip("/")
    found: list[str] = []
    with contextlib.suppress(UnknownFile):
        _walk(locate(start) if start else settings.FILES_DIR, f"{start}/" if start else "", found, without)
    return found


def _walk(place: str | Path, prefix: str, found: list[str], without: Collection[str] = ()) -> None:
    try:
        with os.scandir(place) as entries:
            shown = [each for each in entries if _is_shown(each.name) and each.name not in without]
    except OSError:
        # Gone meanwhile, or not ours to read.
        return
    if len(shown) > 1:
        shown.sort(key=lambda each: natural(each.name))
    for entry in shown:
        if entry.is_dir(follow_symlinks=False):
            _walk(entry.path, f"{prefix}{entry.name}/", found)
        elif entry.is_file(follow_symlinks=False):
            found.append(prefix + entry.name)


def _is_shown(name: str) -> bool:
    # Surrogates stand for bytes that are no UTF-8.
    return not name.startswith(".") and name != "" and (name.isascii() or not _SURROGATE.search(name))


def natural(path: str) -> tuple[list[list[str | int]], str]:
    """Return what sorts paths as people do: by their names one after the other, and 9 before 10."""
    names = [
        [int(part) if position % 2 else part for position, part in enumerate(_NUMBERS.split(name))]
        for name in path.split("/")
    ]
    # 01 and 1 are two names.
    return names, path


# Whose they are


def listed(*, kind: FileKind | None = None, station: str | None = None, job: int | None = None) -> list[str]:
    """Return the paths of files, in the order of their names, walking only where they can be."""
    found: list[str] = []
    if kind in (None, FileKind.OTHER) and station is None and job is None:
        if kind is None:
            return walk()
        named = _named_by_updates()
        return [path for path in walk(without=("logs", "firmware")) if path not in named]
    if kind in (None, FileKind.LOG):
        found += _logs(station, job)
    if kind in (None, FileKind.FIRMWARE) and (firmware := _firmware(station, job)):
        found = sorted([*found, *firmware], key=natural)
    return found


def _firmware(station: str | None, job: int | None) -> list[str]:
    if station is None and job is None:
        outside = [each.path for each in look_at(_named_by_updates())]
        return [*walk("firmware"), *outside]
    updates = FirmwareUpdate.objects.exclude(path="")
    updates = updates if job is None else updates.filter(pk=job)
    updates = updates if station is None else updates.filter(chargepoint=station)
    return [each.path for each in look_at(set(updates.values_list("path", flat=True)))]


def _named_by_updates() -> set[str]:
    """Return the firmware that lies where an operator said."""
    named = FirmwareUpdate.objects.exclude(path="").exclude(path__startswith="firmware/")
    return set(named.values_list("path", flat=True).distinct())


def _logs(station: str | None, job: int | None) -> list[str]:
    if job is not None:
        uploads = LogUpload.objects.filter(pk=job).exclude(path="")
        uploads = uploads if station is None else uploads.filter(chargepoint=station)
        return [path for folder in uploads.values_list("path", flat=True) for path in walk(folder)]
    if station is None:
        return walk("logs")
    folder = f"logs/{safe_name(station)}/"
    # Other stations may have names that are the same in a path.
    owners = dict(LogUpload.objects.filter(path__startswith=folder).values_list("path", "chargepoint_id"))
    unclaimed = station if folder == f"logs/{station}/" else None
    return [path for path in walk(folder) if owners.get(_log_folder(path), unclaimed) == station]


def _log_folder(path: str) -> str:
    """Return the folder of the log upload that a path may belong to."""
    match = _LOG.match(path)
    return match[0] if match and match["id"] else ""


def belongings(files: Iterable[str], *, station: str | None = None, job: int | None = None) -> dict[str, Belonging]:
    """Tell whom files belong to, in a fixed number of queries.

    Firmware may be meant for many stations: then that is the newest update, among those of `station`
    or the one of the number `job` where these are given.
    """
    wanted = list(files)
    matches = {path: match for path in wanted if (match := _LOG.match(path))}
    numbers = {int(match["id"]) for match in matches.values() if match["id"]}
    uploads = {row.path: row for row in LogUpload.objects.filter(pk__in=numbers)}
    updates = FirmwareUpdate.objects.filter(path__in=[path for path in wanted if path not in matches])
    updates = updates if job is None else updates.filter(pk=job)
    updates = updates if station is None else updates.filter(chargepoint=station)
    newest = {row.path: row for row in updates.order_by("pk")}
    named = {match["station"] for match in matches.values()}
    stations = set(ChargePoint.objects.filter(pk__in=named).values_list("pk", flat=True))

    def belonging(path: str) -> Belonging:
        if match := matches.get(path):
            upload = uploads.get(match[0])
            if upload:
                return Belonging(FileKind.LOG, upload, upload.chargepoint_id)
            return Belonging(FileKind.LOG, None, match["station"] if match["station"] in stations else None)
        update = newest.get(path)
        kind = FileKind.FIRMWARE if update or path.startswith("firmware/") else FileKind.OTHER
        return Belonging(kind, update, update.chargepoint_id if update else None)

    return {path: belonging(path) for path in wanted}


def files_of(job: Job) -> list[StoredFile] | None:
    """Look at the files of a job, the first ones of many; none where they lie elsewhere or cannot be seen from here."""
    if not job.path or not is_visible():
        return None
    # A log's path is a folder: the station may have put more into it than it told, by other names.
    wanted = walk(job.path)[:MAX_OF_A_JOB] if job.path.endswith("/") else [job.path]
    return list(look_at(wanted))


def flags(job: Job, files: Collection[StoredFile] | None) -> list[JobFlag]:
    """Tell where what a station said and what is there contradict each other."""
    if files is None:
        return []
    if job.misses_file and not files:
        return [JobFlag.FILE_MISSING]
    if job.denies_file and files:
        return [JobFlag.FILE_UNREPORTED]
    return []
