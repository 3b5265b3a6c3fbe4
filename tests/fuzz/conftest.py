"""The processes that requests are sent to."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.csms.conftest import server as server
from tests.e2e.parts import Parts
from tests.e2e.storage import Template


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, template: Template, redis_url: str) -> Iterator[Parts]:
    """The web process, on a database of its own."""
    data_dir: Path = tmp_path_factory.mktemp("web")
    settings = {
        "OV2XMP_REDIS_URL": redis_url,
        "OV2XMP_REDIS_PREFIX": f"fuzzing-{secrets.token_hex(4)}",
        # Who guesses is answered as who has not guessed before.
        "OV2XMP_LOGIN_MAX_FAILED_ATTEMPTS": "0",
        "OV2XMP_LOGIN_MAX_FAILED_PER_ADDRESS": "0",
        # Nobody answers commands.
        "OV2XMP_OCPP_TIMEOUT": "0.1",
    }
    with template.copied(data_dir) as storage:
        parts = Parts(data_dir, **{**settings, **storage})
        try:
            parts.start("web")
            yield parts
            assert parts.stop("web") == 0, parts.text()
        finally:
            parts.kill_all()
