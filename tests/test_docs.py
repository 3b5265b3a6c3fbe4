"""The documents say what is there."""

import json
import re
from pathlib import Path

import pytest
from django.urls import resolve

from api.commands import read
from api.views import NothingHere

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/*.md")]
LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#)([^)#\s]+)")
# A path, and what is sent there.
REQUEST = re.compile(r"""^\$ api "?([^\s"?]+)\S*(?: -X \w+)?(?: -d '(.*?)')?""", re.DOTALL | re.MULTILINE)
VARIABLE = re.compile(r'"(OV2XMP_\w+)"')
READERS = [
    path
    for package in ("ov2xmp", "filestore", "ftp_server", "http_file_server")
    for path in ROOT.glob(f"{package}/*.py")
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text("utf-8")) if not (document.parent / link).exists()]
    assert not broken


def test_every_request_of_the_walkthrough_has_an_address_and_every_command_a_body_that_fits() -> None:
    requests = REQUEST.findall((ROOT / "docs/walkthrough.md").read_text("utf-8"))
    assert requests
    for path, body in requests:
        view = resolve(f"/api/{path}").func
        assert view.cls is not NothingHere, path
        if path.startswith("ocpp16/"):
            read(view.view_initkwargs["row"], json.loads(body))


def test_every_setting_is_explained() -> None:
    variables = {name for path in READERS for name in VARIABLE.findall(path.read_text("utf-8"))}
    assert variables, "no setting was found at all"
    explained = (ROOT / "docs/settings.md").read_text("utf-8")
    # Variables of one family share a line: `OV2XMP_POSTGRES_DB`, `_USER`, …
    families = {match[1]: match[2] for match in re.finditer(r"`(OV2XMP_[A-Z]+)_\w+`((?:, `_\w+`)+)", explained)}
    unexplained = [
        name
        for name in variables
        if f"`{name}`" not in explained
        and not any(
            name.startswith(f"{start}_") and f"`{name[len(start) :]}`" in rest for start, rest in families.items()
        )
    ]
    assert not unexplained


def test_every_explained_setting_exists() -> None:
    text = "".join(path.read_text("utf-8") for path in [*READERS, *ROOT.glob("tests/**/*.py")])
    explained = set(re.findall(r"`(OV2XMP_\w+)`", (ROOT / "docs/settings.md").read_text("utf-8")))
    assert {name for name in explained if name not in text} <= {"OV2XMP_SECRET_KEY_FILE"}
