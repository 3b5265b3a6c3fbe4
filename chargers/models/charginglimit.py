from collections.abc import Iterator
from typing import Any

from django.db import models

from chargers.choices import ChargingLimitSource, ChargingProfileKind, ChargingProfilePurpose
from chargers.models.station import ChargePoint
from chargers.values import Profile


class ChargingLimit(models.Model):
    """A limit that somebody else than the platform has set at a station (2.0.1 K11 to K14).

    EVSE 0 is the station as a whole. `schedules` is as in `ProfileContent`, empty where the station
    did not tell how much the limit is.
    """

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="charging_limits")
    evse_id = models.PositiveIntegerField(verbose_name="EVSE")
    source = models.CharField(max_length=10, choices=ChargingLimitSource.choices, verbose_name="set by")
    is_grid_critical = models.BooleanField(null=True, help_text="whether the grid depends on it")
    schedules = models.JSONField(default=list, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["chargepoint", "evse_id", "source"]
        constraints = [
            models.UniqueConstraint(fields=["chargepoint", "evse_id", "source"], name="charging_limit_once_per_source")
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id} EVSE {self.evse_id}: limit of {self.source}"

    def profiles(self) -> Iterator[Profile]:
        """Say the limit as charging profiles, one a schedule: all of them count. One without a start began on receipt."""
        received = self.received_at.isoformat()
        for told in self.schedules:
            schedule: Any = {**told, "start_schedule": told.get("start_schedule") or received}
            yield Profile(
                chargingprofile_id=0,
                stack_level=0,
                purpose=ChargingProfilePurpose.STATION_EXTERNAL.value,
                kind=ChargingProfileKind.ABSOLUTE.value,
                schedules=[schedule],
            )
