from collections.abc import Collection
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Q
from django.db.models.base import ModelState

from chargers.choices import AuthorizationStatus, OcppVersion, TransactionFlag, TransactionStatus
from chargers.models.connector import Connector
from chargers.models.history import HistoryKey
from chargers.models.idtag import IdTag
from chargers.models.station import ChargePoint

if TYPE_CHECKING:
    OptionalDecimal = models.DecimalField[Decimal | None, Decimal | None]
else:
    # The generic type exists for the type checker only.
    OptionalDecimal = models.DecimalField

CLOSED_BY_PLATFORM = frozenset({TransactionFlag.NO_STOP.value, TransactionFlag.SUPERSEDED.value})


class EnergyField(OptionalDecimal):
    """Energy in Wh, with the decimals the meter sent."""

    def __init__(self, **options: Any) -> None:
        options.update(max_digits=24, decimal_places=4)
        options.setdefault("null", True)
        options.setdefault("blank", True)
        super().__init__(**options)


class Transaction(models.Model):
    """A charging session, from any OCPP version. Open while it has no stop time."""

    transaction_id = models.BigAutoField(primary_key=True, help_text="what OCPP 1.6 stations are told")
    # Null, not empty, where there is none: only real ids must be unique.
    uuid = models.CharField(max_length=255, null=True, blank=True, help_text="the station's own id")  # noqa: DJ001
    chargepoint = HistoryKey(ChargePoint, related_name="transactions", db_index=False)
    connector = models.ForeignKey(Connector, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    evse_id = models.PositiveIntegerField(default=0, help_text="0 when the station did not say")
    connectorid = models.PositiveIntegerField(default=0)
    ocpp_version = models.CharField(max_length=10, choices=OcppVersion.choices, blank=True, verbose_name="OCPP version")
    id_tag = HistoryKey(IdTag, related_name="transactions")
    stop_id_tag = models.TextField(blank=True)
    authorization_status = models.CharField(
        max_length=20, choices=AuthorizationStatus.choices, blank=True, help_text="what its start was answered"
    )
    start_transaction_timestamp = models.DateTimeField(null=True, blank=True)
    stop_transaction_timestamp = models.DateTimeField(null=True, blank=True)
    wh_meter_start = EnergyField()
    wh_meter_last = EnergyField()
    wh_meter_last_timestamp = models.DateTimeField(null=True, blank=True)
    wh_meter_stop = EnergyField()
    reason_stopped = models.TextField(blank=True)
    transaction_status = models.CharField(
        max_length=15, choices=TransactionStatus.choices, default=TransactionStatus.STARTED
    )
    flags = models.JSONField(default=list, blank=True)
    reservation_id = models.IntegerField(null=True, blank=True)
    last_seq_no = models.PositiveIntegerField(null=True, blank=True, help_text="of the newest event of a 2.x station")
    charging_state = models.CharField(max_length=40, blank=True, help_text="as the newest event of a 2.x station told")
    time_spent_charging = models.IntegerField(null=True, blank=True, help_text="s in which energy was delivered")
    remote_start_id = models.IntegerField(null=True, blank=True, help_text="of the command that it follows")
    total_cost = OptionalDecimal(
        max_digits=24,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="what the station was told that it costs, taxes included",
    )
    # What makes a repeated start, or a repeated stop without a start, the same one.
    fingerprint = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001
    received_at = models.DateTimeField(help_text="when the platform first heard of it")

    class Meta:
        ordering = ["-transaction_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["chargepoint", "uuid"], condition=Q(uuid__isnull=False), name="transaction_once_per_uuid"
            ),
            models.UniqueConstraint(
                fields=["chargepoint", "fingerprint"],
                condition=Q(fingerprint__isnull=False),
                name="transaction_once_per_fingerprint",
            ),
        ]
        indexes = [
            models.Index(fields=["chargepoint", "start_transaction_timestamp"], name="transaction_by_station"),
            models.Index(fields=["chargepoint", "-transaction_id"], name="transaction_newest_of_station"),
            models.Index(fields=["transaction_status", "-transaction_id"], name="transaction_by_status"),
            models.Index(fields=["start_transaction_timestamp"], name="transaction_by_start"),
            models.Index(
                fields=["chargepoint", "remote_start_id"],
                condition=Q(remote_start_id__isnull=False),
                name="transaction_by_remote_start",
            ),
            models.Index(
                fields=["chargepoint"],
                condition=Q(stop_transaction_timestamp__isnull=True),
                name="transaction_open_by_station",
            ),
        ]

    def __str__(self) -> str:
        return f"transaction {self.transaction_id} at {self.chargepoint_id}"

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **_: Any) -> Self:
        """Make a row of what was read.

        Django's own way visits every field, those too that were not asked for, and each message
        of a charging station reads its transaction.
        """
        row = cls.__new__(cls)
        row._state = ModelState()
        row._state.adding = False
        row._state.db = db
        row.__dict__.update(zip(field_names, values, strict=True))
        return row

    @property
    def is_open(self) -> bool:
        return self.stop_transaction_timestamp is None

    @property
    def closed_by_platform(self) -> bool:
        """Whether it was closed in the station's place, whose own stop may still come."""
        return not CLOSED_BY_PLATFORM.isdisjoint(self.flags) and TransactionFlag.LATE_STOP not in self.flags

    @property
    def energy_wh(self) -> Decimal | None:
        """Energy delivered so far in Wh, never negative; none while no start reading is known.

        The stop reading counts when it is not below the start, else the last reading (TX-10).
        """
        if self.wh_meter_start is None:
            return None
        end = self.wh_meter_stop
        if end is None or end < self.wh_meter_start:
            end = self.wh_meter_last
        return max(Decimal(0), end - self.wh_meter_start) if end is not None else Decimal(0)

    def flag(self, flag: str) -> None:
        if flag not in self.flags:
            self.flags = sorted([*self.flags, flag])
