"""Empty the database fast between tests."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management.commands import flush
from django.db.backends.base.base import BaseDatabaseWrapper

# What migrating leaves there and no test changes.
KEPT = frozenset({"auth_group", "auth_group_permissions", "auth_permission", "django_content_type"})


def delete_rows(style: Any, connection: BaseDatabaseWrapper, **options: Any) -> list[str]:
    names = set(connection.introspection.django_table_names(include_views=False)) - KEPT
    tables = {name: connection.ops.quote_name(name) for name in sorted(names)}
    # Asked in one go: most tests fill a few tables of many.
    filled = " UNION ALL ".join(
        f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {table})" for name, table in tables.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(filled)
        return [f"DELETE FROM {tables[name]}" for (name,) in cursor.fetchall()]


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    """Delete the rows that a test left, and no more.

    Django's own way takes a second a test on PostgreSQL: TRUNCATE makes new files for every
    table, and permissions and groups are made anew.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", delete_rows)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args, **options: None)
        yield
