"""Why a file cannot be stored or read; each text is for the client.

FileError
├── Missing          there is no such file or folder
├── InTheWay         a file is where a folder must be, or a folder where a file must be
├── PathTooDeep      more folders than any client needs
├── TooLarge         larger than an upload may be
├── NoSpace          the disk is full, or would be
└── NotResumable     there is nothing to continue at that place
"""


class FileError(Exception):
    """A file cannot be stored or read."""


class Missing(FileError):
    """There is no such file or folder."""


class InTheWay(FileError):
    """A file is where a folder must be, or a folder where a file must be."""


class PathTooDeep(FileError):
    """A path has more folders than any client needs."""


class TooLarge(FileError):
    """An upload is larger than it may be."""


class NoSpace(FileError):
    """The disk is full, or would be with the upload."""


class NotResumable(FileError):
    """There is no interrupted upload that goes on at that place."""
