"""``manage.py makeauthority``: what verifies stations' certificates is there before anybody asks for it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chargers import authority


class Command(BaseCommand):
    help = (
        "Make the root of the embedded certificate authority, unless it is there. "
        "A proxy that verifies stations' certificates reads it when it starts."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        path = authority.root_file()
        if path.exists():
            self.stdout.write(f"{path} is there.")
            return
        try:
            authority.EmbeddedAuthority().root()
        except OSError as error:
            raise CommandError(f"{path} cannot be made: {error}") from error
        self.stdout.write(f"{path} was made.")
