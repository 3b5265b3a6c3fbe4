from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models

from chargers.models.history import HistoryKey
from chargers.models.station import ChargePoint

# More changes than any job takes; a station that goes round in circles must not fill the table.
MAX_REPORTS = 50

# The statuses that both kinds of jobs know.
REQUESTED = "Requested"
ACCEPTED = "Accepted"
ACCEPTED_CANCELED = "AcceptedCanceled"
FAILED = "Failed"
TIMED_OUT = "TimedOut"
UNKNOWN = "Unknown"
# What no station says, whatever it may mean by the word.
OURS = frozenset({REQUESTED, FAILED, TIMED_OUT})


class Job(models.Model):
    """What a station is asked for once and works on by itself, telling now and then how far it is.

    A job that the platform did not ask for has no command. `reports` tells what the station said,
    each word once until another follows: ``status``, ``at`` when it first came and ``received_at``
    when it last did.
    """

    # What listeners know such jobs by.
    topic: ClassVar[str]
    statuses: ClassVar[type[models.TextChoices]]
    # In which more is due, after which nothing is, and the one among the latter that is a success.
    live: ClassVar[Sequence[str]]
    over: ClassVar[frozenset[str]]
    success: ClassVar[str]
    # What says whether the file came through.
    transfer_failed: ClassVar[frozenset[str]]
    transferred: ClassVar[frozenset[str]]

    # Stations are told it, and know 32 bits.
    id = models.AutoField(primary_key=True)
    chargepoint = HistoryKey(ChargePoint, related_name="%(class)ss")
    request_id = models.BigIntegerField(
        null=True, blank=True, help_text="by which the station names it, in the messages that have one"
    )
    command_id = models.UUIDField(null=True, blank=True, db_index=True)
    location = models.TextField(blank=True, help_text="the URL that the station was told, without its password")
    path = models.TextField(blank=True, help_text="where that is on the platform's own file server")
    retries = models.PositiveIntegerField(null=True, blank=True)
    retry_interval = models.PositiveIntegerField(null=True, blank=True, help_text="seconds")
    status = models.CharField(max_length=30, default=REQUESTED)
    status_at = models.DateTimeField(help_text="since when it has this status")
    reports = models.JSONField(default=list, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="%(class)ss"
    )
    # From when silence counts: the last sign of it, or the date it was told to wait for.
    waits_from = models.DateTimeField()

    class Meta:
        abstract = True
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk} of {self.chargepoint_id}"

    @property
    def is_live(self) -> bool:
        return self.status in self.live

    @property
    def file_path(self) -> str:
        """Where the file lies on the platform's own file server; empty where it lies elsewhere."""
        return self.path

    def owns(self, path: str) -> bool:
        """Tell whether a path on the platform's own file server is that of its file, or lies in its folder."""
        return bool(self.path) and (path.startswith(self.path) if self.path.endswith("/") else path == self.path)

    @property
    def misses_file(self) -> bool:
        """Whether its file must be on the platform's own file server by now."""
        raise NotImplementedError

    @property
    def denies_file(self) -> bool:
        """Whether its file should not be there, by what the station said."""
        raise NotImplementedError

    @property
    def last_word(self) -> str:
        """What the station said last."""
        return str(self.reports[-1]["status"]) if self.reports else ""

    def take_report(self, word: str, at: datetime) -> bool:
        """Believe a word of the station, whatever it said before; return whether it is news.

        Only a success is not undone by the steps on the way to it, which may come late (FW-02).
        """
        news = word != self.last_word or not self.reports
        if news:
            self.reports = [*self.reports, {"status": word, "at": at.isoformat()}][-MAX_REPORTS:]
        self.reports[-1]["received_at"] = at.isoformat()
        self.waits_from = max(self.waits_from, at)
        status = self.known(word)
        if status == self.status or (self.status == self.success and status not in self.over):
            return news
        self.status, self.status_at = status, at
        return True

    def take_answer(self, status: str, at: datetime) -> None:
        """Believe what the command was answered, unless the station has reported more already."""
        self.waits_from = max(self.waits_from, at)
        if not self.reports:
            self.status, self.status_at = self.known(status), at

    def known(self, word: str) -> str:
        """Return the status that a station's word stands for."""
        return word if word in self.statuses.values and word not in OURS else UNKNOWN


class Fetching(Job):
    """A job for which the station fetches a file."""

    class Meta(Job.Meta):
        abstract = True

    @property
    def misses_file(self) -> bool:
        """Whether the station has yet to fetch it, or could not."""
        awaited = self.is_live and self.status not in self.transferred
        return awaited or self.status in self.transfer_failed

    @property
    def denies_file(self) -> bool:
        return False
