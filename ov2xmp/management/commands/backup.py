"""Make a backup: ``manage.py backup [FILE]``."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ov2xmp import backup

STREAM = "-"


class Command(BaseCommand):
    help = "Back up the database and the secrets of the data directory, while the platform runs."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            help=f"a new file, or {STREAM} for the standard output; default: backups/ov2xmp-<UTC>.tar.gz",
        )
        parser.add_argument("--files", action="store_true", help="what stations uploaded, too")
        parser.add_argument("--timeout", type=float, default=3600, help="seconds that the database's dump may take")

    def handle(self, *args: object, file: str | None, files: bool, timeout: float, **options: object) -> None:
        path = Path(file or settings.BASE_DIR / "backups" / f"ov2xmp-{backup.timestamp()}.tar.gz")
        try:
            if file == STREAM:
                backup.make(sys.stdout.buffer, files=files, timeout=timeout)
                return
            backup.make(path, files=files, timeout=timeout)
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{path}: {path.stat().st_size:,} bytes. It holds secrets: keep it where nobody reads it.")
