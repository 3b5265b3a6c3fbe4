"""The folder of files as FTP clients see it.

Stations are given ``ftp://<account>@<host>/files/logs/<station>/<id>/``. RFC 1738 reads the path
from the login directory, many stations from the root, and some leave out parts of it. Both are one
directory here, and ``files`` at the beginning of a path means it again, so all end in the same folder.
"""

import os
from pathlib import Path
from typing import Any

from pyftpdlib.exceptions import FilesystemError
from pyftpdlib.filesystems import AbstractedFS

from filestore.errors import InTheWay, Missing, NotResumable
from filestore.folder import Folder, Upload
from filestore.names import resolve

PREFIX = "files"


class StationFiles(AbstractedFS):
    """What pyftpdlib asks of a file system; its paths are absolute ones below the folder's root."""

    folder: Folder
    # Whether what has come of an interrupted upload is kept.
    resumable: bool

    def __init__(self, root: str, cmd_channel: Any) -> None:
        super().__init__(root, cmd_channel)
        self.cwd = "/"

    # Paths

    def ftp2fs(self, ftppath: str) -> str:
        """Return where a path as a client wrote it would be.

        Raises PathTooDeep.
        """
        names = resolve((ftppath if ftppath.startswith("/") else f"{self.cwd}/{ftppath}").replace("\0", "_").split("/"))
        return str(self.folder.root.joinpath(*(names[1:] if names[:1] == [PREFIX] else names)))

    def fs2ftp(self, fspath: str) -> str:
        return f"/{'/'.join(self._names(fspath))}"

    def validpath(self, path: str) -> bool:
        """Let every path pass: ftp2fs() leads nowhere else, and what is hidden is neither found nor made."""
        return True

    def realpath(self, path: str) -> str:
        return path

    def _names(self, path: str) -> tuple[str, ...]:
        return Path(path).relative_to(self.folder.root).parts

    def _find(self, path: str) -> Path:
        """Return where something is.

        Raises FileNotFoundError.
        """
        try:
            return self.folder.locate(self._names(path))
        except Missing as error:
            raise FileNotFoundError(2, "No such file or directory") from error

    # Reading

    def chdir(self, path: str) -> None:
        """Go to a folder, also to one that an upload will make: many clients change to it before they send."""
        if self.isfile(path):
            raise FilesystemError("Not a directory")
        self.cwd = self.fs2ftp(path)

    def isdir(self, path: str) -> bool:
        try:
            return self._find(path).is_dir()
        except FileNotFoundError:
            return self.fs2ftp(path) == self.cwd

    def isfile(self, path: str) -> bool:
        try:
            return self._find(path).is_file()
        except FileNotFoundError:
            return False

    def listdir(self, path: str) -> list[str]:
        try:
            return [name for name in os.listdir(self._find(path)) if self.folder.shows([name])]
        except FileNotFoundError:
            return []

    def stat(self, path: str) -> os.stat_result:
        return self._find(path).stat()

    # Where a symbolic link leads is nobody's business.
    lstat = stat
    readlink = None

    def getsize(self, path: str) -> int:
        return self.stat(path).st_size

    def getmtime(self, path: str) -> float:
        return self.stat(path).st_mtime

    def lexists(self, path: str) -> bool:
        return self.isfile(path) or (self.isdir(path) and self.fs2ftp(path) != "/")

    def get_user_by_uid(self, uid: int) -> str:
        return "ftp"

    def get_group_by_gid(self, gid: int) -> str:
        return "ftp"

    def open(self, filename: str, mode: str) -> Any:
        if mode != "rb":
            raise FilesystemError("Files are written by uploads only")
        return self._find(filename).open("rb")

    # Writing

    def receive(self, path: str, *, append: bool, position: int) -> Upload:
        """Begin an upload, or go on with an interrupted one at `position`, or at its end with `append`.

        Appending to a file that is whole begins another beside it, since no file is changed.

        Raises FileError.
        """
        names = self._names(path)
        if not names:
            raise InTheWay("This is the folder of files, not a file.")
        if position:
            return self.folder.resume(names, position)
        if append:
            try:
                return self.folder.resume(names)
            except NotResumable:
                pass
        return self.folder.begin(names, resumable=self.resumable)

    def interrupted_size(self, path: str) -> int | None:
        """Return what has come of an interrupted upload, for a client that wants to go on with it."""
        names = self._names(path)
        return self.folder.interrupted_size(names) if names else None

    def mkdir(self, path: str) -> None:
        self.folder.make_folder(self._names(path))

    def rmdir(self, path: str) -> None:
        os.rmdir(self._find(path))

    def remove(self, path: str) -> None:
        os.remove(self._find(path))

    def rename(self, src: str, dst: str) -> None:
        self.folder.rename(self._find(src), self._names(dst))
