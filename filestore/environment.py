"""Settings from environment variables.

A secret may also come from a file: ``<name>_FILE`` names the file that holds what ``<name>`` would.
Every reader raises SettingError, whose text begins with the variable's name, when its value
cannot be read.
"""

import os
import secrets
import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent


class SettingError(Exception):
    """A setting cannot be read, or makes no sense; the text names it."""


def env(name: str, default: str = "") -> str:
    """Read a text variable, or the content of the file that ``<name>_FILE`` names."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingError(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingError(f"{name}_FILE: {path} is not UTF-8 text") from error
    return os.environ.get(name, default)


def env_bool(name: str, default: bool = False) -> bool:
    value = env(name).strip().lower()
    if value in ("", "0", "false", "no", "off"):
        return False if value else default
    if value in ("1", "true", "yes", "on"):
        return True
    raise SettingError(f"{name} must be 0 or 1, not {value!r}")


def env_number(name: str, default: float, minimum: float = 0) -> float:
    value = env(name)
    try:
        number = float(value) if value else default
    except ValueError as error:
        raise SettingError(f"{name} must be a number, not {value!r}") from error
    if number < minimum:
        raise SettingError(f"{name} must be at least {minimum:g}, not {value}")
    return number


def env_int(name: str, default: int, minimum: int = 0) -> int:
    number = env_number(name, default, minimum)
    try:
        whole = int(number)
    except (ValueError, OverflowError):
        whole = None
    if number != whole:
        raise SettingError(f"{name} must be a whole number, not {number}")
    return int(number)


def env_list(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in env(name, default).split(",") if item.strip()]


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = env(name, default).strip()
    if value not in choices:
        raise SettingError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value


def data_dir() -> Path:
    """Return where the platform keeps its state."""
    return Path(env("OV2XMP_DATA_DIR") or BASE_DIR / "var").resolve()


def read_or_create_secret(path: Path, size: int = 48) -> str:
    """Return the secret kept in `path`, made of `size` bytes on first use and readable by its owner only.

    Several processes start at once, so the file appears whole or not at all: whoever links its
    finished temporary file first wins, the others read that one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(size))
        try:
            os.link(name, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(name)
    return path.read_text(encoding="utf-8").strip()
