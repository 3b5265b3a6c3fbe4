import uuid

from django.db import models

from chargers.choices import AvailabilityStatus, ConnectorFormat, ConnectorStatus, PowerType
from chargers.models.station import ChargePoint


class Connector(models.Model):
    """A plug of an EVSE. Connector n of an OCPP 1.6 station is EVSE n, connector 1."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="connectors")
    evse_id = models.PositiveIntegerField(verbose_name="EVSE")
    connectorid = models.PositiveIntegerField(verbose_name="connector", default=1)
    connector_status = models.CharField(max_length=20, choices=ConnectorStatus.choices, default=ConnectorStatus.UNKNOWN)
    status_timestamp = models.DateTimeField(null=True, blank=True)
    error_code = models.TextField(blank=True)
    availability_status = models.CharField(
        max_length=12, choices=AvailabilityStatus.choices, default=AvailabilityStatus.OPERATIVE
    )
    standard = models.CharField(max_length=40, blank=True, help_text="OCPI ConnectorType, such as IEC_62196_T2_COMBO")
    format = models.CharField(max_length=10, choices=ConnectorFormat.choices, blank=True)
    power_type = models.CharField(max_length=20, choices=PowerType.choices, blank=True)

    class Meta:
        ordering = ["chargepoint", "evse_id", "connectorid"]
        constraints = [
            models.UniqueConstraint(fields=["chargepoint", "evse_id", "connectorid"], name="connector_once_per_evse")
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id} EVSE {self.evse_id} connector {self.connectorid}"
