"""The account that stations share on a file server."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path

from filestore.environment import SettingError, data_dir, env, env_bool, read_or_create_secret

USERNAME = "ov2xmp"
CONFIG = "config.json"
# Bytes of a generated password: short, as it goes into URLs.
PASSWORD_SIZE = 18
# What example files, manuals and lists of default accounts have.
DEFAULT_PASSWORDS = frozenset(
    "12345 123456 1234567 12345678 123456789 admin changeit changeme default example ftp ftpuser guest http "
    "letmein ov2xmp pass password password1 qwerty root secret station test user".split()
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
        for encoding in ("utf-8", "latin-1"):
            known = (self.username.encode(encoding, "replace"), self.password.encode(encoding, "replace"))
            same_name = hmac.compare_digest(_digest(known[0]), _digest(username))
            same_password = hmac.compare_digest(_digest(known[1]), _digest(password))
            matching |= same_name & same_password
        return matching


def _digest(secret: bytes) -> bytes:
    """Make secrets of any length comparable in the same time."""
    return hashlib.sha256(secret).digest()


def read_account(prefix: str, folder: Path, secret_name: str) -> Account:
    """Return the account of a file server; its name or password is empty where none is set.

    ``<prefix>_USERNAME`` and ``<prefix>_PASSWORD`` count first, then ``config.json`` in the server's
    `folder`. A password that is nowhere is kept in `secret_name` of the data directory, made on
    first use; none is made where no data directory is named.

    Raises SettingError: a file cannot be read.
    """
    kept = _read_config(folder / CONFIG)
    username = env(f"{prefix}_USERNAME", kept.get("username", USERNAME))
    password = env(f"{prefix}_PASSWORD") or kept.get("password", "")
    if not password and (env("OV2XMP_DATA_DIR") or env_bool("OV2XMP_DEBUG")):
        path = data_dir() / secret_name
        try:
            password = read_or_create_secret(path, PASSWORD_SIZE)
        except OSError as error:
            raise SettingError(f"{prefix}_PASSWORD: cannot keep one in {path}: {error.strerror}") from error
    return Account(username, password)


def require_account(prefix: str, folder: Path, secret_name: str) -> Account:
    """Return the account that a server checks logins against.

    Raises SettingError: there is none, or its password is one that everybody knows.
    """
    account = read_account(prefix, folder, secret_name)
    ways = f"Set {prefix}_PASSWORD or {prefix}_PASSWORD_FILE, or put it into {folder / CONFIG}."
    if not account.username:
        raise SettingError(f"{prefix}_USERNAME is empty, and nobody may log in without a name.")
    if not account.password:
        raise SettingError(f"{prefix}_PASSWORD is not set. {ways}")
    if account.password.casefold() in DEFAULT_PASSWORDS | {account.username.casefold()}:
        raise SettingError(f"{prefix}_PASSWORD is the user name or a default password that everybody knows. {ways}")
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
