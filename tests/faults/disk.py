"""A small disk that can be filled: a tmpfs, which only root may mount."""

import os
import subprocess
from pathlib import Path

SIZE = "2g"


def reason_not() -> str:
    """Say why there can be no disk of our own here; nothing where there can."""
    return "" if os.getuid() == 0 and os.path.exists("/bin/mount") else "only root may mount a disk to fill"


class Disk:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", str(path)], check=True)

    def fill(self) -> None:
        """Leave no room but a page, which is gone at once."""
        while True:
            status = os.statvfs(self.path)
            used = (status.f_blocks - status.f_bfree) * status.f_frsize
            try:
                return self._resize(str(used + status.f_frsize))
            except subprocess.CalledProcessError:
                # Somebody has just taken more.
                continue

    def free(self) -> None:
        self._resize(SIZE)

    def _resize(self, size: str) -> None:
        command = ["mount", "-o", f"remount,size={size}", str(self.path)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)

    def unmount(self) -> None:
        # Lazily: a process that is just being reaped may still hold it.
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
