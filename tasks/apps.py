from django.apps import AppConfig


class TasksConfig(AppConfig):
    name = "tasks"
    verbose_name = "Commands"

    def ready(self) -> None:
        from chargers import changes
        from tasks import updates

        changes.committed.connect(lambda changes, **_: updates.publish(changes), weak=False, dispatch_uid="tasks")
