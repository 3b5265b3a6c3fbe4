"""The Caddyfiles as files: style, placeholders, and what they never do. How they behave is in tests/e2e/test_caddy.py."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.edge import CADDY
from tests.e2e.launcher import BASE_DIR

CADDYFILES = [BASE_DIR / "caddy" / name for name in ("caddyfile-base", "caddyfile-dev", "caddyfile-prod")]
PLACEHOLDER = re.compile(r"\{\$(OV2XMP_\w+)(?::([^}]*))?\}")
ROW = re.compile(r"^\| (`OV2XMP_[^|]*)\|([^|]*)\|", re.MULTILINE)
TIMEOUTS = {"dial_timeout", "expect_continue_timeout", "read_header_timeout", "idle_timeout"}


def adapted(name: str, **settings: str) -> Any:
    """Return a Caddyfile as Caddy understands it."""
    command = [CADDY, "adapt", "--config", BASE_DIR / "caddy" / name, "--adapter", "caddyfile"]
    done = subprocess.run(command, env=settings, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def members(node: Any) -> Iterator[tuple[str, Any]]:
    """Walk through every member of every object."""
    if isinstance(node, dict):
        yield from node.items()
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from members(each)


@pytest.mark.parametrize("path", CADDYFILES, ids=lambda path: path.name)
def test_a_caddyfile_is_formatted_as_caddy_does_it(path: Any) -> None:
    formatted = subprocess.run([CADDY, "fmt", path], capture_output=True, timeout=20, check=False).stdout
    assert formatted.decode() == path.read_text("utf-8")


def test_every_placeholder_is_explained_with_its_default() -> None:
    found: dict[str, set[str]] = {}
    for path in CADDYFILES:
        for name, default in PLACEHOLDER.findall(path.read_text("utf-8")):
            found.setdefault(name, set()).add(default)
    text = (BASE_DIR / "caddy/README.md").read_text("utf-8")
    explained = {}
    for names, defaults in ROW.findall(text):
        each_name = re.findall(r"OV2XMP_\w+", names)
        each_default = defaults.split(", ") if len(each_name) > 1 else [defaults] * len(each_name)
        explained.update(zip(each_name, each_default, strict=True))
    assert found.keys() == explained.keys()
    for name, defaults in found.items():
        if name != "OV2XMP_CADDY_FRONTEND":
            assert all(default in explained[name] for default in defaults), name


@pytest.mark.parametrize("name", ["caddyfile-dev", "caddyfile-prod"])
def test_no_timeout_applies_to_a_connection_that_is_idle(name: str) -> None:
    config = adapted(name)
    timeouts = {key for key, _ in members(config) if "timeout" in key}
    assert timeouts <= TIMEOUTS
    # Of connections that are kept for the next request; a WebSocket is no longer one.
    keep_alive = [value for key, value in members(config) if key == "keep_alive"]
    idle = [each for each in keep_alive if "idle_timeout" in each]
    assert idle == keep_alive != []
