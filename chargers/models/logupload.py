from django.db import models
from django.db.models import Q

from chargers.choices import LogType
from chargers.choices import LogUploadStatus as Status
from chargers.models.job import Job
from filestore.names import safe_name

FAILED = frozenset(
    {Status.UPLOAD_FAILURE, Status.BAD_MESSAGE, Status.NOT_SUPPORTED_OPERATION, Status.PERMISSION_DENIED}
)
OVER = FAILED | {
    Status.UPLOADED,
    Status.REJECTED,
    Status.NOTHING_TO_UPLOAD,
    Status.ACCEPTED_CANCELED,
    Status.FAILED,
}
LIVE = [status.value for status in Status if status not in OVER and status != Status.TIMED_OUT]


class LogUpload(Job):
    """A log that a station is to upload (1.6 section 5.9, whitepaper N01)."""

    topic = "logupload"
    statuses = Status
    live = LIVE
    over = OVER
    success = Status.UPLOADED
    # One that is silent from the start does not take the protocol (FW-05).
    transfer_failed = FAILED | {Status.TIMED_OUT}
    transferred = frozenset({Status.UPLOADED})

    log_type = models.CharField(max_length=20, choices=LogType.choices, blank=True)
    status = models.CharField(max_length=30, choices=Status.choices, default=Status.REQUESTED)
    file_name = models.TextField(blank=True, help_text="as the station called it")
    oldest = models.DateTimeField(null=True, blank=True, help_text="from when the log was asked for")
    latest = models.DateTimeField(null=True, blank=True, help_text="until when the log was asked for")

    class Meta(Job.Meta):
        verbose_name = "log upload"
        indexes = [models.Index(fields=["waits_from"], condition=Q(status__in=LIVE), name="log_upload_live")]

    @property
    def file_path(self) -> str:
        """Where the file lies, or its folder while the station has not told its name."""
        return self.path + safe_name(self.file_name) if self.path and self.file_name else self.path
