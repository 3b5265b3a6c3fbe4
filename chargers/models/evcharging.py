from django.db import models

from chargers.choices import ChargingNeedsStatus
from chargers.models.history import HistoryKey
from chargers.models.station import ChargePoint
from chargers.models.transaction import Transaction


class ChargingNeeds(models.Model):
    """What a vehicle that speaks ISO 15118 said that it needs, and the profile it was given for that (2.0.1 K15, K17).

    `parameters` are OCPP's ACChargingParameters or DCChargingParameters, in snake_case.
    """

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="charging_needs")
    evse_id = models.PositiveIntegerField(verbose_name="EVSE")
    transaction = HistoryKey(Transaction, related_name="charging_needs")
    requested_energy_transfer = models.CharField(max_length=40, help_text="DC, or AC with its phases")
    departure_time = models.DateTimeField(null=True, blank=True)
    max_schedule_tuples = models.PositiveIntegerField(null=True, blank=True, verbose_name="most periods")
    parameters = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=ChargingNeedsStatus.choices, verbose_name="answered")
    # The profile that was sent, to know it again among those the station has.
    chargingprofile_id = models.IntegerField(null=True, blank=True, verbose_name="profile")
    schedules = models.JSONField(default=list, blank=True)
    replaced = models.JSONField(default=list, blank=True, help_text="what it was given for these needs before")
    received_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "charging needs"
        ordering = ["-received_at", "-id"]

    def __str__(self) -> str:
        return f"{self.chargepoint_id} EVSE {self.evse_id}: {self.requested_energy_transfer}"


class EVSchedule(models.Model):
    """The schedule by which a vehicle says that it will charge (2.0.1 K15.FR.10, K16.FR.05, K17.FR.10)."""

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="ev_schedules")
    evse_id = models.PositiveIntegerField(verbose_name="EVSE")
    transaction = HistoryKey(Transaction, related_name="ev_schedules")
    time_base = models.DateTimeField(help_text="what its periods count from")
    schedule = models.JSONField()
    within_limits = models.BooleanField(help_text="whether it keeps to what the vehicle was given")
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = "EV charging schedule"
        ordering = ["-received_at", "-id"]

    def __str__(self) -> str:
        return f"{self.chargepoint_id} EVSE {self.evse_id} from {self.time_base:%Y-%m-%d %H:%M:%S}"
