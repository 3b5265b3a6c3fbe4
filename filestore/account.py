"""The account that stations share on a file server."""

import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from filestore.environment import BASE_DIR, SettingError, data_dir, env, env_bool, read_or_create_secret

USERNAME = "ov2xmp"
# Bytes of a generated password: short, as it goes into URLs.
PASSWORD_SIZE = 18
# What example files, manuals and lists of default accounts have.
DEFAULT_PASSWORDS = frozenset(
    {"12345", "123456", "1234567", "12345678", "123456789", "admin", "anonymous", "changeit", "changeme", "default"}
    | {"example", "ftp", "ftpuser", "guest", "http", "letmein", "ov2xmp", "pass", "passw0rd", "password", "password1"}
    | {"qwerty", "root", "secret", "station", "test", "user"}
)


class Source(NamedTuple):
    """Where the account of a server is found: two settings, and two files that stand in for them."""

    username: str
    password: str
    config: Path
    secret: str


FTP = Source("OV2XMP_FTP_USERNAME", "OV2XMP_FTP_PASSWORD", BASE_DIR / "ftp_server" / "config.json", "ftp-password")
HTTP = Source(
    "OV2XMP_HTTP_USERNAME", "OV2XMP_HTTP_PASSWORD", BASE_DIR / "http_file_server" / "config.json", "http-password"
)


@dataclass(frozen=True, slots=True)
class Account:
    """A user name and its password."""

    username: str
    password: str = field(repr=False)

    def matches(self, username: bytes, password: bytes) -> bool:
        """Compare in a time that tells nothing about the account.

        Old clients send names and passwords in Latin-1 where others send UTF-8.
        """
        matching = False
        for known_username, known_password in self._spellings():
            same_name = hmac.compare_digest(_digest(known_username), _digest(username))
            same_password = hmac.compare_digest(_digest(known_password), _digest(password))
            matching |= same_name & same_password
        return matching

    def _spellings(self) -> Iterator[tuple[bytes, bytes]]:
        for encoding in ("utf-8", "latin-1"):
            with contextlib.suppress(UnicodeEncodeError):
                yield self.username.encode(encoding), self.password.encode(encoding)


def _digest(secret: bytes) -> bytes:
    """Make secrets of any length comparable in the same time."""
    return hashlib.sha256(secret).digest()


def read_account(source: Source) -> Account:
    """Return the account of a file server; its name or password is empty where none is set.

    The settings count first, then ``config.json`` in the server's folder. A password that is nowhere
    is kept in the data directory, made on first use; none is made where no data directory is named.

    Raises SettingError: a file cannot be read.
    """
    kept = _read_config(source.config)
    username = env(source.username, kept.get("username", USERNAME))
    password = env(source.password) or kept.get("password", "")
    if not password and (env("OV2XMP_DATA_DIR") or env_bool("OV2XMP_DEBUG")):
        path = data_dir() / source.secret
        try:
            password = read_or_create_secret(path, PASSWORD_SIZE)
        except OSError as error:
            raise SettingError(f"{source.password}: cannot keep one in {path}: {error.strerror}") from error
    return Account(username, password)


def require_account(source: Source) -> Account:
    """Return the account that a server checks logins against.

    Raises SettingError: there is none, or its password is one that everybody knows.
    """
    account = read_account(source)
    ways = f"Set {source.password} or {source.password}_FILE, or put it into {source.config}."
    if not account.username:
        raise SettingError(f"{source.username} is empty, and nobody may log in without a name.")
    if not account.password:
        raise SettingError(f"{source.password} is not set. {ways}")
    if account.password.casefold() in DEFAULT_PASSWORDS | {account.username.casefold()}:
        raise SettingError(f"{source.password} is the user name or a default password that everybody knows. {ways}")
    return account


def _read_config(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        # The parser's words might show a part of the password.
        raise SettingError(f"{path}: is not JSON in UTF-8") from error
    if not isinstance(content, dict):
        raise SettingError(f'{path}: must be an object such as {{"username": "...", "password": "..."}}')
    for name in ("username", "password"):
        if not isinstance(content.get(name, ""), str):
            raise SettingError(f"{path}: {name} must be a string")
    return {name: content[name] for name in ("username", "password") if name in content}
