"""Databases and redis keys of a platform's own on the servers that the environment names."""

import os
import secrets
import shutil
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


@dataclass(frozen=True)
class Template:
    """What a first start leaves: tables and the user admin, in the database of `storage`, else a file in `data_dir`."""

    data_dir: Path
    storage: dict[str, str]

    @contextmanager
    def copied(self, data_dir: Path) -> Iterator[dict[str, str]]:
        """Yield the settings of a copy for a platform with this data directory, as `own_storage` does."""
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data_dir / "admin-password").write_text(PASSWORD, "utf-8")
        if not self.storage:
            shutil.copy(self.data_dir / SQLITE, data_dir / SQLITE)
        name = urlsplit(self.storage.get("OV2XMP_DATABASE_URL", "")).path.strip("/")
        with own_storage(template=name) as storage:
            yield storage


@contextmanager
def prepared(data_dir: Path) -> Iterator[Template]:
    """Make a database to copy, which takes some seconds; drop it afterwards."""
    with own_storage() as storage:
        environment = without_settings() | storage | {"OV2XMP_DATA_DIR": str(data_dir)}
        subprocess.run(
            [sys.executable, "-c", PREPARE], cwd=BASE_DIR, env=environment, check=True, timeout=PREPARE_TIMEOUT
        )
        yield Template(data_dir, storage)


@contextmanager
def own_storage(template: str = "") -> Iterator[dict[str, str]]:
    """Yield the settings of a database and a redis prefix; drop both afterwards.

    The database is a copy of `template`, else empty. Without OV2XMP_DATABASE_URL there are none: the platform
    then embeds both.
    """
    url = os.environ.get("OV2XMP_DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield {}
        return
    name = f"ov2xmp_e2e_{secrets.token_hex(6)}"
    execute(url, f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}")
    # What a test stores need not survive a power cut.
    execute(url, f"ALTER DATABASE {name} SET synchronous_commit TO off")
    settings = {"OV2XMP_DATABASE_URL": urlsplit(url)._replace(path=f"/{name}").geturl()}
    redis_url = os.environ.get("OV2XMP_REDIS_URL")
    if redis_url:
        settings |= {"OV2XMP_REDIS_URL": redis_url, "OV2XMP_REDIS_PREFIX": name}
    try:
        yield settings
    finally:
        execute(url, f"DROP DATABASE {name} WITH (FORCE)")
        if redis_url:
            delete_keys(redis_url, name)


def execute(url: str, statement: str) -> None:
    """Run a statement that no transaction may hold, in the database that every server has."""
    with closing(psycopg2.connect(urlsplit(url)._replace(path="/postgres").geturl())) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def delete_keys(url: str, prefix: str) -> None:
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(f"{prefix}:*"):
            client.delete(key)
