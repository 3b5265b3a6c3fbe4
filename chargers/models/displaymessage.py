from django.db import models

from chargers.choices import DisplayMessageStatus, MessageFormat, MessagePriority, MessageState
from chargers.models.station import ChargePoint


class DisplayMessage(models.Model):
    """A message that a station is believed to display, or is asked to (2.0.1 block O)."""

    # Stations are told it, and know 32 bits.
    id = models.AutoField(primary_key=True)
    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="display_messages")
    message_id = models.BigIntegerField(null=True, help_text="by which the station knows it")
    command_id = models.UUIDField(null=True, blank=True, help_text="the command that asks for it, while not answered")
    status = models.CharField(
        max_length=10, choices=DisplayMessageStatus.choices, default=DisplayMessageStatus.REQUESTED
    )
    priority = models.CharField(max_length=20, choices=MessagePriority.choices)
    state = models.CharField(max_length=20, choices=MessageState.choices, blank=True)
    start = models.DateTimeField(null=True, blank=True)
    end = models.DateTimeField(null=True, blank=True)
    transaction_uuid = models.TextField(blank=True, help_text="the station's own id")
    format = models.CharField(max_length=10, choices=MessageFormat.choices)
    language = models.CharField(max_length=10, blank=True, help_text="RFC 5646")
    content = models.TextField()
    display = models.CharField(max_length=50, blank=True, help_text="name of the component that shows it")
    evse_id = models.PositiveIntegerField(default=0)
    told_at = models.DateTimeField(help_text="when the station last told or accepted it")

    class Meta:
        ordering = ["chargepoint", "message_id"]
        constraints = [
            models.UniqueConstraint(fields=["chargepoint", "message_id"], name="display_message_once_per_id")
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id}: message {self.message_id}"
