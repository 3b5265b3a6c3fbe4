"""A migrated database to copy, for the tests of this process and for those that run the platform's own processes."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from tests.e2e.storage import SQLITE, Template, prepared


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Template]:
    """Yield a database with its tables and an administrator, which the workers of a run share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "template"
    folder.mkdir(exist_ok=True)
    with prepared(folder) as made:
        yield made


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_blocker: DjangoDbBlocker,
    template: Template,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Give the process a copy of the database that was migrated once.

    SQLite's is in a file: threads that share one in memory meet locks that do not wait. Neither database waits for
    the disk: what a test stores need not survive a power cut.
    """
    folder = tmp_path_factory.mktemp("database")
    with template.copied(folder, admin=False) as storage, pytest.MonkeyPatch.context() as patch:
        options = connection.settings_dict["OPTIONS"]
        if storage:
            name = urlsplit(storage["OV2XMP_DATABASE_URL"]).path.strip("/")
        else:
            name = str(folder / SQLITE)
            patch.setitem(options, "init_command", options["init_command"] + " PRAGMA synchronous=OFF;")
        patch.setitem(connection.settings_dict, "NAME", name)
        yield
        with django_db_blocker.unblock():
            connection.close()
