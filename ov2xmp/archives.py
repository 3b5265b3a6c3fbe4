"""The archive that a backup is: how it is written, and read without trusting it.

``manifest.json`` comes first and says what the archive is; then ``database``; then, under ``data/``,
the secrets of the data directory; then, if asked for, what stations uploaded, under ``files/``.
"""

import contextlib
import gzip
import io
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO

FORMAT = 1
MANIFEST, DATABASE, DATA, FILES = "manifest.json", "database", "data", "files"
# What the data directory holds and nothing else does.
SECRETS = ("secret-key", "admin-password", "ftp-password", "http-password", "ca")
# A manifest is a few kilobytes.
MANIFEST_LIMIT = 1024 * 1024


class BackupError(Exception):
    """There is no backup, or nothing was restored; the text says why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """What an archive is."""

    format: int
    made_at: str
    version: str
    engine: str
    migrations: list[str]
    # Tells whether two keys are the same, and not what they are.
    secret_key_digest: str
    files: bool


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a stream into a file that appears under its name when all is written.

    Raises BackupError: there is one already.
    """
    if path.exists():
        raise BackupError(f"{path} exists. Name another file.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # Unlike a renamed one, a link never replaces a file that has come meanwhile.
        os.link(name, path)
    except FileExistsError as error:
        raise BackupError(f"{path} exists. Name another file.") from error
    finally:
        os.unlink(name)


def write(stream: IO[bytes], manifest: Manifest, dump: Path, data_dir: Path, files_dir: Path | None) -> None:
    """Write an archive of a dump, of the secrets in `data_dir`, and of the files in `files_dir`.

    Raises OSError.
    """
    with tarfile.open(fileobj=stream, mode="w|gz", format=tarfile.PAX_FORMAT) as archive:
        add_text(archive, MANIFEST, json.dumps(asdict(manifest), indent=2))
        add(archive, DATABASE, dump)
        for name in SECRETS:
            add_tree(archive, f"{DATA}/{name}", data_dir / name)
        if files_dir:
            add_tree(archive, FILES, files_dir)


def add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = private_member(name, len(content))
    archive.addfile(member, io.BytesIO(content))


def add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        member = private_member(name, status.st_size)
        member.mtime = int(status.st_mtime)
        archive.addfile(member, file)


def add_tree(archive: tarfile.TarFile, name: str, path: Path) -> None:
    """Add a file, or all files of a folder but the hidden ones, which are not complete; links are left out."""
    if path.is_symlink():
        return
    if path.is_dir():
        for child in sorted(path.iterdir()):
            if not child.name.startswith("."):
                add_tree(archive, f"{name}/{child.name}", child)
    elif path.is_file():
        # One that is deleted meanwhile is no longer a part of the platform.
        with contextlib.suppress(FileNotFoundError):
            add(archive, name, path)


def private_member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def unpack(source: IO[bytes], folder: Path, uploads: Path) -> Manifest:
    """Unpack an archive: the database and secrets to `folder`, files to `uploads`; read it to its end.

    Raises BackupError: it is no backup, or not a whole one.
    """
    manifest = None
    try:
        # Not tarfile's own way to unpack, which overlooks the checksum and length at the end.
        with gzip.open(source) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is None:
                    raise BackupError(f"not a backup: {member.name} is no file")
                if manifest is None:
                    manifest = read_manifest(member, content)
                    continue
                target = place(member.name, folder, uploads)
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    shutil.copyfileobj(content, file)
                os.utime(target, (member.mtime, member.mtime))
            while stream.read(65536):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise BackupError(f"the archive cannot be read: {error}") from error
    if manifest is None or not (folder / DATABASE).exists():
        raise BackupError("not a backup: there is no database in it")
    return manifest


def read_manifest(member: tarfile.TarInfo, content: IO[bytes]) -> Manifest:
    if member.name != MANIFEST or member.size > MANIFEST_LIMIT:
        raise BackupError(f"not a backup: it does not begin with {MANIFEST}")
    try:
        stored = json.loads(content.read())
        if stored["format"] != FORMAT:
            raise BackupError(f"the archive has format {stored['format']}; this release reads format {FORMAT}")
        return Manifest(**stored)
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"not a backup: {MANIFEST} cannot be read") from error


def place(name: str, folder: Path, uploads: Path) -> Path:
    """Return where a member is unpacked to.

    Raises BackupError: no backup has such a member.
    """
    path = PurePosixPath(name)
    sound = not path.is_absolute() and ".." not in path.parts and str(path) == name
    if sound and name == DATABASE:
        return folder / DATABASE
    if sound and len(path.parts) > 1 and path.parts[0] == DATA and path.parts[1] in SECRETS:
        return folder / path
    if sound and len(path.parts) > 1 and path.parts[0] == FILES:
        return uploads / path
    raise BackupError(f"not a backup: {name!r} has no place in one")
