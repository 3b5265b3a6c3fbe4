"""What every test may use."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from channels.layers import channel_layers
from pytest_django.fixtures import Settings

from tasks import broker

pytest_plugins = ["tests.fixtures_redis"]


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
