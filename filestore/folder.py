"""The folder of files that both servers share, in which no file is overwritten and none is half there.

An upload goes to a temporary file in ``.uploads`` and gets its name, and the folders on the way to
it, once it is whole and on the disk. What a process that was killed has left there is swept away:
a live upload holds a lock on its temporary file.
"""

import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filestore.errors import InTheWay, Missing, NoSpace, NotResumable, TooLarge
from filestore.names import candidates, safe_name

UPLOADS = ".uploads"
# Bytes written between two looks at how full the disk is, and between two waits for it: one wait for
# all of a large file would be a long one.
CHECK_EVERY = 1024 * 1024
SYNC_EVERY = 16 * 1024 * 1024
# Seconds that a temporary file is left alone in any case: its lock comes a moment after it.
SWEEP_GRACE = 60
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})


class Folder:
    """The folder at `root`, as one server sees it.

    `kind` begins the names of the server's temporary files, `max_size` is the largest upload, and
    `min_free` what uploads leave free on the disk, both in bytes.
    """

    def __init__(self, root: Path, *, kind: str, max_size: int, min_free: int) -> None:
        self.root = root.resolve()
        self.max_size = max_size
        self.min_free = min_free
        self._kind = kind
        self._uploads = self.root / UPLOADS

    def prepare(self) -> None:
        """Make the folder.

        Raises OSError: it cannot be made or written to.
        """
        self._uploads.mkdir(parents=True, exist_ok=True)
        probe = self._uploads / f"{self._kind}-{secrets.token_hex(8)}"
        probe.touch()
        probe.unlink()

    # Reading

    def locate(self, segments: Sequence[str]) -> Path:
        """Return where a file or folder is, by its own name or else by the one that an upload of it got.

        Raises Missing.
        """
        for names in (segments, [safe_name(each) for each in segments]):
            path = self.root.joinpath(*names)
            if self.shows(names) and self._holds(path) and (path.is_file() or path.is_dir()):
                return path
        raise Missing(f"There is no file or folder {'/'.join(segments)!r}.")

    def shows(self, names: Sequence[str]) -> bool:
        """Tell whether a path is for clients: temporary and other hidden files are not, nor are names no disk takes."""
        return not any(
            name.startswith(".") or "\0" in name or "/" in name or len(os.fsencode(name)) > 255 for name in names
        )

    def has_folder(self, segments: Sequence[str]) -> bool:
        """Tell whether an upload to a path would meet a folder."""
        return self.root.joinpath(*map(safe_name, segments)).is_dir()

    def _holds(self, path: Path) -> bool:
        """Tell whether a path is inside, wherever its symbolic links lead."""
        return path.resolve().is_relative_to(self.root)

    # Uploads

    def check_size(self, size: int) -> None:
        """Check that an upload of so many bytes may come.

        Raises TooLarge, NoSpace.
        """
        if size > self.max_size:
            raise TooLarge(f"An upload may have {self.max_size} bytes at most.")
        disk = os.statvfs(self.root)
        if disk.f_bavail * disk.f_frsize - size < self.min_free:
            raise NoSpace("The disk is full.")

    def begin(self, segments: Sequence[str], *, resumable: bool = False) -> "Upload":
        """Begin an upload that will be at a path made of safe names.

        A resumable one may be kept when it is interrupted, and takes the place of an older one.

        Raises InTheWay, NoSpace.
        """
        path = [safe_name(each) for each in segments]
        self.check_way(path)
        self.check_size(0)
        with _disk_errors():
            # Somebody may have tidied up since the start.
            self._uploads.mkdir(exist_ok=True)
            opened = self._open(self._part(path), create=True) if resumable else None
            while opened is None:
                opened = self._open(self._uploads / f"{self._kind}-{secrets.token_hex(16)}", create=True)
            handle, temporary = opened
            os.ftruncate(handle, 0)
        return Upload(self, path, temporary, handle, 0)

    def resume(self, segments: Sequence[str], position: int | None = None) -> "Upload":
        """Go on with an interrupted upload at `position`, by default at its end; what is behind it goes.

        Raises NotResumable, InTheWay, NoSpace.
        """
        path = [safe_name(each) for each in segments]
        self.check_way(path)
        self.check_size(0)
        opened = self._open(self._part(path), create=False)
        if opened is None:
            raise NotResumable("There is no interrupted upload of this file.")
        handle, temporary = opened
        size = os.fstat(handle).st_size
        start = size if position is None else position
        if start > size:
            os.close(handle)
            raise NotResumable(f"The interrupted upload has {size} bytes only.")
        os.ftruncate(handle, start)
        os.lseek(handle, start, os.SEEK_SET)
        return Upload(self, path, temporary, handle, start)

    def interrupted_size(self, segments: Sequence[str]) -> int | None:
        """Return how many bytes of an interrupted upload are here; None where there is none."""
        try:
            return self._part([safe_name(each) for each in segments]).stat().st_size
        except FileNotFoundError:
            return None

    def make_folder(self, segments: Sequence[str]) -> Path:
        """Make a folder and those on the way to it; one that is there already is as good.

        Raises InTheWay, NoSpace.
        """
        path = [safe_name(each) for each in segments]
        self._check_folders(path)
        place = self.root.joinpath(*path)
        with _disk_errors():
            try:
                place.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise InTheWay(f"{self.tell(place)} is a file, not a folder.") from error
        return place

    def rename(self, source: Path, segments: Sequence[str]) -> None:
        """Give a file another name that is free.

        Raises InTheWay.
        """
        path = [safe_name(each) for each in segments]
        self.check_way(path)
        if source.is_dir():
            raise InTheWay("Folders keep their names.")
        self.make_folder(path[:-1])
        if not _place(source, self.root.joinpath(*path)):
            raise InTheWay(f"{'/'.join(path)} is there already.")

    def check_way(self, path: Sequence[str]) -> None:
        """Check that a file can be at a path of safe names.

        Raises InTheWay.
        """
        self._check_folders(path[:-1])
        target = self.root.joinpath(*path)
        if target.is_dir():
            raise InTheWay(f"{self.tell(target)} is a folder, not a file.")

    def _check_folders(self, path: Sequence[str]) -> None:
        place = self.root
        for name in path:
            place /= name
            if place.exists() and not place.is_dir():
                raise InTheWay(f"{self.tell(place)} is a file, not a folder.")
        if not self._holds(place):
            raise InTheWay(f"{self.tell(place)} leads out of the folder of files.")

    def tell(self, path: Path) -> str:
        """Spell a path as clients see it."""
        return path.relative_to(self.root).as_posix()

    def sweep(self, keep: float = 0) -> int:
        """Delete temporary files that nobody has written to for `keep` seconds; return how many."""
        swept = 0
        for temporary in self._uploads.glob(f"{self._kind}-*"):
            try:
                if time.time() - temporary.stat().st_mtime < max(keep, SWEEP_GRACE):
                    continue
                opened = self._open(temporary, create=False)
            except FileNotFoundError:
                continue
            if opened is not None:
                temporary.unlink(missing_ok=True)
                os.close(opened[0])
                swept += 1
        return swept

    def _part(self, path: Sequence[str]) -> Path:
        """Say where an interrupted upload is kept, so that it is found again after a restart."""
        return self._uploads / f"{self._kind}-{hashlib.sha256('/'.join(path).encode()).hexdigest()[:40]}"

    def _open(self, temporary: Path, *, create: bool) -> tuple[int, Path] | None:
        """Open a temporary file for one upload alone; None where another has it, or where it is not there."""
        try:
            handle = os.open(temporary, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        if not _is_at(handle, temporary):
            # Swept, or finished, between the opening and the lock; what was opened is another's file by now.
            os.close(handle)
            return self._open(temporary, create=create)
        return handle, temporary


class Upload:
    """A file that is on its way; ends with one of commit(), discard() and keep(), which may be called again."""

    def __init__(self, folder: Folder, path: list[str], temporary: Path, handle: int, size: int) -> None:
        self.folder = folder
        self.size = size
        self._path = path
        self._temporary = temporary
        self._handle = handle
        self._checked = self._synced = size

    @property
    def path(self) -> str:
        """Where the file will be, as far as that is free."""
        return "/".join(self._path)

    @property
    def closed(self) -> bool:
        return self._handle < 0

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises TooLarge, NoSpace.
        """
        size = self.size + len(data)
        if size > self.folder.max_size or size - self._checked >= CHECK_EVERY:
            self.folder.check_size(size if size > self.folder.max_size else len(data))
            self._checked = size
        with _disk_errors():
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            self.size = size
            if size - self._synced >= SYNC_EVERY:
                os.fdatasync(self._handle)
                self._synced = size

    def commit(self) -> str:
        """Give the file its name, or one beside it where that is taken; return its path in the folder.

        It is on the disk then. Raises InTheWay, NoSpace.
        """
        self.folder.check_way(self._path)
        with _disk_errors():
            os.fsync(self._handle)
            parent = self.folder.make_folder(self._path[:-1])
            target = next(
                target for name in candidates(self._path[-1]) if _place(self._temporary, target := parent / name)
            )
            for level in range(len(self._path)):
                _sync_folder(self.folder.root.joinpath(*self._path[:level]))
        self._close()
        return self.folder.tell(target)

    def discard(self) -> None:
        """Leave nothing."""
        if not self.closed:
            self._temporary.unlink(missing_ok=True)
            self._close()

    def keep(self) -> None:
        """Leave what has come for resume(), where there is any and its place is known."""
        if self.size and self._temporary == self.folder._part(self._path):
            self._close()
        else:
            self.discard()

    def _close(self) -> None:
        if not self.closed:
            os.close(self._handle)
            self._handle = -1


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn the system's ways to say that a disk is full into NoSpace."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace("The disk is full.") from error
        raise


def _is_at(handle: int, path: Path) -> bool:
    """Tell whether an open file still has the name that it was opened by."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _place(temporary: Path, target: Path) -> bool:
    """Name a finished file; False where the name is taken."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _place_without_links(temporary, target)
    temporary.unlink()
    return True


def _place_without_links(temporary: Path, target: Path) -> bool:
    """Take the name with an empty file first, on disks that know no hard links."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    temporary.replace(target)
    return True


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
