import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models

from chargers.models.idtag import tag_key
from chargers.models.station import ChargePoint

MAX_VERSION = 2**31 - 1
# How long after a failure it is tried again by itself; twice as long after each further one.
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=6)

# Tags with what stations are told of them, as `chargers.values.ListEntry`.
Entries = Mapping[str, Any]


def digest_of(entries: Entries) -> str:
    """Sum up entries, so that lists are compared without being read; case does not matter to stations."""
    folded = {token.casefold(): entry for token, entry in entries.items()}
    return hashlib.sha256(json.dumps(folded, sort_keys=True).encode()).hexdigest()


def paired(wanted: Entries, held: Entries) -> list[tuple[str, Any, Any]]:
    """Lay side by side, by tag, what should be held and what is; case does not matter to stations."""
    spelt = {token.casefold(): token for token in (*held, *wanted)}
    by_key = {token.casefold(): entry for token, entry in held.items()}
    return [(spelt[key], wanted.get(spelt[key]), by_key.get(key)) for key in sorted(spelt)]


class LocalList(models.Model):
    """The id tags that a station knows by itself (1.6 section 3.5.2), so far as the platform knows.

    `entries` is null, and `digest` empty, while nobody knows what it holds. Version 0 is an empty list.
    `withheld` are tags of customers whom the station was told to forget (2.0.1 N10): they are not sent
    to it by themselves. `forgets` says that it may still hold one of them.
    """

    if TYPE_CHECKING:
        # Only on rows that `locallists.compare` has seen: what it should hold, and whether it does.
        wanted: Entries
        in_sync: bool

    chargepoint = models.OneToOneField(
        ChargePoint, on_delete=models.CASCADE, primary_key=True, related_name="local_list", verbose_name="station"
    )
    automatic = models.BooleanField(default=False, help_text="changes of id tags are sent to it without being asked")
    version = models.IntegerField(null=True, blank=True, help_text="of what it was last sent and took")
    entries = models.JSONField(null=True, blank=True)
    digest = models.CharField(max_length=64, blank=True, editable=False)
    updated_at = models.DateTimeField(null=True, blank=True, help_text="when it last took an update")
    reported_version = models.IntegerField(null=True, blank=True, help_text="-1 says that it keeps no list")
    reported_at = models.DateTimeField(null=True, blank=True)
    last_attempt = models.DateTimeField(null=True, blank=True)
    last_outcome = models.CharField(max_length=60, blank=True, help_text="empty while the answer is out")
    failures = models.PositiveIntegerField(default=0, help_text="how often in a row")
    withheld = models.JSONField(default=list, blank=True, editable=False)
    forgets = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["chargepoint"]
        indexes = [models.Index(fields=["chargepoint"], condition=models.Q(forgets=True), name="locallist_forgets")]

    def __str__(self) -> str:
        return f"local list of {self.chargepoint_id}"

    @property
    def is_known(self) -> bool:
        """Whether we know what it holds: nothing that it has told since the last update contradicts."""
        if not self.digest:
            return False
        told_since = self.reported_at is not None and (self.updated_at is None or self.reported_at > self.updated_at)
        return not told_since or self.reported_version == self.version

    @property
    def next_version(self) -> int:
        """One more than what it is known to hold; they count from 1 (errata 3.52), and again after the highest."""
        return max(self.version or 0, self.reported_version or 0, 0) % MAX_VERSION + 1

    def is_due(self, now: datetime) -> bool:
        """Whether it may be tried again by itself, after so many failures."""
        if not self.failures or self.last_attempt is None:
            return True
        # Twenty doublings are far beyond the longest.
        return self.last_attempt + min(FIRST_RETRY * (1 << min(self.failures - 1, 20)), LONGEST_RETRY) <= now

    def hold(self, version: int, entries: Entries | None, at: datetime) -> None:
        """Note what it holds from now on, None where that cannot be told."""
        self.version = version
        self.entries = entries
        self.digest = "" if entries is None else digest_of(entries)
        self.updated_at = at
        self.forgets = bool(self.withheld) if entries is None else bool(self.withheld_entries)

    @property
    def withheld_entries(self) -> Entries:
        """What it is believed to hold of customers whom the station was told to forget."""
        keys = {tag_key(token) for token in self.withheld}
        return {token: entry for token, entry in (self.entries or {}).items() if tag_key(token) in keys}
