"""What the tests of the habits of real stations share."""

from datetime import UTC, datetime

import pytest


@pytest.fixture(autouse=True)
def present(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a module's NOW be the time of each test: a long run must not make its stations late."""
    monkeypatch.setattr(request.module, "NOW", datetime.now(UTC).replace(microsecond=0), raising=False)
