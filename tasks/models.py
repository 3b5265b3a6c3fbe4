import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from chargers.choices import OcppVersion
from chargers.models import ChargePoint
from chargers.models.history import HistoryKey


class CommandStatus(models.TextChoices):
    """The life of a command: queued, then sent, then exactly one of the rest."""

    QUEUED = "queued"
    SENT = "sent"
    ANSWERED = "answered"
    ERROR = "error"
    TIMEOUT = "timeout"
    OFFLINE = "offline"
    CANCELLED = "cancelled"


OPEN = (CommandStatus.QUEUED, CommandStatus.SENT)


class Command(models.Model):
    """What a station is asked to do, and what came of it.

    `payload` is the OCPP request as it goes over the wire, `response` the station's answer as it
    came. `error` is an object with ``code``, ``description`` and ``details``. `calls` tells, where
    one CALL was not enough, each of them: ``action``, ``payload``, and ``response`` or ``error``.
    Once a command has ended, no secret stands in it any more.
    """

    task_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    chargepoint = HistoryKey(ChargePoint, related_name="commands")
    ocpp_version = models.CharField(max_length=10, choices=OcppVersion.choices, verbose_name="OCPP version")
    action = models.CharField(max_length=60)
    payload = models.JSONField()
    status = models.CharField(max_length=10, choices=CommandStatus.choices, default=CommandStatus.QUEUED)
    response = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True)
    calls = models.JSONField(default=list, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="commands"
    )
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # After this moment an open command is ended, whatever happened to those who held it.
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "task_id"]
        indexes = [
            models.Index(fields=["-created_at"], name="command_by_age"),
            models.Index(fields=["chargepoint", "-created_at"], name="command_by_station"),
            models.Index(fields=["expires_at"], condition=Q(status__in=["queued", "sent"]), name="command_open"),
        ]

    def __str__(self) -> str:
        return f"{self.action} to {self.chargepoint_id}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN
