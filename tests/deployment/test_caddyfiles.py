"""The Caddyfiles as files: style, placeholders, and what they never do. How they behave is in tests/e2e/test_caddy.py."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.caddy import CADDY
from tests.e2e.edge import Caddy, members
from tests.e2e.launcher import BASE_DIR

CADDYFILES = [BASE_DIR / "caddy" / name for name in ("caddyfile-base", "caddyfile-dev", "caddyfile-prod")]
PLACEHOLDER = re.compile(r"\{\$(OV2XMP_\w+)(?::([^}]*))?\}")
ROW = re.compile(r"^\| (`OV2XMP_[^|]*)\|([^|]*)\|", re.MULTILINE)
TIMEOUTS = {"dial_timeout", "expect_continue_timeout", "read_header_timeout", "idle_timeout"}


@pytest.mark.parametrize("path", CADDYFILES, ids=lambda path: path.name)
def test_a_caddyfile_is_formatted_as_caddy_does_it(path: Path) -> None:
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
def test_no_timeout_applies_to_a_connection_that_is_idle(name: str, tmp_path: Path) -> None:
    found = {key: node for node, key in members(Caddy(tmp_path, name).adapted()) if "timeout" in key}
    assert found.keys() <= TIMEOUTS
    # Of connections to servers behind that are kept for the next request; a WebSocket is none of them.
    assert found["idle_timeout"].keys() <= {"idle_timeout"}


def test_file_browser_answers_where_caddy_looks_for_it() -> None:
    config = json.loads((BASE_DIR / "filebrowser/filebrowser.json").read_text("utf-8"))
    text = (BASE_DIR / "caddy/caddyfile-base").read_text("utf-8")
    assert f"import tool {config['baseURL'].removeprefix('/')} {{" in text
    defaults = dict(PLACEHOLDER.findall(text))
    assert defaults["OV2XMP_CADDY_FILEBROWSER"] == f"ov2xmp-filebrowser:{config['port']}"
    assert defaults["OV2XMP_FILES_DIR"] == config["root"]
    # The first account comes from the environment.
    assert not {"username", "password", "noauth"} & config.keys()
