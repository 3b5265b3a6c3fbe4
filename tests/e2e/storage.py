"""Databases and redis keys of a platform's own on the servers that the environment names."""

import fcntl
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import redis

from tests.e2e.launcher import BASE_DIR, without_settings

# Of the user admin in a copied database.
PASSWORD = "correct horse battery staple"
PREPARE_TIMEOUT = 60
PREPARE = f"""
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "ov2xmp.settings"
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
User.objects.create_superuser("admin", password="{PASSWORD}")
"""
SQLITE = "db.sqlite3"
DELETE_USERS = "DELETE FROM auth_user"


@dataclass(frozen=True)
class Template:
    """What a first start leaves: tables and the user admin, in the database `url`, else a file in `data_dir`."""

    data_dir: Path
    url: str

    @contextmanager
    def copied(self, data_dir: Path, admin: bool = True) -> Iterator[dict[str, str]]:
        """Yield the settings of a copy for a platform with this data directory, as `own_storage` does.

        Without the `admin` it is what migrating leaves.
        """
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.url:
            shutil.copy(self.data_dir / SQLITE, data_dir / SQLITE)
        with own_storage(template=urlsplit(self.url).path.strip("/")) as storage:
            if admin:
                (data_dir / "admin-password").write_text(PASSWORD, "utf-8")
            elif self.url:
                execute(storage["OV2XMP_DATABASE_URL"], DELETE_USERS)
            else:
                with closing(sqlite3.connect(data_dir / SQLITE)) as connection, connection:
                    connection.execute(DELETE_USERS)
            yield storage


@contextmanager
def prepared(folder: Path) -> Iterator[Template]:
    """Yield the database to copy of all who share the folder: the first makes it, the last one drops it."""
    made = folder / "made"
    with (folder / "users").open("w") as users:
        with locked(folder):
            if not made.exists():
                made.write_text(prepare(folder), "utf-8")
            fcntl.flock(users, fcntl.LOCK_SH)
        url = made.read_text("utf-8")
        try:
            yield Template(folder, url)
        finally:
            with locked(folder):
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                made.unlink()
                if url:
                    drop(url)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(data_dir: Path) -> str:
    """Make a database to copy, which takes some seconds; return its URL, or nothing for a file in `data_dir`."""
    server = postgresql()
    url = create(server) if server else ""
    environment = without_settings() | {"OV2XMP_DATA_DIR": str(data_dir), "OV2XMP_DATABASE_URL": url}
    subprocess.run([sys.executable, "-c", PREPARE], cwd=BASE_DIR, env=environment, check=True, timeout=PREPARE_TIMEOUT)
    return url


@contextmanager
def own_storage(template: str = "") -> Iterator[dict[str, str]]:
    """Yield the settings of a database and a redis prefix; drop both afterwards.

    The database is a copy of `template`, else empty. Without OV2XMP_DATABASE_URL there are none: the platform
    then embeds both.
    """
    server = postgresql()
    if not server:
        yield {}
        return
    url = create(server, template)
    name = urlsplit(url).path.strip("/")
    settings = {"OV2XMP_DATABASE_URL": url}
    redis_url = os.environ.get("OV2XMP_REDIS_URL")
    if redis_url:
        settings |= {"OV2XMP_REDIS_URL": redis_url, "OV2XMP_REDIS_PREFIX": name}
    try:
        yield settings
    finally:
        drop(url)
        if redis_url:
            delete_keys(redis_url, name)


def postgresql() -> str:
    """Return the URL of the PostgreSQL that the environment names."""
    url = os.environ.get("OV2XMP_DATABASE_URL", "")
    return url if url.startswith("postgres") else ""


def create(server: str, template: str = "") -> str:
    """Create a database on a server, a copy of `template` or empty; return its URL."""
    name = f"ov2xmp_e2e_{secrets.token_hex(6)}"
    execute(maintenance(server), f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}")
    # What a test stores need not survive a power cut.
    execute(maintenance(server), f"ALTER DATABASE {name} SET synchronous_commit TO off")
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def drop(url: str) -> None:
    execute(maintenance(url), f"DROP DATABASE {urlsplit(url).path.strip('/')} WITH (FORCE)")


def maintenance(url: str) -> str:
    """Return the URL of the database that every server has."""
    return urlsplit(url)._replace(path="/postgres").geturl()


def execute(url: str, statement: str) -> None:
    """Run a statement that no transaction may hold."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def delete_keys(url: str, prefix: str) -> None:
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(f"{prefix}:*"):
            client.delete(key)
