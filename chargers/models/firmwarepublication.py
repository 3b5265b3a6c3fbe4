from django.db import models
from django.db.models import Q

from chargers.choices import FirmwarePublicationStatus as Status
from chargers.models.job import Fetching

FAILED = frozenset({Status.DOWNLOAD_FAILED, Status.INVALID_CHECKSUM, Status.PUBLISH_FAILED})
OVER = FAILED | {Status.PUBLISHED, Status.UNPUBLISHED, Status.REJECTED, Status.FAILED}
LIVE = [status.value for status in Status if status not in OVER and status != Status.TIMED_OUT]


class FirmwarePublication(Fetching):
    """A firmware that a local controller is to fetch and offer to its stations (2.0.1 L03)."""

    topic = "firmwarepublication"
    statuses = Status
    live = LIVE
    over = OVER
    success = Status.PUBLISHED
    transfer_failed = frozenset({Status.DOWNLOAD_FAILED})
    transferred = frozenset(
        {
            Status.DOWNLOADED,
            Status.CHECKSUM_VERIFIED,
            Status.INVALID_CHECKSUM,
            Status.PUBLISHED,
            Status.PUBLISH_FAILED,
            Status.UNPUBLISHED,
        }
    )

    status = models.CharField(max_length=30, choices=Status.choices, default=Status.REQUESTED)
    checksum = models.CharField(max_length=32, blank=True, help_text="MD5 of the whole file, in hexadecimal")
    locations = models.JSONField(default=list, blank=True, help_text="the URLs at which stations find it")

    class Meta(Fetching.Meta):
        verbose_name = "firmware publication"
        indexes = [
            models.Index(fields=["waits_from"], condition=Q(status__in=LIVE), name="firmware_publication_live"),
        ]
