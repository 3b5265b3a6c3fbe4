from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Exists, OuterRef

from chargers import authority
from chargers.choices import OcppVersion, RegistrationStatus, SecurityProfile
from chargers.models.location import Location
from chargers.models.node import CsmsNode

if TYPE_CHECKING:
    from chargers.models.limitation import Limitation

IDENTITY_LENGTH = 255


def identity_key(identity: str) -> str:
    """Fold an identity for comparison: stations and operators differ in case (TR-07)."""
    return identity.casefold()


class ChargePointQuerySet(models.QuerySet["ChargePoint"]):
    def with_connected(self, now: datetime) -> "ChargePointQuerySet":
        """Annotate ``connected``: held by a node whose lease is fresh."""
        alive = CsmsNode.objects.filter(node_id=OuterRef("node_id"), lease_until__gt=now)
        return self.annotate(connected=Exists(alive))  # type: ignore[no-redef]

    def by_identity(self, identity: str) -> "ChargePointQuerySet":
        return self.filter(lookup_key=identity_key(identity))


class ChargePoint(models.Model):
    """A charging station, named by the identity in its connection URL."""

    if TYPE_CHECKING:
        # Only on rows read by `with_connected`.
        connected: bool
        # Only on rows read by `selectors.chargepoints`.
        known_deviations: list["Deviation"]
        known_limitations: list["Limitation"]

    chargepoint_id = models.CharField(max_length=IDENTITY_LENGTH, primary_key=True, verbose_name="identity")
    lookup_key = models.CharField(max_length=3 * IDENTITY_LENGTH, unique=True, editable=False)
    chargepoint_vendor = models.TextField(blank=True)
    chargepoint_model = models.TextField(blank=True)
    chargepoint_serial_number = models.TextField(blank=True)
    chargebox_serial_number = models.TextField(blank=True)
    firmware_version = models.TextField(blank=True)
    iccid = models.TextField(blank=True, verbose_name="ICCID")
    imsi = models.TextField(blank=True, verbose_name="IMSI")
    meter_type = models.TextField(blank=True)
    meter_serial_number = models.TextField(blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True, verbose_name="IP address")
    ocpp_version = models.CharField(max_length=10, choices=OcppVersion.choices, blank=True, verbose_name="OCPP version")
    registration_status = models.CharField(
        max_length=10, choices=RegistrationStatus.choices, default=RegistrationStatus.ACCEPTED
    )
    chargepoint_status = models.CharField(max_length=40, blank=True, help_text="last status of the station as a whole")
    chargepoint_status_timestamp = models.DateTimeField(null=True, blank=True)
    location = models.ForeignKey(
        Location, on_delete=models.SET_NULL, null=True, blank=True, related_name="chargepoints"
    )
    security_profile = models.PositiveSmallIntegerField(choices=SecurityProfile.choices, default=SecurityProfile.NONE)
    key_hash = models.CharField(max_length=128, blank=True, editable=False)
    # A key that the station was sent and has not confirmed, and the command that sent it.
    proposed_key_hash = models.CharField(max_length=128, blank=True, editable=False)
    key_change_id = models.UUIDField(null=True, blank=True, editable=False)
    # A security profile that the station was told to use and has not connected with yet, and the command that told it.
    proposed_security_profile = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    profile_change_id = models.UUIDField(null=True, blank=True, editable=False)
    node = models.ForeignKey(CsmsNode, on_delete=models.SET_NULL, null=True, blank=True, related_name="chargepoints")
    # Fences the end of an old connection off from the one that took over.
    connection_id = models.UUIDField(null=True, blank=True, editable=False)
    connected_since = models.DateTimeField(null=True, blank=True)
    last_boot = models.DateTimeField(null=True, blank=True)
    last_heartbeat = models.DateTimeField(null=True, blank=True)
    last_seen = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ChargePointQuerySet.as_manager()

    class Meta:
        ordering = ["chargepoint_id"]
        verbose_name = "charging station"

    def __str__(self) -> str:
        return self.chargepoint_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.lookup_key = identity_key(self.chargepoint_id)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse an identity that differs from another only in case, and locking a station out."""
        if self._state.adding and ChargePoint.objects.by_identity(self.chargepoint_id).exists():
            raise ValidationError({"chargepoint_id": "There is a charging station with this identity already."})
        if reason := self.why_unable_to_use(self.security_profile):
            raise ValidationError({"security_profile": reason})

    def why_unable_to_use(self, profile: int) -> str:
        """Say why the station could never connect with a security profile; nothing where it could."""
        # A new station is given its key next.
        needs_key = profile in (SecurityProfile.BASIC, SecurityProfile.TLS_BASIC) and not self._state.adding
        if needs_key and not self.key_hash:
            return "The station has no key yet, so it could never connect."
        # What a proxy does for TLS, and which certificates it verifies, is not known here.
        if settings.TRUSTED_PROXIES:
            return ""
        if profile >= SecurityProfile.TLS_BASIC and not settings.CSMS_TLS_CERTIFICATES:
            return (
                "This platform has no TLS port (OV2XMP_CSMS_TLS_CERTIFICATE) and no proxy that ends TLS for it "
                "(OV2XMP_TRUSTED_PROXIES), so the station could never connect."
            )
        if profile == SecurityProfile.TLS_CERTIFICATE and not (
            settings.CSMS_TLS_CLIENT_CA or authority.root_file().exists()
        ):
            return "This platform knows no certificate authority of stations, so the station could never connect."
        return ""


class Deviation(models.Model):
    """A way in which a station breaks the rules, and how often."""

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="deviations")
    kind = models.CharField(max_length=60)
    count = models.PositiveIntegerField(default=0)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    example = models.TextField(blank=True, help_text="what it looked like when last stored")

    class Meta:
        ordering = ["-last_seen"]
        constraints = [models.UniqueConstraint(fields=["chargepoint", "kind"], name="deviation_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.chargepoint_id}: {self.kind} ({self.count})"
