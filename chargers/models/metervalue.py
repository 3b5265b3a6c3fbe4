from django.db import models

from chargers.models.history import HistoryKey
from chargers.models.station import ChargePoint
from chargers.models.transaction import EnergyField, Transaction


class MeterValue(models.Model):
    """What a meter showed at one moment.

    `samples` holds every sampled value as the station meant it, a list of objects with the
    members of OCPP's SampledValue; the typed columns repeat the ones that are asked for often.
    EVSE 0 is the station's main meter.
    """

    chargepoint = HistoryKey(ChargePoint, related_name="metervalues", db_index=False)
    transaction = models.ForeignKey(
        Transaction,
        on_delete=models.SET_NULL,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name="metervalues",
    )
    evse_id = models.PositiveIntegerField()
    connectorid = models.PositiveIntegerField()
    timestamp = models.DateTimeField()
    timestamp_raw = models.TextField(
        blank=True, help_text="what the station sent, where it could not be taken as it is"
    )
    received_at = models.DateTimeField()
    samples = models.JSONField()
    fingerprint = models.BigIntegerField(
        null=True,
        editable=False,
        help_text="what the station told at that time; null where something else tells a repeat from news",
    )
    energy_wh = EnergyField()
    energy_export_wh = EnergyField()
    power_w = models.FloatField(null=True, blank=True, help_text="import minus export")
    current_a = models.FloatField(null=True, blank=True, help_text="the highest phase")
    voltage_v = models.FloatField(null=True, blank=True)
    soc_percent = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["transaction", "timestamp"], name="metervalue_by_transaction"),
        ]
        constraints = [
            # Also the index by station and time.
            models.UniqueConstraint(fields=["chargepoint", "timestamp", "fingerprint"], name="metervalue_once"),
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id} EVSE {self.evse_id} at {self.timestamp:%Y-%m-%d %H:%M:%S}"
