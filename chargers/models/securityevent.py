from django.db import models

from chargers.choices import CRITICAL_EVENTS
from chargers.models.history import HistoryKey
from chargers.models.station import ChargePoint


class SecurityEvent(models.Model):
    """A security event that a station reported (security whitepaper A04, OCPP 2.0.1 A04), or the platform noticed."""

    chargepoint = HistoryKey(ChargePoint, related_name="security_events", db_index=False)
    type = models.TextField()
    tech_info = models.TextField(blank=True)
    timestamp = models.DateTimeField()
    timestamp_raw = models.TextField(
        blank=True, help_text="what the station sent, where it could not be taken as it is"
    )
    received_at = models.DateTimeField(db_index=True)
    count = models.PositiveIntegerField(default=1, db_default=1, help_text="how often within the hour after it")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["type", "-id"], name="security_event_by_type"),
            models.Index(fields=["chargepoint", "-id"], name="security_event_by_station"),
            models.Index(fields=["timestamp"], name="security_event_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id}: {self.type}"

    @property
    def critical(self) -> bool:
        """Whether the specification counts its type among those that call for somebody."""
        return self.type in CRITICAL_EVENTS
