from django.db import models

from chargers.choices import OcppVersion
from chargers.models.history import HistoryKey
from chargers.models.station import ChargePoint


class StatusNotification(models.Model):
    """A status as a station reported it, in the order of arrival. EVSE 0 is the station itself."""

    chargepoint = HistoryKey(ChargePoint, related_name="status_notifications", db_index=False)
    ocpp_version = models.CharField(max_length=10, choices=OcppVersion.choices, verbose_name="OCPP version")
    evse_id = models.PositiveIntegerField()
    connectorid = models.PositiveIntegerField()
    status = models.TextField()
    error_code = models.TextField(blank=True)
    info = models.TextField(blank=True)
    vendor_id = models.TextField(blank=True)
    vendor_error_code = models.TextField(blank=True)
    timestamp = models.DateTimeField()
    timestamp_raw = models.TextField(
        blank=True, help_text="what the station sent, where it could not be taken as it is"
    )
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["chargepoint", "-id"], name="status_by_station")]

    def __str__(self) -> str:
        return f"{self.chargepoint_id} EVSE {self.evse_id}: {self.status}"
