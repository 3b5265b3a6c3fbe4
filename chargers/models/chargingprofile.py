from django.core.exceptions import ValidationError
from django.db import models

from chargers import profiles
from chargers.choices import (
    ChargingLimitSource,
    ChargingProfileKind,
    ChargingProfilePurpose,
    ChargingRateUnit,
    ProfileState,
    RecurrencyKind,
)
from chargers.models.history import HistoryKey
from chargers.models.station import ChargePoint
from chargers.models.transaction import Transaction
from chargers.values import Profile


class ProfileContent(models.Model):
    """What a charging profile says, the same in all OCPP versions.

    `schedules` is a list of objects with the members of OCPP's ChargingSchedule, as
    `chargers.values.Schedule` names them; 1.6 knows one of them, 2.x up to three in a TxProfile.
    """

    stack_level = models.PositiveIntegerField(default=0, help_text="a higher one counts before a lower one")
    purpose = models.CharField(max_length=40, choices=ChargingProfilePurpose.choices)
    kind = models.CharField(max_length=10, choices=ChargingProfileKind.choices)
    recurrency_kind = models.CharField(max_length=10, choices=RecurrencyKind.choices, blank=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    schedules = models.JSONField()

    class Meta:
        abstract = True

    def content(self, chargingprofile_id: int, transaction_id: int | str | None) -> Profile:
        """Return what the row says as a value."""
        return Profile(
            chargingprofile_id=chargingprofile_id,
            stack_level=self.stack_level or 0,
            purpose=self.purpose,
            kind=self.kind,
            recurrency_kind=self.recurrency_kind,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            transaction_id=transaction_id,
            schedules=self.schedules,
        )

    def say(self, profile: Profile) -> None:
        """Let the row say what a profile says, its ids and its transaction aside."""
        self.stack_level = profile.stack_level
        self.purpose = profile.purpose
        self.kind = profile.kind
        self.recurrency_kind = profile.recurrency_kind
        self.valid_from = profile.valid_from
        self.valid_to = profile.valid_to
        self.schedules = list(profile.schedules)


class ChargingProfile(ProfileContent):
    """A charging profile in store, to be sent to stations."""

    chargingprofile_id = models.AutoField(
        primary_key=True, verbose_name="number", help_text="also its id at the stations"
    )
    transaction_id = models.BigIntegerField(null=True, blank=True, help_text="of a TxProfile")

    class Meta:
        ordering = ["chargingprofile_id"]

    def __str__(self) -> str:
        return f"{self.purpose} {self.chargingprofile_id}"

    def profile(self) -> Profile:
        """Return the profile; the id of one that is not stored yet is 0."""
        return self.content(self.pk or 0, self.transaction_id)

    def problems(self) -> profiles.Problems:
        """Say what is wrong with the profile, by the fields of `chargers.values.Profile`."""
        return profiles.problems(self.profile())

    def clean(self) -> None:
        reasons: dict[str, list[str]] = {}
        for path, found in self.problems().items():
            field, _, inner = path.partition(".")
            reasons.setdefault(field, []).extend(f"{inner}: {reason}" if inner else reason for reason in found)
        if reasons:
            raise ValidationError(reasons)


class InstalledProfile(ProfileContent):
    """A charging profile that a station is believed to have, or to be given.

    EVSE 0 is the station as a whole; while a remote start waits for its transaction, it is any.
    `source` is who has set it: anybody but the operator sets external constraints only.
    """

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="installed_profiles")
    evse_id = models.PositiveIntegerField(verbose_name="EVSE")
    chargingprofile_id = models.IntegerField(verbose_name="number")
    transaction = HistoryKey(Transaction, related_name="installed_profiles")
    state = models.CharField(max_length=10, choices=ProfileState.choices, default=ProfileState.INSTALLED)
    source = models.CharField(
        max_length=10,
        choices=ChargingLimitSource.choices,
        default=ChargingLimitSource.CSO,
        db_default=ChargingLimitSource.CSO,
        verbose_name="set by",
    )
    # What the remote start named that it belongs to, until its transaction begins; 2.x stations name its id as well.
    id_token = models.CharField(max_length=255, blank=True, editable=False)
    remote_start_id = models.BigIntegerField(null=True, blank=True, editable=False)
    command_id = models.UUIDField(null=True, blank=True, editable=False)
    since = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True, help_text="when the station last listed it")
    without_effect = models.BooleanField(default=False, help_text="a meter has shown more than it allows")

    class Meta:
        ordering = ["chargepoint", "evse_id", "purpose", "-stack_level", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["chargepoint", "chargingprofile_id"],
                condition=models.Q(state=ProfileState.INSTALLED),
                name="profile_once_per_station",
            )
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id} EVSE {self.evse_id}: {self.purpose} {self.chargingprofile_id}"

    def profile(self) -> Profile:
        return self.content(self.chargingprofile_id, self.transaction_id)


class CompositeSchedule(models.Model):
    """What a station last said that all its charging profiles come to (1.6 section 5.7).

    What it did not tell is null, or the empty unit.
    """

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="composite_schedules")
    evse_id = models.PositiveIntegerField(verbose_name="EVSE")
    charging_rate_unit = models.CharField(max_length=1, choices=ChargingRateUnit.choices, blank=True)
    schedule_start = models.DateTimeField(null=True, blank=True)
    duration = models.IntegerField(null=True, blank=True, help_text="in seconds")
    min_charging_rate = models.FloatField(null=True, blank=True)
    charging_schedule_period = models.JSONField(default=list, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["chargepoint", "evse_id", "charging_rate_unit"]
        constraints = [
            models.UniqueConstraint(
                fields=["chargepoint", "evse_id", "charging_rate_unit"], name="composite_schedule_once_per_unit"
            )
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id} EVSE {self.evse_id} in {self.charging_rate_unit or 'an unknown unit'}"
