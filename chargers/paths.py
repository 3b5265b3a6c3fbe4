"""Where files lie on the platform's own file server, below its root."""

import re

MAX_NAME = 100
# Letters of other alphabets are no trouble on disk, and some in the URLs that stations read.
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def safe_name(name: str) -> str:
    """Make a name that a station gave fit for a path; it may hold colons and slashes, or nothing at all (FW-04)."""
    return _UNSAFE.sub("_", name).lstrip(".")[:MAX_NAME] or "_"


def log_folder(station: str, job_id: int) -> str:
    return f"logs/{safe_name(station)}/{job_id}/"


def firmware_file(job_id: int) -> str:
    return f"firmware/{job_id}/firmware.bin"
