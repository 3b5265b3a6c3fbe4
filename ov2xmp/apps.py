"""What the platform does to Django in each process."""

import sys

from django.apps import AppConfig


class PlatformConfig(AppConfig):
    name = "ov2xmp"

    def ready(self) -> None:
        if sys.platform != "win32":
            from ov2xmp import sqlite

            sqlite.take_turns()
