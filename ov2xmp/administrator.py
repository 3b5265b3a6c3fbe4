"""The first administrator, whom `make run` and the command ``createadmin`` make."""

import os
import secrets
import string
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Q

NAME = "admin"


@dataclass(frozen=True)
class Administrator:
    """Whether there is a first administrator already, and where its password is to be found."""

    created: bool
    where: str
    # Only one that was made up this very time.
    password: str = ""


def password_file() -> Path:
    return Path(settings.DATA_DIR) / "admin-password"


def create() -> Administrator:
    """Create the first administrator unless there is one.

    The password comes from OV2XMP_ADMIN_PASSWORD, else it is a random one that `password_file` keeps.
    """
    # Its module reads the environment, which `make run` completes first.
    from ov2xmp.settings import env

    users = get_user_model().objects
    file = password_file()
    if users.filter(Q(is_superuser=True) | Q(username=NAME)).exists():
        return Administrator(False, f"in {file}" if file.exists() else "as set on its first start")
    if password := env("OV2XMP_ADMIN_PASSWORD"):
        users.create_superuser(NAME, password=password)
        return Administrator(True, "as in OV2XMP_ADMIN_PASSWORD")
    # The file comes first: a user whose password nobody knows could not be made again.
    password = keep_password(file)
    users.create_superuser(NAME, password=password)
    return Administrator(True, f"kept in {file}", password)


def keep_password(path: Path) -> str:
    """Return the password kept in `path`, a new one if there is none yet."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            # Letters and digits only, so that a double click picks it whole; about 119 bits.
            file.write("".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(20)) + "\n")
    return path.read_text(encoding="utf-8").strip()
