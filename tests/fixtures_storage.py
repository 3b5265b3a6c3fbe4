"""A database to copy, for the tests that run the platform's own processes."""

from collections.abc import Iterator

import pytest

from tests.e2e.storage import Template, prepared


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Yield a database with its tables and an administrator."""
    with prepared(tmp_path_factory.mktemp("template")) as made:
        yield made
