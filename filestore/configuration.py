"""Settings that both file servers share; docs/settings.md explains each."""

from dataclasses import dataclass
from pathlib import Path

from filestore.environment import SettingError, data_dir, env, env_int, env_number
from filestore.folder import Folder
from filestore.logins import FailedLogins

# Where this machine reaches a server that listens on every address.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not bound to


def bind() -> str:
    """Return the address that every server listens on."""
    return env("OV2XMP_BIND", "127.0.0.1")


def loopback(address: str) -> str:
    """Return where this machine reaches a server that listens on `address`."""
    return LOOPBACK.get(address, address)


def ftp_port() -> int:
    return env_int("OV2XMP_FTP_PORT", 2121)


def files_port() -> int:
    return env_int("OV2XMP_FILES_PORT", 8080)


@dataclass(frozen=True, slots=True)
class Files:
    """Where files are kept, and what uploads may take; sizes are bytes."""

    directory: Path
    max_size: int
    min_free: int

    def open(self, kind: str) -> Folder:
        """Return the folder, made if it is missing.

        Raises SettingError: it cannot be written to.
        """
        folder = Folder(self.directory, kind=kind, max_size=self.max_size, min_free=self.min_free)
        try:
            folder.prepare()
        except OSError as error:
            raise SettingError(f"OV2XMP_FILES_DIR: cannot write to {self.directory}: {error.strerror}") from error
        return folder


def read_files() -> Files:
    return Files(
        directory=Path(env("OV2XMP_FILES_DIR") or data_dir() / "files"),
        max_size=env_int("OV2XMP_FILES_MAX_SIZE", 512 * 1024 * 1024, minimum=1),
        min_free=env_int("OV2XMP_FILES_MIN_FREE", 100 * 1024 * 1024),
    )


@dataclass(frozen=True, slots=True)
class Logins:
    """What a failed login costs; times are seconds."""

    delay: float
    limit: int
    block: float

    def failed(self) -> FailedLogins:
        return FailedLogins(limit=self.limit, period=self.block)


def read_logins() -> Logins:
    return Logins(
        delay=env_number("OV2XMP_FILES_LOGIN_DELAY", 2),
        limit=env_int("OV2XMP_FILES_LOGIN_LIMIT", 20, minimum=1),
        block=env_number("OV2XMP_FILES_LOGIN_BLOCK", 600),
    )
