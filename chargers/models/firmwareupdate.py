from django.db import models
from django.db.models import Q

from chargers.choices import FirmwareUpdateStatus as Status
from chargers.models.job import Fetching

# Turned down by the station, or never taken up.
REFUSED = frozenset({Status.REJECTED, Status.INVALID_CERTIFICATE, Status.REVOKED_CERTIFICATE, Status.FAILED})
FAILED = frozenset(
    {Status.DOWNLOAD_FAILED, Status.INVALID_SIGNATURE, Status.INSTALL_VERIFICATION_FAILED, Status.INSTALLATION_FAILED}
)
OVER = REFUSED | FAILED | {Status.INSTALLED, Status.ACCEPTED_CANCELED}
LIVE = [status.value for status in Status if status not in OVER and status != Status.TIMED_OUT]


class FirmwareUpdate(Fetching):
    """A firmware that a station is to install (1.6 section 5.19, whitepaper L01)."""

    topic = "firmwareupdate"
    statuses = Status
    live = LIVE
    over = OVER
    success = Status.INSTALLED
    transfer_failed = frozenset({Status.DOWNLOAD_FAILED})
    transferred = frozenset(
        {
            Status.DOWNLOADED,
            Status.SIGNATURE_VERIFIED,
            Status.INSTALL_SCHEDULED,
            Status.INSTALL_REBOOTING,
            Status.INSTALLING,
            Status.INSTALLED,
        }
    )

    signed = models.BooleanField(default=False)
    status = models.CharField(max_length=30, choices=Status.choices, default=Status.REQUESTED)
    retrieve_at = models.DateTimeField(null=True, blank=True, help_text="not to be retrieved before")
    install_at = models.DateTimeField(null=True, blank=True, help_text="not to be installed before")
    signing_certificate = models.TextField(blank=True, help_text="PEM")
    signature = models.TextField(blank=True, help_text="base64")
    firmware_before = models.TextField(blank=True, help_text="the version that the station had told by then")
    firmware_after = models.TextField(blank=True, help_text="the first other version that it told at a boot")

    class Meta(Fetching.Meta):
        verbose_name = "firmware update"
        indexes = [
            models.Index(fields=["waits_from"], condition=Q(status__in=LIVE), name="firmware_update_live"),
        ]
