"""Put a backup back: ``manage.py restore FILE``."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from ov2xmp import backup
from ov2xmp.management.commands.backup import STREAM


class Command(BaseCommand):
    help = "Put the platform back as a backup has it. Stop the platform first."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help=f"the backup, or {STREAM} for the standard input")
        parser.add_argument("--force", action="store_true", help="replace a database that has something in it")
        parser.add_argument(
            "--timeout", type=float, default=3600, help="seconds that each step of the database's may take"
        )

    def handle(self, *args: object, file: str, force: bool, timeout: float, **options: object) -> None:
        try:
            if file == STREAM:
                done = backup.restore(sys.stdin.buffer, force=force, timeout=timeout)
            else:
                with Path(file).open("rb") as stream:
                    done = backup.restore(stream, force=force, timeout=timeout)
        except OSError as error:
            raise CommandError(f"cannot read {file}: {error.strerror}") from error
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Restored the backup of {done.manifest.made_at}, release {done.manifest.version}.")
        if done.kept:
            self.stdout.write(f"What was in the database before is in {done.kept}.")
        for warning in done.warnings:
            self.stderr.write(f"Warning: {warning}")
