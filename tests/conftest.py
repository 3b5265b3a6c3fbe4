"""What every test may use."""

import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from channels.layers import channel_layers
from django.contrib.auth.models import Group, User
from django.db import connections
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken
from whitenoise.middleware import WhiteNoiseMiddleware
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tasks import broker
from tasks.roles import Role
from tasks.tasks import relay_command
from tests.certificates import Authority

TESTS = Path(__file__).parent
LONG = ("conformance", "e2e", "faults", "ov2xmp")
# Modules whose tests ask one platform.
SHARING = ("tests/conformance/", "tests/e2e/test_(commands|embedded|files|foreign_station)")

pytest_plugins = ["tests.fixtures_flush", "tests.fixtures_redis", "tests.fixtures_storage", "tests.fixtures_subtests"]


def pytest_xdist_auto_num_workers() -> int:
    """Run half as many tests again as there are cores: many of them wait for other processes, or for a clock."""
    return (os.cpu_count() or 1) * 3 // 2


class Scheduler(LoadScopeScheduling):
    """Give a module to one worker, and all modules that share a platform to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return next((name for name in SHARING if re.match(name, module)), module)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    return Scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that run the whole platform: a long one at the end would run alone."""
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] not in LONG)


def pytest_collection_finish() -> None:
    """Take what was imported and collected, which stays, out of garbage collection, which would go through it often."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def static_files_found_once() -> Iterator[None]:
    """Look for the static files once: each test client loads the middleware anew, and half its time went there."""
    found: dict[str, Any] = {}
    find = WhiteNoiseMiddleware.add_files_from_finders

    def remember(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            find(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", remember)
        yield


@pytest.fixture
def redis_settings(redis_url: str, settings: Settings) -> Iterator[str]:
    """Point the platform at the tests' redis, under a prefix that no other test uses."""
    prefix = f"test-{uuid4().hex[:8]}"
    settings.REDIS_URL = redis_url
    settings.REDIS_PREFIX = prefix
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url], "prefix": f"{prefix}:live:"},
        }
    }
    channel_layers.backends = {}
    broker.client.cache_clear()
    yield prefix
    broker.client().close()
    broker.client.cache_clear()
    channel_layers.backends = {}


@pytest.fixture
def short_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close what threads of the server open: the test's database could not be dropped at the end."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of the operator's."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """An empty data directory."""
    settings.DATA_DIR = tmp_path / "data"
    return tmp_path / "data"


@pytest.fixture
def files_dir(settings: Settings, tmp_path: Path) -> Path:
    """An empty folder of the file servers."""
    settings.FILES_DIR, settings.FILES_MIN_FREE = tmp_path / "files", 0
    settings.FILES_DIR.mkdir()
    return tmp_path / "files"


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the ids of the commands that the worker is given, which it does not relay."""
    ids: list[str] = []
    monkeypatch.setattr(relay_command, "apply_async", lambda kwargs, retry: ids.append(kwargs["command_id"]))
    return ids


def person(name: str, role: Role | None) -> User:
    user = User.objects.create(username=name)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def client_of(user: User) -> APIClient:
    """Return a client that presents a user's access token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return client


@pytest.fixture
def viewing_user(db: None) -> User:
    """A viewer."""
    return person("viewing_user", Role.VIEWER)


@pytest.fixture
def operating_user(db: None) -> User:
    """An operator."""
    return person("operating_user", Role.OPERATOR)


@pytest.fixture
def administrating_user(db: None) -> User:
    """An administrator."""
    return person("administrating_user", Role.ADMINISTRATOR)


@pytest.fixture
def roleless_user(db: None) -> User:
    """Somebody without a role."""
    return person("roleless_user", None)


@pytest.fixture
def viewer(viewing_user: User) -> APIClient:
    return client_of(viewing_user)


@pytest.fixture
def operator(operating_user: User) -> APIClient:
    return client_of(operating_user)


@pytest.fixture
def administrator(administrating_user: User) -> APIClient:
    return client_of(administrating_user)


@pytest.fixture
def anonymous(db: None) -> APIClient:
    return APIClient()
