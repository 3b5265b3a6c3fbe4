from django.db import models
from django.db.models import Q

from chargers.choices import Mutability
from chargers.models.station import ChargePoint
from chargers.values import VariableName


class Variable(models.Model):
    """A setting of a station: a 1.6 configuration key, or a variable of the 2.x device model.

    A configuration key has no component. EVSE and connector 0 mean the station itself.
    """

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="variables")
    component = models.CharField(max_length=50, blank=True)
    component_instance = models.CharField(max_length=50, blank=True)
    evse_id = models.PositiveIntegerField(default=0)
    connectorid = models.PositiveIntegerField(default=0)
    variable = models.CharField(max_length=255)
    variable_instance = models.CharField(max_length=50, blank=True)
    attribute = models.CharField(max_length=10, default="Actual")
    value = models.TextField(null=True, blank=True)  # noqa: DJ001 - unset is not the same as empty
    asked = models.TextField(null=True, blank=True, editable=False)  # noqa: DJ001 - what it took and has not told since
    mutability = models.CharField(max_length=10, choices=Mutability.choices, default=Mutability.READ_WRITE)
    persistent = models.BooleanField(null=True, blank=True, help_text="whether it survives a power loss")
    constant = models.BooleanField(null=True, blank=True, help_text="whether it never changes")
    characteristics = models.JSONField(default=dict, blank=True)
    reboot_required = models.BooleanField(default=False, help_text="the value is in force after the next boot")
    read_at = models.DateTimeField(help_text="when the station last told or accepted it")

    class Meta:
        ordering = ["chargepoint", "component", "variable"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "chargepoint",
                    "component",
                    "component_instance",
                    "evse_id",
                    "connectorid",
                    "variable",
                    "variable_instance",
                    "attribute",
                ],
                name="variable_once_per_attribute",
            )
        ]
        indexes = [
            models.Index(fields=["chargepoint"], condition=Q(reboot_required=True), name="variable_awaits_boot"),
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id}: {self.variable} = {self.value}"

    @property
    def name(self) -> VariableName:
        return VariableName(
            self.variable,
            self.component,
            self.component_instance,
            self.evse_id,
            self.connectorid,
            self.variable_instance,
            self.attribute,
        )

    @classmethod
    def named(cls, station: str, name: VariableName) -> "Variable":
        """Return a row of a station's variable that is not stored yet."""
        return cls(
            chargepoint_id=station,
            component=name.component,
            component_instance=name.component_instance,
            evse_id=name.evse_id,
            connectorid=name.connector_id,
            variable=name.variable,
            variable_instance=name.variable_instance,
            attribute=name.attribute,
        )
