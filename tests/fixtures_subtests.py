"""Many cases in one test, for those that share a costly beginning."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Subtests:
    """The cases of a test: each is tried, whatever has become of those before."""

    def __init__(self) -> None:
        self.failures: list[AssertionError] = []

    @contextmanager
    def test(self, name: str) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            error.add_note(f"in the case {name}")
            self.failures.append(error)


@pytest.fixture
def subtests() -> Iterator[Subtests]:
    """Fail at the end with all cases that failed; the reports of pytest's own make pytest-xdist lose count."""
    cases = Subtests()
    yield cases
    if cases.failures:
        raise ExceptionGroup("cases that failed", cases.failures)
