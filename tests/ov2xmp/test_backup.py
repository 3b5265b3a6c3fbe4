"""Backups, made and put back by the real commands, on SQLite or on PostgreSQL, whichever the tests run on."""

import fcntl
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django.plugin import DjangoDbBlocker

from chargers.models import ChargePoint, IdTag
from ov2xmp import backup, dumps
from tests.e2e.storage import SQLITE, Template

POSTGRESQL = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
PASSWORD = "correct horse battery"
LOG = "logs/CP1/7/diagnostics.zip"
START = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "ov2xmp.settings"
import django
django.setup()
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken
"""
MAKE_TOKEN = "print(AccessToken.for_user(User.objects.get()))"
# Raises an error where the secret key is another one.
READ_TOKEN = "print(User.objects.get(pk=AccessToken(sys.argv[1])['user_id']).username)"
# Docker's part in `make backup COMPOSE=…`: what it runs in the container is run here.
DOCKER = """#!/bin/sh
[ "$1 $2 $3 $4 $5 $6 $7" = "compose -f docker-compose-prod.yml run --rm -T ov2xmp-migrate" ] || exit 64
shift 7
exec "$@"
"""


class Machine:
    """A data directory and a database, in which the platform's commands run."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.files_dir = folder / "files"
        self.database = database

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make this process one of this machine."""
        with pytest.MonkeyPatch.context() as patch:
            connection.close()
            patch.setitem(connection.settings_dict, "NAME", self.database)
            patch.setattr(settings, "DATA_DIR", self.data_dir)
            patch.setattr(settings, "FILES_DIR", self.files_dir)
            if (key := self.data_dir / "secret-key").exists():
                patch.setattr(settings, "SECRET_KEY", key.read_text("utf-8"))
            patch.delenv("OV2XMP_SECRET_KEY", raising=False)
            yield
            connection.close()

    def succeed(self, *arguments: str) -> str:
        """Run a command of the platform's; return what it told, warnings included."""
        output = io.StringIO()
        with self.entered():
            call_command(*arguments, stdout=output, stderr=output)
        return output.getvalue()

    def refusal(self, *arguments: str) -> str:
        """Return why a command is not carried out."""
        with self.entered(), pytest.raises(CommandError) as refused:
            call_command(*arguments)
        return str(refused.value)

    def run(self, *command: str, **variables: str) -> str:
        """Run a program with the settings of this machine; return what it wrote."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OV2XMP_")}
        machine = {"OV2XMP_DATA_DIR": str(self.data_dir), "OV2XMP_FILES_DIR": str(self.files_dir)}
        if POSTGRESQL:
            machine["OV2XMP_DATABASE_URL"] = server_url(self.database)
        done = subprocess.run(
            command,
            cwd=settings.BASE_DIR,
            env=inherited | machine | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def fill(self) -> None:
        """Put in stations, a tag, an administrator, secrets and files."""
        for name in ("secret-key", "ftp-password", "http-password", "ca/root.key"):
            path = self.data_dir / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(uuid4().hex, "utf-8")
            path.chmod(0o600)
        log = self.files_dir / LOG
        log.parent.mkdir(parents=True)
        log.write_bytes(os.urandom(100_000))
        (log.parent / ".upload-half").write_bytes(b"half")
        with self.entered():
            User.objects.create_superuser("admin", password=PASSWORD)
            for number in range(50):
                ChargePoint.objects.create(chargepoint_id=f"Säule {number}")
            IdTag.objects.create(id_token="tag", friendly_name="first")

    def shown(self) -> dict[str, object]:
        """Return what an operator sees."""
        with self.entered():
            return {
                "stations": sorted(ChargePoint.objects.values_list("chargepoint_id", flat=True)),
                "tags": sorted(IdTag.objects.values_list("id_token", "friendly_name")),
                "users": list(User.objects.values_list("username", "password")),
            }


def server_url(database: str) -> str:
    return urlsplit(os.environ["OV2XMP_DATABASE_URL"])._replace(path=f"/{database}").geturl()


def on_the_server(statement: str) -> None:
    with_server = psycopg2.connect(server_url("postgres"))
    with_server.autocommit = True
    with with_server.cursor() as cursor:
        cursor.execute(statement)
    with_server.close()


@contextmanager
def machines(folder: Path) -> Iterator[Callable[..., Machine]]:
    """Give a function that makes a machine: an empty one, or a copy of another."""
    databases: list[str] = []

    def make(name: str, original: Machine | None = None) -> Machine:
        database = str(folder / name / "data/db.sqlite3")
        if POSTGRESQL:
            database = f"ov2xmp_backup_{uuid4().hex[:12]}"
            databases.append(database)
            on_the_server(f"CREATE DATABASE {database}" + (f" TEMPLATE {original.database}" if original else ""))
        if original:
            shutil.copytree(original.folder, folder / name)
        else:
            (folder / name / "data").mkdir(parents=True)
        return Machine(folder / name, database)

    try:
        yield make
    finally:
        for database in databases:
            on_the_server(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture(scope="module")
def original(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker, template: Template
) -> Iterator[Machine]:
    """A machine with something on it, which is only copied."""
    folder = tmp_path_factory.mktemp("original")
    with template.copied(folder / "data", admin=False) as storage, django_db_blocker.unblock():
        url = storage.get("OV2XMP_DATABASE_URL")
        made = Machine(folder, urlsplit(url).path.strip("/") if url else str(folder / "data" / SQLITE))
        made.fill()
        yield made


@pytest.fixture
def machine(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Callable[..., Machine]]:
    """Return a function that makes a machine with nothing on it."""
    with machines(tmp_path) as make, django_db_blocker.unblock():
        yield make


Machines = Callable[..., Machine]
needs_client = pytest.mark.skipif(
    POSTGRESQL and shutil.which("pg_dump") is None, reason="PostgreSQL's client is not installed"
)


@pytest.fixture
def first(machine: Machines, original: Machine) -> Machine:
    """A machine with something on it."""
    return machine("first", original)


@pytest.fixture
def archive(first: Machine) -> Path:
    """A backup of it, with files."""
    path = first.folder.with_name("a.tar.gz")
    first.succeed("backup", str(path), "--files")
    return path


@needs_client
def test_what_was_there_is_there_again_on_another_machine(first: Machine, archive: Path, machine: Machines) -> None:
    second = machine("second")

    restored = second.succeed("restore", str(archive))

    assert "Restored the backup of " in restored
    assert "Warning" not in restored
    assert second.shown() == first.shown()
    assert len(second.shown()["stations"]) == 50  # type: ignore[arg-type]
    with second.entered():
        assert User.objects.get().check_password(PASSWORD)
    for kept in ("secret-key", "ftp-password", "http-password", "ca/root.key"):
        assert (second.data_dir / kept).read_bytes() == (first.data_dir / kept).read_bytes()
        assert (second.data_dir / kept).stat().st_mode & 0o777 == 0o600
    assert (second.files_dir / LOG).read_bytes() == (first.files_dir / LOG).read_bytes()
    hidden = [*second.files_dir.rglob(".*"), *second.data_dir.rglob(".*")]
    assert not hidden, "something half done is left"


@needs_client
def test_a_backup_is_for_its_owner_alone(first: Machine) -> None:
    path = first.folder / "backups/a.tar.gz"

    told = first.succeed("backup", str(path))

    assert path.stat().st_mode & 0o777 == 0o600
    assert f"{path}: {path.stat().st_size:,} bytes. It holds secrets" in told
    assert list(path.parent.iterdir()) == [path]


@needs_client
def test_files_stay_out_unless_they_are_asked_for(first: Machine) -> None:
    first.succeed("backup", str(first.folder / "a.tar.gz"))

    with tarfile.open(first.folder / "a.tar.gz") as members:
        names = members.getnames()
    assert names[:2] == ["manifest.json", "database"]
    assert not [name for name in names if name.startswith("files")]


@needs_client
def test_make_backs_up_and_restores_so_that_tokens_stay_valid(first: Machine, machine: Machines) -> None:
    token = first.run(sys.executable, "-c", START + MAKE_TOKEN)
    # The virtual environment is there.
    make = ("make", "-o", ".venv/.installed", f"RUN={sys.executable}", f"FILE={first.folder}/b.tar.gz")
    second = machine("second")

    told = first.run(*make, "backup", "FILES=1")
    second.run(*make, "restore")

    assert "It holds secrets" in told
    assert second.run(sys.executable, "-c", START + READ_TOKEN, token) == "admin"
    assert second.shown() == first.shown()
    assert (second.files_dir / LOG).exists()


@needs_client
def test_make_backs_up_and_restores_containers_through_docker(first: Machine, machine: Machines) -> None:
    programs = first.folder / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER, "utf-8")
    (programs / "docker").chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    file = first.folder / "backups/b.tar.gz"
    make = ("make", "COMPOSE=docker-compose-prod.yml", f"FILE={file}")
    second = machine("second")

    told = first.run(*make, "backup", PATH=path)
    second.run(*make, "restore", PATH=path)

    assert f"{file}; keep .env-docker with it" in told
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert second.shown() == first.shown()


@needs_client
def test_a_backup_holds_one_moment_while_the_platform_writes(first: Machine, machine: Machines) -> None:
    path = first.folder / "a.tar.gz"
    second = machine("second")
    stop, begun = threading.Event(), threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            # Both or none.
            with transaction.atomic():
                ChargePoint.objects.create(chargepoint_id=f"new {written}")
                IdTag.objects.create(id_token=f"new {written}")
            written += 1
            if written == 20:
                begun.set()
        connection.close()

    with first.entered():
        writer = threading.Thread(target=write)
        writer.start()
        assert begun.wait(30)
        backup.make(path, files=False, timeout=30)
        stop.set()
        writer.join()
    second.succeed("restore", str(path))

    with second.entered():
        tags, stations = IdTag.objects.count() - 1, ChargePoint.objects.count() - 50
    assert tags == stations
    assert 20 <= tags <= written


@needs_client
def test_a_database_with_something_in_it_is_replaced_only_by_force_and_kept(first: Machine, archive: Path) -> None:
    before = first.shown()
    with first.entered():
        ChargePoint.objects.create(chargepoint_id="since then")
    since = first.shown()

    assert "there is something in the database. FORCE=1 (--force) replaces it" in first.refusal("restore", str(archive))
    assert first.shown() == since
    told = first.succeed("restore", "--force", str(archive))

    assert first.shown() == before
    (kept,) = first.data_dir.glob("before-restore-*.tar.gz")
    assert f"What was in the database before is in {kept}." in told
    first.succeed("restore", "--force", str(kept))
    assert first.shown() == since


@needs_client
def test_a_database_that_was_only_prepared_counts_as_empty(first: Machine, archive: Path) -> None:
    before = first.shown()
    with first.entered():
        for model in (User, ChargePoint, IdTag):
            model.objects.all().delete()

    first.succeed("restore", str(archive))

    assert first.shown() == before
    assert not list(first.data_dir.glob("before-restore-*"))


@needs_client
def test_a_backup_of_an_older_release_is_brought_up_to_date(first: Machine, machine: Machines) -> None:
    with first.entered():
        before = set(connection.introspection.table_names())
        call_command("migrate", "tasks", "zero", verbosity=0)
        assert set(connection.introspection.table_names()) < before
    path = first.folder / "older.tar.gz"
    first.succeed("backup", str(path))
    second = machine("second")

    second.succeed("restore", str(path))

    with second.entered():
        assert set(connection.introspection.table_names()) == before


@needs_client
def test_a_running_platform_is_left_alone(first: Machine, archive: Path) -> None:
    before = first.shown()

    with (first.data_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        refusal = first.refusal("restore", "--force", str(archive))

    assert "another copy (process 4711) is running" in refusal
    assert first.shown() == before


@needs_client
@pytest.mark.skipif(not POSTGRESQL, reason="SQLite knows no connections; its platform holds the lock")
def test_a_database_that_somebody_is_connected_to_is_left_alone(first: Machine, archive: Path) -> None:
    connected = psycopg2.connect(server_url(first.database), application_name="csms-1")

    refusal = first.refusal("restore", "--force", str(archive))
    connected.close()

    assert "the database is in use by csms-1 at 127.0.0.1. Stop the platform" in refusal


@needs_client
@pytest.mark.skipif(not POSTGRESQL, reason="SQLite copies a file in one transaction of its own")
def test_a_restore_that_fails_midway_changes_nothing(
    first: Machine, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = first.shown()
    # All tables are gone by then.
    monkeypatch.setattr(dumps, "EMPTY_SCHEMA", f"{dumps.EMPTY_SCHEMA} SELECT 1 / 0;")

    assert "division by zero" in first.refusal("restore", "--force", str(archive))
    assert first.shown() == before


@needs_client
def test_an_archive_that_is_not_whole_changes_nothing(first: Machine, archive: Path) -> None:
    content = archive.read_bytes()
    before = first.shown()
    secret = (first.data_dir / "secret-key").read_bytes()
    checksum = bytearray(content)
    checksum[-8] ^= 1

    for broken in (content[: len(content) // 2], content[:-4], bytes(checksum), b"", b"no archive at all" * 100):
        archive.write_bytes(broken)
        assert "the archive cannot be read" in first.refusal("restore", "--force", str(archive))

    assert first.shown() == before
    assert (first.data_dir / "secret-key").read_bytes() == secret
    assert not list(first.data_dir.glob("before-restore-*"))


Change = Callable[[str, bytes], tuple[str, bytes]]


def changed(archive: Path, change: Change) -> str:
    """Return the path of an archive whose members are not what they were."""
    path = archive.with_name("changed.tar.gz")
    with tarfile.open(archive) as source, tarfile.open(path, mode="w:gz") as target:
        for member in source:
            file = source.extractfile(member)
            assert file
            member.name, content = change(member.name, file.read())
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    return str(path)


def with_manifest(**values: object) -> Change:
    def change(name: str, content: bytes) -> tuple[str, bytes]:
        if name == "manifest.json":
            content = json.dumps(json.loads(content) | values).encode()
        return name, content

    return change


def renamed(old: str, new: str) -> Change:
    return lambda name, content: (new if name == old else name, content)


@needs_client
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            with_manifest(migrations=["chargers.9999_x"], version="9.0"),
            "is of release 9.0, whose database this release",
        ),
        (
            with_manifest(engine="sqlite" if POSTGRESQL else "postgresql"),
            "Set OV2XMP_DATABASE_URL to a database of the",
        ),
        (with_manifest(format=2), "has format 2"),
        (with_manifest(surprise=1), "manifest.json cannot be read"),
        (renamed("manifest.json", "readme"), "does not begin with manifest.json"),
        (renamed("database", "data/ca/database"), "there is no database in it"),
        *[
            (renamed("data/secret-key", name), "has no place in one")
            for name in (
                "data/../../evil",
                "/etc/evil",
                "evil",
                "data/db.sqlite3",
                "data/ca/../../evil",
                "files/../evil",
            )
        ],
        (lambda name, content: (name, content[: len(content) // 3] if name == "database" else content), ""),
    ],
)
def test_an_archive_that_does_not_fit_is_refused_with_the_reason(
    first: Machine, archive: Path, change: Change, reason: str
) -> None:
    before = first.shown()

    assert reason in first.refusal("restore", "--force", changed(archive, change))
    assert not list(first.folder.parent.rglob("evil"))
    assert first.shown() == before


@needs_client
def test_an_archive_with_a_link_is_refused(first: Machine, archive: Path) -> None:
    path = archive.with_name("changed.tar.gz")
    with tarfile.open(archive) as source, tarfile.open(path, mode="w:gz") as target:
        for member in source:
            target.addfile(member, source.extractfile(member))
        link = tarfile.TarInfo("files/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        target.addfile(link)

    assert "files/link is no file" in first.refusal("restore", "--force", str(path))


@needs_client
def test_a_file_that_is_there_is_not_overwritten(first: Machine) -> None:
    path = first.folder / "a.tar.gz"
    path.write_text("mine", "utf-8")

    assert f"{path} exists. Name another file." in first.refusal("backup", str(path))
    assert path.read_text("utf-8") == "mine"
    assert sorted(each.name for each in first.folder.iterdir()) == ["a.tar.gz", "data", "files"]


@needs_client
def test_another_secret_key_than_the_backups_is_told(
    archive: Path, machine: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = machine("second")
    output = io.StringIO()
    with second.entered():
        monkeypatch.setenv("OV2XMP_SECRET_KEY", "another one" * 3)
        call_command("restore", str(archive), stdout=output, stderr=output)

    assert "Warning: the secret key is not what it was" in output.getvalue()


@needs_client
def test_a_backup_does_not_hold_a_secret_key_that_came_from_elsewhere(
    first: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = first.folder / "a.tar.gz"
    (first.data_dir / "secret-key").unlink()
    monkeypatch.setattr(settings, "SECRET_KEY", "hunter2-hunter2")

    first.succeed("backup", str(path))

    assert b"hunter2" not in gzip.decompress(path.read_bytes())


@pytest.mark.skipif(not POSTGRESQL, reason="SQLite needs no client")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("", "pg_dump is not installed. Install PostgreSQL's client"),
        ("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n", "pg_dump 9 is older than the server"),
    ],
)
def test_a_client_that_is_missing_or_too_old_is_told(
    first: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if script:
        (programs / "pg_dump").write_text(script, "utf-8")
        (programs / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}")

    assert reason in first.refusal("backup", str(tmp_path / "a.tar.gz"))
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_restore_needs_a_file(first: Machine) -> None:
    assert "cannot read missing: No such file" in first.refusal("restore", "missing")


def test_what_a_killed_backup_left_is_thrown_away_after_a_day(first: Machine) -> None:
    left, recent = (first.data_dir / f"{backup.STAGING}{name}" for name in ("left", "recent"))
    for folder in (left, recent):
        folder.mkdir()
        (folder / "database").write_text("half", "utf-8")
    os.utime(left, (0, 0))

    with backup.staging(first.data_dir):
        assert not left.exists()
        assert recent.exists()
