import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.compose import ROOT
from tests.deployment.dockerfile import Dockerfile

FILES = [ROOT / "Dockerfile", *sorted(ROOT.glob("*/Dockerfile"))]


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(ROOT)))
def dockerfile(request: pytest.FixtureRequest) -> Dockerfile:
    return Dockerfile(request.param)


def test_there_is_one_for_each_image() -> None:
    assert [str(path.relative_to(ROOT)) for path in FILES] == [
        "Dockerfile",
        "ftp_server/Dockerfile",
        "http_file_server/Dockerfile",
    ]


def test_hadolint_finds_nothing(dockerfile: Dockerfile) -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, dockerfile.path], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_begins_with_a_python_of_a_known_version(dockerfile: Dockerfile) -> None:
    assert set(dockerfile.bases()) == {"python:3.13-slim-trixie"}


def test_it_runs_as_a_user_who_is_nobody(dockerfile: Dockerfile) -> None:
    assert dockerfile.user() == "10001:10001"


def test_it_runs_and_is_looked_after_without_a_shell(dockerfile: Dockerfile) -> None:
    assert dockerfile.health_check()
    (command,) = [rest for name, rest in dockerfile.last_stage() if name == "CMD"]
    assert json.loads(command)


def test_it_installs_what_the_lock_files_name(dockerfile: Dockerfile) -> None:
    installs = [part for run in dockerfile.all("RUN") for part in run.split("&&") if "pip install" in part]
    assert installs
    for install in installs:
        assert "--require-hashes" in install
        assert "--only-binary=:all:" in install
        assert "--requirement" in install


def test_no_build_tool_is_left_in_it(dockerfile: Dockerfile) -> None:
    everything = " ".join(dockerfile.all("RUN"))
    assert not {tool for tool in ("gcc", "build-essential", "python3-dev", "git ") if tool in everything}
    assert "pip uninstall" in " ".join(rest for name, rest in dockerfile.last_stage() if name == "RUN")


def test_the_context_holds_no_secret_no_test_and_no_state() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    let_in = {line[1:] for line in lines if line.startswith("!")}

    assert lines[0] == "*"
    assert not [name for name in let_in if not (ROOT / name).exists()]
    assert not let_in & {"tests", "docs", "var", "backups", "caddy", "elk", "certs", ".git", ".venv"}
    assert {"**/.env*", "**/config.json", "**/__pycache__"} <= set(lines)


def test_the_context_holds_every_package_of_the_platform() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    let_in = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert not {name for name in packages if f"!{name}" not in let_in}


def test_what_differs_at_each_commit_comes_after_what_takes_long(dockerfile: Dockerfile) -> None:
    names = [name for name, _ in dockerfile.last_stage()]
    lasting = max(index for index, name in enumerate(names) if name in ("RUN", "COPY"))
    assert [rest for _, rest in dockerfile.last_stage()[lasting:] if rest.startswith("REVISION=")]
    assert names.index("LABEL") > lasting
