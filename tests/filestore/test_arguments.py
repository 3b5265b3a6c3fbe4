"""The platform's processes take no arguments, and say so."""

import subprocess
import sys

import pytest

from tests.e2e.launcher import BASE_DIR


def run(module: str, argument: str) -> subprocess.CompletedProcess[str]:
    # Without any setting: whoever asks for help may have none yet.
    command = [sys.executable, "-m", module, argument]
    return subprocess.run(command, cwd=BASE_DIR, env={}, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ["csms", "ftp_server", "http_file_server", "ov2xmp.embedded"])
def test_help_explains_a_process_and_an_unknown_argument_is_refused_before_anything_starts(module: str) -> None:
    told = run(module, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"usage: python -m {module} [-h]")
    assert "docs/settings.md" in told.stdout
    refused = run(module, "--port=1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "unrecognized arguments: --port=1" in refused.stderr
