"""The start of File Browser, with a program in its place that tells how it was called."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.deployment.compose import ROOT

PROGRAM = """#!/bin/sh
if [ "$1" = hash ]; then echo "hash of $2"; exit; fi
echo "called with $*, user ${FB_USERNAME:-}, password ${FB_PASSWORD:-}, told ${FILEBROWSER_ADMIN_PASSWORD:-nothing}"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    (tmp_path / "filebrowser").write_text(PROGRAM, "utf-8")
    (tmp_path / "filebrowser").chmod(0o755)
    return tmp_path


def start(programs: Path, database: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", ROOT / "filebrowser/start.sh"],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "FB_DATABASE": str(database), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_the_first_start_makes_the_administrator(programs: Path, tmp_path: Path) -> None:
    done = start(programs, tmp_path / "missing.db", FILEBROWSER_ADMIN_PASSWORD="pw")

    assert done.stdout == (
        "called with --config /etc/filebrowser/filebrowser.json, user admin, password hash of pw, told nothing\n"
    )


def test_a_later_start_leaves_the_accounts_alone(programs: Path, tmp_path: Path) -> None:
    database = tmp_path / "filebrowser.db"
    database.touch()

    done = start(programs, database, FILEBROWSER_ADMIN_PASSWORD="pw")

    assert done.stdout == "called with --config /etc/filebrowser/filebrowser.json, user , password , told nothing\n"


def test_it_does_not_start_with_a_password_that_it_makes_up(programs: Path, tmp_path: Path) -> None:
    done = start(programs, tmp_path / "missing.db")

    assert done.returncode != 0
    assert done.stdout == ""
    assert "run make env" in done.stderr
