"""What the tests of the API share."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks import updates

# What listeners were told: topic, event and data.
News = list[tuple[str, str, dict[str, Any]]]
Listen = Callable[[], AbstractContextManager[News]]


@pytest.fixture(autouse=True)
def own_data_dir(data_dir: Path) -> None:
    """Keep the certificate authority of the tests apart from one in use."""


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> Listen:
    """Return a context manager that gathers what listeners are told of what happens inside."""

    @contextmanager
    def listen() -> Iterator[News]:
        news: News = []

        async def send(batch: updates.Batch) -> None:
            for topic, frames in batch:
                decoded = [json.loads(frame) for _, frame in frames]
                news.extend((topic, each["event"], each["data"]) for each in decoded)

        monkeypatch.setattr(updates, "send", send)
        with django_capture_on_commit_callbacks(execute=True):
            yield news
            assert not news, "told before the commit"

    return listen
