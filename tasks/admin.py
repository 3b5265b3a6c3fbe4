"""The admin site of commands, and of what can be done by commands, which the domain does not know."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from chargers.admin import (
    ConnectorAdmin,
    ReadOnly,
    StationAdmin,
    TransactionAdmin,
    column,
    laid_out,
    link,
    of_transaction,
    pretty,
    station,
)
from chargers.choices import OcppVersion
from chargers.models import ChargePoint, Connector, IdTag, LocalList, Reservation, Transaction
from chargers.models.reservation import OPEN
from chargers.secrets import masked
from chargers.services import locallists
from tasks import dispatch
from tasks.action import Payload
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.models import Command, CommandStatus, Report
from tasks.schemas import InvalidBody

# Sends a station a command, as who asked for it; None where none is needed.
Send = Callable[..., Command | None]
# A row that a station is asked about, and the station's identity.
About = tuple[Any, str | None]


class Wording(NamedTuple):
    """How a version asks a station for something: a command, and its payloads for a row, mostly one."""

    action: str
    payloads: Callable[[Any], Iterable[Payload]]


Wordings = Mapping[OcppVersion, Wording]


def send_each(
    of: admin.ModelAdmin, request: HttpRequest, sending: Iterable[tuple[Model, str | None, str, Send]], otherwise: str
) -> None:
    """Send a command for each row, as REST does without waiting, and tell the user of those that cannot be sent.

    Each comes with its station's identity and its name; `otherwise` names what none was sent of.
    """
    sending = list(sending)
    known = ChargePoint.objects.with_connected(timezone.now())
    stations = known.in_bulk([key for _, key, _, _ in sending if key is not None])
    sent: list[str] = []
    for row, key, name, send in sending:
        try:
            if key not in stations:
                raise CommandError(f"{key} is gone")
            command = send(stations[key], requested_by=request.user)
            if command is not None and command.status == CommandStatus.ERROR:
                raise CommandError(dispatch.QUEUE_DOWN)
        except (CommandError, InvalidBody) as error:
            of.message_user(request, f"{row}: {error}", messages.WARNING)
            continue
        if command is not None:
            of.log_change(request, row, f"Sent {name}.")
            sent.append(name)
    names = ", ".join(sorted(set(sent))) or otherwise
    of.message_user(request, f"{len(sent)} on their way: {names}. The commands tell what comes of them.")


def ask_each(of: admin.ModelAdmin, request: HttpRequest, wordings: Wordings, about: Iterable[About]) -> None:
    """Ask for each row in the words of its station's version.

    A station that never connected is asked in those of the oldest, and refused for being offline.
    """
    about = list(about)
    spoken = ChargePoint.objects.filter(pk__in=[key for _, key in about if key]).values_list("pk", "ocpp_version")
    versions = {key: OcppVersion(version) for key, version in spoken if version in wordings}
    sending = []
    for row, key in about:
        version = versions.get(key or "", OcppVersion.V16)
        name, payloads = wordings[version]
        action = BY_NAME[version, name]
        sending += [
            (row, key, name, partial(dispatch.ask, action=action, payload=payload)) for payload in payloads(row)
        ]
    send_each(of, request, sending, wordings[OcppVersion.V16].action)


class Operated(admin.ModelAdmin):
    """Rows that whoever may send commands can do something about."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tasks.add_command")


