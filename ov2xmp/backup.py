"""Backups: everything that the platform cannot make again, in one archive."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from ov2xmp import archives, dumps, embedded
from ov2xmp.archives import BackupError, Manifest
from ov2xmp.settings import env

# What every database has from the start.
FURNITURE = {"contenttypes.ContentType", "auth.Permission", "auth.Group", "sessions.Session", "admin.LogEntry"}
# Folders of what is half done, and seconds after which nobody works on one any more.
STAGING = ".backup-"
STAGING_LIFETIME = 24 * 60 * 60


def version() -> str:
    return str(settings.SPECTACULAR_SETTINGS["VERSION"])


def secret_key_digest(key: str) -> str:
    return hashlib.sha256(b"ov2xmp backup " + key.encode()).hexdigest()


def files_dir() -> Path:
    folder: Path = settings.FILES_DIR
    return folder


def timestamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def make(target: Path | IO[bytes], *, files: bool, timeout: float) -> None:
    """Write a backup to a new file, or to a stream; the platform may go on meanwhile.

    The file appears when it is whole, and only its owner may read it. `timeout` is the seconds that
    the dump of the database may take.

    Raises BackupError: it could not be made, or the file exists.
    """
    try:
        with staging(settings.DATA_DIR) as folder, contextlib.ExitStack() as stack:
            dump = folder / archives.DATABASE
            manifest = describe(files)
            dumps.take(dump, timeout)
            stream = stack.enter_context(archives.new_file(target)) if isinstance(target, Path) else target
            archives.write(stream, manifest, dump, settings.DATA_DIR, files_dir() if files else None)
    except dumps.DumpError as error:
        raise BackupError(str(error)) from error
    except Error as error:
        raise BackupError(f"the database does not answer: {str(error).strip()}") from error
    except OSError as error:
        raise BackupError(f"cannot write the backup: {error}") from error


def describe(files: bool) -> Manifest:
    applied = MigrationRecorder(connection).applied_migrations()
    return Manifest(
        archives.FORMAT,
        datetime.now(UTC).isoformat(timespec="seconds"),
        version(),
        dumps.engine(),
        sorted(f"{app}.{name}" for app, name in applied),
        secret_key_digest(settings.SECRET_KEY),
        files,
    )


@contextlib.contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """Give a folder for what is half done: on the disk of the data, hidden, and gone afterwards.

    Not in the system's temporary directory, which in a container is memory. What a process that was
    killed has left is thrown away.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in parent.glob(f"{STAGING}*"):
        if time.time() - left.stat().st_mtime > STAGING_LIFETIME:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=STAGING) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Restored:
    """What was restored, what was kept of what was there before, and what the operator must know."""

    manifest: Manifest
    kept: Path | None
    warnings: list[str]


def restore(source: IO[bytes], *, force: bool, timeout: float) -> Restored:
    """Put the platform back as a backup has it, read from a stream.

    The database is replaced as a whole, secrets and files one by one; other files stay. With `force`
    a database with something in it is replaced too, after a backup of it. `timeout` is the seconds
    that each step of the database's may take.

    Raises BackupError: nothing was changed, unless the text says what was.
    """
    try:
        with embedded.locked(ready_data_dir()), staging(settings.DATA_DIR) as folder, staging(files_dir()) as uploads:
            manifest = archives.unpack(source, folder, uploads)
            check_fits(manifest)
            dumps.check(folder / archives.DATABASE, timeout)
            check_idle()
            kept = keep_what_is_there(force, timeout)
            dumps.put_back(folder / archives.DATABASE, timeout)
            finish(folder, uploads)
    except (embedded.LaunchError, dumps.DumpError) as error:
        raise BackupError(str(error)) from error
    except Error as error:
        raise BackupError(f"the database does not answer: {str(error).strip()}") from error
    except OSError as error:
        raise BackupError(f"cannot unpack the archive: {error}") from error
    return Restored(manifest, kept, list(warnings(manifest)))


def keep_what_is_there(force: bool, timeout: float) -> Path | None:
    """Back up a database that is about to be replaced; return where to, or nothing if there is nothing in it.

    Raises BackupError: it may not be replaced, or could not be backed up.
    """
    if is_empty():
        return None
    if not force:
        raise BackupError("there is something in the database. FORCE=1 (--force) replaces it, after a backup of it.")
    # To the microsecond: two restores may follow one another at once.
    kept: Path = settings.DATA_DIR / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.tar.gz"
    make(kept, files=False, timeout=timeout)
    return kept


def finish(folder: Path, uploads: Path) -> None:
    """Do what follows once the database is back.

    Raises BackupError: it failed, and doing all again is what helps.
    """
    try:
        move_into(folder / archives.DATA, settings.DATA_DIR)
        move_into(uploads / archives.FILES, files_dir())
        # A backup of an older release.
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=0)
    except (OSError, Error) as error:
        raise BackupError(f"the database was restored, but not everything else: {error}. Restore again.") from error


def ready_data_dir() -> Path:
    folder: Path = settings.DATA_DIR
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def check_fits(manifest: Manifest) -> None:
    """Make sure that this release can serve what is in the archive.

    Raises BackupError: it cannot.
    """
    if manifest.engine != dumps.engine():
        raise BackupError(
            f"the archive holds a {manifest.engine} database, and the settings name {dumps.engine()}. "
            "Set OV2XMP_DATABASE_URL to a database of the archive's kind."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if unknown := [name for name in manifest.migrations if name not in known]:
        raise BackupError(
            f"the archive is of release {manifest.version}, whose database this release ({version()}) does not know "
            f"({unknown[-1]}). Restore it with that release, then upgrade."
        )


def check_idle() -> None:
    """Make sure that nobody works on the database.

    Raises BackupError: somebody does.
    """
    if connected := dumps.others():
        raise BackupError(
            f"the database is in use by {', '.join(connected[:5])}. Stop the platform (web, csms, worker) first."
        )


def is_empty() -> bool:
    """Tell whether the database holds nothing but what a migration makes."""
    tables = set(connection.introspection.table_names())
    models = [
        model for model in apps.get_models() if model._meta.label not in FURNITURE and model._meta.db_table in tables
    ]
    return not any(model._base_manager.exists() for model in models)


def move_into(source: Path, target: Path) -> None:
    """Move all files of a folder to the same places in another, each at once."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            destination = target / path.relative_to(source)
            destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.replace(path, destination)


def warnings(manifest: Manifest) -> Iterator[str]:
    key = env("OV2XMP_SECRET_KEY") or (settings.DATA_DIR / "secret-key").read_text(encoding="utf-8").strip()
    if secret_key_digest(key) != manifest.secret_key_digest:
        yield (
            "the secret key is not what it was when the backup was made, so that sessions and tokens are no longer "
            "valid. To keep them, set OV2XMP_SECRET_KEY to the former one."
        )
