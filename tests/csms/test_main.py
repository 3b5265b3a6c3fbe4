"""The process of the OCPP server."""

import resource
import subprocess
import sys

from tests.e2e.launcher import BASE_DIR

FEW = 256


def test_a_csms_may_open_as_many_files_as_the_system_allows_it() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    script = (
        "import resource, csms.__main__ as main; main.allow_files(); print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=BASE_DIR,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, most)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str((most, most))
