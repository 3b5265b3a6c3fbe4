"""Remove old rows: ``manage.py prune``."""

import signal
import threading
from argparse import ArgumentParser
from collections import Counter

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from tasks import retention


class Command(BaseCommand):
    help = (
        "Remove rows that are older than OV2XMP_RETENTION_… says, in steps that leave room for others. "
        "It may be stopped at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say how many rows would go, and remove none")
        parser.add_argument("--seconds", type=float, help="time that it may take; default: until it is done")

    def handle(self, *args: object, dry_run: bool, seconds: float | None, **options: object) -> None:
        removed: Counter[str] = Counter()
        stopped = threading.Event()
        before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            done = retention.prune(now=timezone.now(), removed=removed, seconds=seconds, rest=stopped.wait, dry=dry_run)
        except DatabaseError as error:
            raise CommandError(f"the database refused: {error}") from error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._tell(removed, "would be removed" if dry_run else "removed")
        if not done:
            self.stdout.write("There is more: it was stopped." if stopped.is_set() else "There is more: time is over.")

    def _tell(self, removed: Counter[str], what: str) -> None:
        for table, number in removed.most_common():
            self.stdout.write(f"{number:>12,}  {retention.NAMES[table]} {what}")
        if not removed.total():
            self.stdout.write("Nothing is old enough.")
