import uuid
from itertools import islice

from django.conf import settings
from django.db import models
from django.db.models import Q

from chargers.choices import OcppVersion
from chargers.models import ChargePoint
from chargers.models.history import HistoryKey


class CommandStatus(models.TextChoices):
    """The life of a command: queued, then sent, then exactly one of the rest."""

    QUEUED = "queued"
    SENT = "sent"
    ANSWERED = "answered"
    ERROR = "error"
    TIMEOUT = "timeout"
    OFFLINE = "offline"
    CANCELLED = "cancelled"


OPEN = (CommandStatus.QUEUED, CommandStatus.SENT)

# What listeners know commands by.
TOPIC = "tasks"


class Command(models.Model):
    """What a station is asked to do, and what came of it.

    `payload` is the OCPP request as it goes over the wire, `response` the station's answer as it
    came. `error` is an object with ``code``, ``description`` and ``details``. `calls` tells, where
    one CALL was not enough, each of them: ``action``, ``payload``, and ``response`` or ``error``.
    Once a command has ended, no secret stands in it any more.
    """

    task_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    chargepoint = HistoryKey(ChargePoint, related_name="commands")
    ocpp_version = models.CharField(max_length=10, choices=OcppVersion.choices, verbose_name="OCPP version")
    action = models.CharField(max_length=60)
    payload = models.JSONField()
    status = models.CharField(max_length=10, choices=CommandStatus.choices, default=CommandStatus.QUEUED)
    response = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True)
    calls = models.JSONField(default=list, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="commands"
    )
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # After this moment an open command is ended, whatever happened to those who held it.
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "task_id"]
        indexes = [
            models.Index(fields=["-created_at"], name="command_by_age"),
            models.Index(fields=["chargepoint", "-created_at"], name="command_by_station"),
            models.Index(fields=["expires_at"], condition=Q(status__in=["queued", "sent"]), name="command_open"),
        ]

    def __str__(self) -> str:
        return f"{self.action} to {self.chargepoint_id}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class ReportKind(models.TextChoices):
    """What a report tells, each in a message of its own."""

    VARIABLES = "Variables"
    MONITORS = "Monitors"
    CHARGING_PROFILES = "ChargingProfiles"
    DISPLAY_MESSAGES = "DisplayMessages"
    CUSTOMER_INFORMATION = "CustomerInformation"


class ReportStatus(models.TextChoices):
    """How far a report is: what the station answered, then what came."""

    REQUESTED = "Requested", "Requested: not answered yet"
    COLLECTING = "Collecting", "Collecting: more is to come"
    COMPLETE = "Complete"
    EMPTY = "Empty", "Empty: the station has nothing to tell"
    REFUSED = "Refused"
    FAILED = "Failed", "Failed: never answered"
    TIMED_OUT = "TimedOut", "TimedOut: a part is missing, and nothing came any more"


UNDER_WAY = (ReportStatus.REQUESTED, ReportStatus.COLLECTING)
# Parts of these may still come.
UNFINISHED = (*UNDER_WAY, ReportStatus.FAILED, ReportStatus.TIMED_OUT)
# Stretches of part numbers with gaps between them; in-order parts make one, whatever their number.
MAX_STRETCHES = 500
# How many parts a report keeps itself.
MAX_PARTS = 1000
# How many of the missing parts are told.
MAX_MISSING = 100


class Report(models.Model):
    """What a station was asked for and tells in numbered parts, in messages that follow its answer.

    One that nobody asked for has no command. `told` are the numbers of the parts that came, as
    stretches ``[first, last]``, `last` is that of the part that said to be the last. `content`
    keeps what has no table of its own, by the number of its part.
    """

    # Stations are told it, and know 32 bits.
    id = models.AutoField(primary_key=True)
    # The report is prepared before the command's row is there.
    command = models.OneToOneField(
        Command, on_delete=models.CASCADE, db_constraint=False, null=True, blank=True, related_name="report"
    )
    chargepoint = HistoryKey(ChargePoint, related_name="reports")
    kind = models.CharField(max_length=30, choices=ReportKind.choices)
    request_id = models.BigIntegerField(null=True, blank=True, help_text="by which the station names it")
    status = models.CharField(max_length=10, choices=ReportStatus.choices, default=ReportStatus.REQUESTED)
    told = models.JSONField(default=list, blank=True)
    last = models.BigIntegerField(null=True, blank=True)
    content = models.JSONField(default=dict, blank=True)
    asked_at = models.DateTimeField()
    heard_at = models.DateTimeField(help_text="when the station last gave a sign of it")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["chargepoint", "kind", "request_id"],
                condition=Q(status__in=["Requested", "Collecting"]),
                name="report_once_per_live_request",
            )
        ]
        indexes = [
            models.Index(fields=["heard_at"], condition=Q(status="Collecting"), name="report_collecting"),
            models.Index(fields=["chargepoint", "kind", "request_id"], name="report_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} report {self.request_id} of {self.chargepoint_id}"

    @property
    def parts(self) -> int:
        """How many parts have come."""
        return sum(last - first + 1 for first, last in self.told)

    @property
    def missing(self) -> list[int]:
        """The numbers of parts that have not come and lie before one that has, the first hundred of them."""
        ends = [-1, *(last for _, last in self.told)]
        starts = [first for first, _ in self.told]
        gaps = (range(end + 1, start) for end, start in zip(ends, starts, strict=False))
        return list(islice((number for gap in gaps for number in gap), MAX_MISSING))

    @property
    def is_whole(self) -> bool:
        """Whether all parts up to the last have come."""
        return self.last is not None and len(self.told) == 1 and self.told[0] == [0, self.last]

    @property
    def next_number(self) -> int:
        """The number of the part that follows those that have come."""
        return int(self.told[-1][1]) + 1 if self.told else 0

    def take_part(self, number: int, *, last: bool) -> None:
        """Note that a part has come. Number 0 once more means that the station begins again, as after a boot."""
        if number == 0 and self.status == ReportStatus.COLLECTING and self.told and self.told[0][0] == 0:
            self.told, self.last, self.content = [], None, {}
        merged: list[list[int]] = []
        for first, end in sorted([*self.told, [number, number]]):
            if merged and first <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([first, end])
        if len(merged) <= MAX_STRETCHES:
            self.told = merged
        if last:
            self.last = max(number, self.last or 0)
