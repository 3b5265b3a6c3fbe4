"""Create the first administrator: ``manage.py createadmin``."""

from django.core.management.base import BaseCommand

from ov2xmp import administrator


class Command(BaseCommand):
    help = "Create the user admin, unless there is one, with the password from OV2XMP_ADMIN_PASSWORD or a random one."

    def handle(self, *args: object, **options: object) -> None:
        admin = administrator.create()
        # Not the password: this goes into a container's log.
        done = "created" if admin.created else "there already"
        self.stdout.write(f"user {administrator.NAME} {done}, password {admin.where}")
