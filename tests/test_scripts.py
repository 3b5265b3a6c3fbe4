"""The scripts that the documents name, which no other test runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = "\n".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
SCRIPTS = sorted(set(re.findall(r"python -m (tests\.(?:bench|faults)[a-z.]*)", DOCUMENTS)))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_a_document_names_explains_itself(name: str) -> None:
    done = subprocess.run([sys.executable, "-m", name, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")


def test_the_documents_name_the_scripts() -> None:
    assert {"tests.bench", "tests.bench.growth", "tests.faults"} <= set(SCRIPTS)
