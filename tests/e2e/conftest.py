"""The platform as its users meet it: the launcher and every process it starts."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.launcher import LAUNCHER, Platform, shared_platform
from tests.e2e.storage import Template, own_storage

StartPlatform = Callable[..., Platform]


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that all tests share."""
    with own_storage() as storage, shared_platform(tmp_path_factory.mktemp("platform") / "var", storage) as platform:
        yield platform


@pytest.fixture
async def operator(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the REST API that does not hold up the stations of the test."""
    headers = {"Authorization": platform.client.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=platform.web, headers=headers, timeout=40, trust_env=False) as client:
        yield client


@pytest.fixture
def start_platform(tmp_path: Path, template: Template) -> Iterator[StartPlatform]:
    """Yield a function that starts a platform of the test's own, but does not wait for it.

    Platforms on one `data_dir` share their database. It has only its tables on the `first` start, else what a first
    start leaves.
    """
    storages: dict[Path, dict[str, str]] = {}
    platforms: list[Platform] = []
    with ExitStack() as stack:

        def start(
            data_dir: str = "var", command: Sequence[str] = LAUNCHER, first: bool = False, **settings: str
        ) -> Platform:
            path = tmp_path / data_dir
            if path not in storages:
                storages[path] = stack.enter_context(template.copied(path, admin=not first))
            platforms.append(Platform(path, storages[path] | settings, command))
            return platforms[-1]

        try:
            yield start
        finally:
            for platform in platforms:
                platform.kill()
