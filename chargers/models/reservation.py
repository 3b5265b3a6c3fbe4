from collections.abc import Iterable
from datetime import datetime

from django.db import models
from django.db.models import Q

from chargers.choices import ReservationStatus
from chargers.models.connector import Connector
from chargers.models.history import HistoryKey
from chargers.models.idtag import IdTag, tag_key
from chargers.models.station import ChargePoint
from chargers.models.transaction import Transaction

# While it is so, the station may have it or get it.
OPEN = (ReservationStatus.REQUESTED, ReservationStatus.ACCEPTED, ReservationStatus.FAILED)
# The expiry date ends these.
WAITING = (ReservationStatus.REQUESTED, ReservationStatus.ACCEPTED)


class Reservation(models.Model):
    """A connector that a station keeps for a tag and its group, until then or until it is used.

    EVSE 0 stands for any connector. The station is believed to hold it while it is Accepted.
    """

    chargepoint = HistoryKey(ChargePoint, related_name="reservations")
    reservation_id = models.IntegerField(verbose_name="number", help_text="what the station knows it by")
    evse_id = models.PositiveIntegerField(verbose_name="EVSE", help_text="0 is any of the station's")
    connector = models.ForeignKey(Connector, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    connector_type = models.CharField(max_length=20, blank=True, help_text="the kind it must be; empty means any")
    id_tag = HistoryKey(IdTag, related_name="reservations")
    parent_id_tag = models.CharField(max_length=255, blank=True, help_text="the tag whose group may use it too")
    expiry_date = models.DateTimeField()
    status = models.CharField(max_length=10, choices=ReservationStatus.choices, default=ReservationStatus.REQUESTED)
    reason = models.CharField(max_length=60, blank=True, help_text="why it was refused, failed or removed")
    transaction = models.ForeignKey(
        Transaction, on_delete=models.SET_NULL, db_constraint=False, null=True, blank=True, related_name="reservations"
    )
    command_id = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # It is also the index that finds what a station holds.
            models.UniqueConstraint(
                fields=["chargepoint", "reservation_id"],
                condition=Q(status=ReservationStatus.ACCEPTED),
                name="reservation_held_once",
            )
        ]
        indexes = [
            models.Index(fields=["command_id"], name="reservation_by_command"),
            models.Index(fields=["expiry_date"], condition=Q(status__in=WAITING), name="reservation_waiting"),
        ]

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} at {self.chargepoint_id}"

    def is_held(self, at: datetime) -> bool:
        """Tell whether the station held it at a moment, so far as is known now."""
        if self.status != ReservationStatus.ACCEPTED or self.answered_at is None:
            return False
        return self.answered_at <= at < self.expiry_date

    def is_for(self, id_tag: str, parent: str | None) -> bool:
        """Tell whether a tag may use it: by itself, or by the group that its parent stands for (1.6 section 5.13)."""
        return not _keys((self.id_tag_id, self.parent_id_tag)).isdisjoint(_keys((id_tag, parent)))


def _keys(tags: Iterable[str | None]) -> set[str]:
    return {tag_key(tag) for tag in tags if tag}
