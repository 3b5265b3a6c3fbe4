"""Databases and redis keys of a platform's own on the servers that the environment names."""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg2
import redis


@contextmanager
def own_storage() -> Iterator[dict[str, str]]:
    """Yield the settings of an empty database and a redis prefix; drop both afterwards.

    Without OV2XMP_DATABASE_URL there are none: the platform then embeds both.
    """
    url = os.environ.get("OV2XMP_DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield {}
        return
    name = f"ov2xmp_e2e_{secrets.token_hex(6)}"
    execute(url, f"CREATE DATABASE {name}")
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
