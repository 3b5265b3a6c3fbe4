from django.db import models

from chargers.choices import EventNotification, EventTrigger, MonitorType
from chargers.models.history import HistoryKey
from chargers.models.station import ChargePoint
from chargers.values import VariableName


class OfVariable(models.Model):
    """What is about a variable of a station's device model; EVSE and connector 0 mean the station itself."""

    component = models.CharField(max_length=50)
    component_instance = models.CharField(max_length=50, blank=True)
    evse_id = models.PositiveIntegerField(default=0)
    connectorid = models.PositiveIntegerField(default=0)
    variable = models.CharField(max_length=50)
    variable_instance = models.CharField(max_length=50, blank=True)

    class Meta:
        abstract = True

    def be_about(self, name: VariableName) -> None:
        self.component, self.component_instance = name.component, name.component_instance
        self.evse_id, self.connectorid = name.evse_id, name.connector_id
        self.variable, self.variable_instance = name.variable, name.variable_instance


class Event(OfVariable):
    """What a station noticed of one of its variables (2.0.1 N07, N08).

    `event_id` is the station's number. `severity`, from 0 for danger to 9 for debug, is that of
    the monitor that noticed it, where that is known. `cleared` marks an event that tells the end of
    an alarm; the alarm before it has the time in `cleared_at`.
    """

    chargepoint = HistoryKey(ChargePoint, related_name="events", db_index=False)
    event_id = models.BigIntegerField(help_text="the station's own number")
    trigger = models.CharField(max_length=20, choices=EventTrigger.choices)
    notification = models.CharField(max_length=30, choices=EventNotification.choices)
    monitor_id = models.BigIntegerField(null=True, blank=True)
    severity = models.PositiveSmallIntegerField(null=True, blank=True)
    actual_value = models.TextField(blank=True)
    cause = models.BigIntegerField(null=True, blank=True, help_text="number of the event that caused it")
    tech_code = models.TextField(blank=True)
    tech_info = models.TextField(blank=True)
    transaction_uuid = models.TextField(blank=True, help_text="the station's own id")
    cleared = models.BooleanField(default=False)
    cleared_at = models.DateTimeField(null=True, blank=True)
    timestamp = models.DateTimeField()
    timestamp_raw = models.TextField(
        blank=True, help_text="what the station sent, where it could not be taken as it is"
    )
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["chargepoint", "event_id", "timestamp", "component", "evse_id", "connectorid", "variable"],
                name="event_once",
            )
        ]
        indexes = [
            models.Index(fields=["chargepoint", "-id"], name="event_by_station"),
            models.Index(fields=["timestamp"], name="event_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id}: {self.component}.{self.variable} = {self.actual_value[:50]}"


class VariableMonitor(OfVariable):
    """A monitor that a station is believed to have of one of its variables (2.0.1 N02, N04)."""

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="monitors")
    monitor_id = models.BigIntegerField(help_text="the station's number")
    type = models.CharField(max_length=30, choices=MonitorType.choices)
    value = models.FloatField(help_text="threshold, change, or seconds, by its type")
    severity = models.PositiveSmallIntegerField(help_text="0 is danger, 9 debug")
    transaction = models.BooleanField(default=False, help_text="watches during transactions only")
    told_at = models.DateTimeField(help_text="when the station last told or accepted it")

    class Meta:
        ordering = ["chargepoint", "monitor_id"]
        constraints = [
            models.UniqueConstraint(fields=["chargepoint", "monitor_id"], name="variable_monitor_once_per_id")
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id}: monitor {self.monitor_id} of {self.component}.{self.variable}"
