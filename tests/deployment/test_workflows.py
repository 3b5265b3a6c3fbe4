"""The automation of GitHub."""

import re

import pytest
import yaml

from tests.deployment.compose import (
    ROOT,
    Tree,
    check_schema,
    services,
)
from tests.deployment.dockerfile import dockerfile_of


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [("vendor.github-workflows", ".github/workflows/*.yml"), ("vendor.dependabot", ".github/dependabot.yml")],
)
def test_the_automation_of_github_fits_its_schema(schema: str, pattern: str) -> None:
    files = list(ROOT.glob(pattern))
    assert files
    check_schema(schema, files)


def test_every_image_is_built_by_the_workflow(projects: dict[str, Tree]) -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/images.yml").read_text("utf-8"))
    built = {row["name"]: row["dockerfile"] for row in workflow["jobs"]["image"]["strategy"]["matrix"]["include"]}
    ours = {
        each["image"].removeprefix("ghcr.io/example/").split(":")[0]: str(dockerfile_of(each).path.relative_to(ROOT))
        for _, _, each in services({"prod": projects["prod"]})
        if each["image"].startswith("ghcr.io/example/")
    }
    assert built == ours


def test_actions_are_pinned_by_their_commit() -> None:
    uses = [
        line.strip()
        for path in ROOT.glob(".github/workflows/*.yml")
        for line in path.read_text("utf-8").splitlines()
        if "uses:" in line
    ]
    assert uses
    assert not [line for line in uses if not re.search(r"uses: [\w/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line)]
