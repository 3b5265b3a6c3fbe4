from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class ApiConfig(AppConfig):
    name = "api"
    verbose_name = "REST API"

    def ready(self) -> None:
        # The last app with models: by then every permission exists.
        post_migrate.connect(create_groups, sender=apps.get_app_config("tasks"), dispatch_uid="api.create_groups")


def create_groups(using: str, **options: Any) -> None:
    from api import groups

    groups.create(using)
