from django.db import models
from django.db.models import Q

from chargers.choices import LimitationKind
from chargers.models.station import ChargePoint

# A refusal may have had a passing cause; this many in a row have not.
CERTAIN_AFTER = 3


class LimitationQuerySet(models.QuerySet["Limitation"]):
    def certain(self) -> "LimitationQuerySet":
        """Keep those in whose face asking again is of no use."""
        return self.filter(Q(certain=True) | Q(count__gte=CERTAIN_AFTER))


class Limitation(models.Model):
    """Something that a station is found unable to do, remembered so that it is not asked again.

    It is forgotten when the station does it after all, and when it boots with another firmware.
    """

    chargepoint = models.ForeignKey(ChargePoint, on_delete=models.CASCADE, related_name="limitations")
    kind = models.CharField(max_length=30, choices=LimitationKind.choices)
    subject = models.CharField(max_length=100, blank=True)
    reason = models.TextField(help_text="what it said")
    certain = models.BooleanField(default=False, help_text="it said itself that it never does")
    count = models.PositiveIntegerField(default=0, help_text="how often in a row")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    objects = LimitationQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen"]
        constraints = [
            models.UniqueConstraint(fields=["chargepoint", "kind", "subject"], name="limitation_once_per_subject")
        ]

    def __str__(self) -> str:
        return f"{self.chargepoint_id}: {self.kind} {self.subject}".rstrip()

    @property
    def is_certain(self) -> bool:
        """Whether asking again is of no use."""
        return self.certain or self.count >= CERTAIN_AFTER