def asking(
    description: str, wordings: Wordings, about: Callable[[QuerySet[Any]], Iterable[About]]
) -> Callable[..., None]:
    """Make an admin action that sends a command for each of the chosen rows."""

    @admin.action(description=description, permissions=["operate"])
    def act(self: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        ask_each(self, request, wordings, about(queryset))

    act.__name__ = description.lower().replace(" ", "_")
    return act


def of_stations(rows: QuerySet[ChargePoint]) -> Iterable[About]:
    return ((row, row.pk) for row in rows)


def of_connectors(rows: QuerySet[Connector]) -> Iterable[About]:
    return ((row, row.chargepoint_id) for row in rows)


def of_running(rows: QuerySet[Transaction]) -> Iterable[About]:
    return ((row, row.chargepoint_id) for row in rows.filter(stop_transaction_timestamp__isnull=True))


def of_open(rows: QuerySet[Reservation]) -> Iterable[About]:
    return ((row, row.chargepoint_id) for row in rows.filter(status__in=OPEN))


def always(**payload: Any) -> Callable[[Any], Iterable[Payload]]:
    return lambda row: [payload]


def place(row: Connector) -> Payload:
    return {"id": row.evse_id, "connectorId": row.connectorid}


# What an operator may ask for here, in the words of each version.

STATUSES: Wordings = {
    OcppVersion.V16: Wording("TriggerMessage", always(requestedMessage="StatusNotification")),
    # Of one connector at a time (F06.FR.13).
    OcppVersion.V201: Wording(
        "TriggerMessage",
        lambda row: [
            {"requestedMessage": "StatusNotification", "evse": place(each)}
            for each in row.connectors.order_by("evse_id", "connectorid")
        ],
    ),
}
CONFIGURATION: Wordings = {
    OcppVersion.V16: Wording("GetConfiguration", always()),
    OcppVersion.V201: Wording("GetBaseReport", always(reportBase="FullInventory")),
}
SOFT_RESET: Wordings = {
    OcppVersion.V16: Wording("Reset", always(type="Soft")),
    OcppVersion.V201: Wording("Reset", always(type="OnIdle")),
}
HARD_RESET: Wordings = {
    OcppVersion.V16: Wording("Reset", always(type="Hard")),
    OcppVersion.V201: Wording("Reset", always(type="Immediate")),
}
UNLOCKING: Wordings = {
    OcppVersion.V16: Wording("UnlockConnector", lambda row: [{"connectorId": row.evse_id}]),
    OcppVersion.V201: Wording("UnlockConnector", lambda row: [{"evseId": row.evse_id, "connectorId": row.connectorid}]),
}
STOPPING: Wordings = {
    OcppVersion.V16: Wording("RemoteStopTransaction", lambda row: [{"transactionId": row.pk}]),
    OcppVersion.V201: Wording("RequestStopTransaction", lambda row: [{"transactionId": row.uuid or str(row.pk)}]),
}
CANCELLING: Wordings = dict.fromkeys(
    (OcppVersion.V16, OcppVersion.V201),
    Wording("CancelReservation", lambda row: [{"reservationId": row.reservation_id}]),
)


def availability(word: str) -> Wordings:
    return {
        OcppVersion.V16: Wording("ChangeAvailability", lambda row: [{"connectorId": row.evse_id, "type": word}]),
        OcppVersion.V201: Wording("ChangeAvailability", lambda row: [{"operationalStatus": word, "evse": place(row)}]),
    }


@admin.action(description="Send what the local list lacks", permissions=["operate"])
def send_what_lists_lack(
    self: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[ChargePoint] | QuerySet[LocalList]
) -> None:
    # A list has the key of its station.
    name = "SendLocalList"
    send_each(self, request, ((row, row.pk, name, dispatch.synchronise_list) for row in queryset), name)


def operate(model: type[Model], base: type[admin.ModelAdmin], *actions: Callable[..., None]) -> None:
    """Add actions that send commands to an admin page of the domain."""
    page = type(base.__name__, (Operated, base), {"actions": (*(base.actions or ()), *actions)})
    admin.site.unregister(model)
    admin.site.register(model, page)


operate(
    ChargePoint,
    StationAdmin,
    asking("Ask for statuses", STATUSES, of_stations),
    asking("Ask for configuration", CONFIGURATION, of_stations),
    asking("Soft reset", SOFT_RESET, of_stations),
    asking("Hard reset", HARD_RESET, of_stations),
    send_what_lists_lack,
)
operate(
    Connector,
    ConnectorAdmin,
    asking("Unlock", UNLOCKING, of_connectors),
    asking("Put out of service", availability("Inoperative"), of_connectors),
    asking("Put in service", availability("Operative"), of_connectors),
)
operate(Transaction, TransactionAdmin, asking("Stop remotely", STOPPING, of_running))


class ActionFilter(admin.SimpleListFilter):
    title = parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        # All there are, since looking which occur would read the whole table.
        return [(name, name) for name in sorted({name for _, name in BY_NAME})]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(Command)
class CommandAdmin(ReadOnly):
    list_display = ("created_at", "action", station, "status", "came", column("requested_by", "by"), "took")
    list_filter = ("status", ActionFilter, "ocpp_version", "created_at")
    list_select_related = ("requested_by", "report")
    search_fields = ("chargepoint__chargepoint_id", "requested_by__username")
    search_help_text = "Station or user."
    fieldsets = (
        (None, {"fields": ("task_id", station, "ocpp_version", "action", "status", "requested_by")}),
        ("When", {"fields": ("created_at", "sent_at", "finished_at", "expires_at", "took")}),
        ("What", {"fields": ("request", "answer", laid_out("error", "error"), "every_call", "of_report")}),
    )

    @admin.display(description="outcome")
    def came(self, row: Command) -> str:
        """Tell the error, or the status that the station has answered, which may be a refusal."""
        if row.error:
            return " ".join(filter(None, (row.error["code"], row.error["description"])))
        return str((row.response or {}).get("status", "-"))

    @admin.display(description="took")
    def took(self, row: Command) -> str:
        end = row.finished_at
        return f"{(end - row.created_at).total_seconds():.1f} s" if end else "-"

    @admin.display(description="request")
    def request(self, row: Command) -> SafeString:
        return pretty(masked(row.payload))

    @admin.display(description="answer")
    def answer(self, row: Command) -> SafeString:
        return pretty(masked(row.response))

    @admin.display(description="calls")
    def every_call(self, row: Command) -> SafeString:
        return pretty(masked(row.calls) or None)

    @admin.display(description="report")
    def of_report(self, row: Command) -> SafeString | str:
        report: Report | None = getattr(row, "report", None)
        return link(Report, report.pk, str(report.get_status_display())) if report else "-"


@admin.register(Report)
class ReportAdmin(ReadOnly):
    list_display = ("asked_at", "kind", station, "request_id", "status", "parts", "finished_at")
    list_filter = ("kind", "status", "asked_at")
    search_fields = ("chargepoint__chargepoint_id", "request_id__exact")
    search_help_text = "Station or request id."
    fields = (
        "kind",
        station,
        "request_id",
        "status",
        "parts",
        "missing",
        "last",
        "asked_at",
        "heard_at",
        "finished_at",
        laid_out("content", "content"),
        "asked_by",
    )

    @admin.display(description="command")
    def asked_by(self, row: Report) -> SafeString:
        return link(Command, row.command_id)


@admin.register(Reservation)
class ReservationAdmin(Operated, ReadOnly):
    list_display = (
        column("reservation_id", "#"),
        station,
        column("evse_id", "EVSE"),
        "tag",
        column("parent_id_tag", "group"),
        column("expiry_date", "until"),
        column("status", "status"),
        "reason",
        of_transaction,
    )
    list_filter = ("status", "expiry_date", "created_at")
    search_fields = ("chargepoint__chargepoint_id", "id_tag__id_token", "reservation_id__exact")
    search_help_text = "Station, id tag, or number."
    fields = (
        "reservation_id",
        station,
        "evse_id",
        "tag",
        "parent_id_tag",
        "expiry_date",
        "status",
        "reason",
        of_transaction,
        "command",
        "created_at",
        "answered_at",
        "ended_at",
    )
    actions = (asking("Cancel reservations that are not over", CANCELLING, of_open),)

    @admin.display(description="id tag", ordering="id_tag_id")
    def tag(self, row: Reservation) -> SafeString:
        return link(IdTag, row.id_tag_id)

    @admin.display(description="command")
    def command(self, row: Reservation) -> SafeString:
        return link(Command, row.command_id)


@admin.register(LocalList)
class LocalListAdmin(Operated, ReadOnly):
    list_display = (
        station,
        "version",
        "automatic",
        column("reported_version", "reported"),
        column("reported_at", "at"),
        column("last_outcome", "outcome"),
        column("last_attempt", "last attempt"),
    )
    list_filter = ("automatic", "last_outcome")
    search_fields = ("chargepoint__chargepoint_id",)
    fields = (
        station,
        "automatic",
        "is_in_sync",
        "version",
        "updated_at",
        "reported_version",
        "reported_at",
        "last_outcome",
        "last_attempt",
        "failures",
        "number_wanted",
        "number_held",
        laid_out("entries", "what it holds"),
        "withheld",
    )
    actions = (send_what_lists_lack, "keep_in_sync", "leave_alone")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LocalList]:
        return super().get_queryset(request).defer("entries")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> LocalList | None:
        row = super().get_object(request, object_id, from_field)
        return locallists.compare([row], now=timezone.now())[0] if row else None

    @admin.display(description="in sync", boolean=True)
    def is_in_sync(self, row: LocalList) -> bool:
        return row.in_sync

    @admin.display(description="tags it should hold")
    def number_wanted(self, row: LocalList) -> int:
        return len(row.wanted)

    @admin.display(description="tags it holds")
    def number_held(self, row: LocalList) -> str:
        return "unknown" if row.entries is None else str(len(row.entries))

    @admin.action(description="Keep in sync from now on", permissions=["operate"])
    def keep_in_sync(self, request: HttpRequest, queryset: QuerySet[LocalList]) -> None:
        self.message_user(request, f"{queryset.update(automatic=True)} are kept in sync.", messages.SUCCESS)

    @admin.action(description="Leave alone from now on", permissions=["operate"])
    def leave_alone(self, request: HttpRequest, queryset: QuerySet[LocalList]) -> None:
        self.message_user(request, f"{queryset.update(automatic=False)} are left alone.", messages.SUCCESS)
