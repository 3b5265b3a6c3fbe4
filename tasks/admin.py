"""The admin site of commands, and of what can be done by commands, which the domain does not know."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

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
from tasks.action import Action, Payload
from tasks.actions import BY_NAME
from tasks.errors import CommandError
from tasks.models import Command, CommandStatus, Report
from tasks.schemas import InvalidBody

# Sends a station a command, as who asked for it; None where none is needed.
Send = Callable[..., Command | None]
# A row that a station is asked about, the station's identity, and what it is asked.
Asked = tuple[Model, str | None, Payload]


def send_each(
    of: admin.ModelAdmin, request: HttpRequest, name: str, sending: Iterable[tuple[Model, str | None, Send]]
) -> None:
    """Send a command for each row, as REST does without waiting, and tell the user of those that cannot be sent."""
    sending = list(sending)
    known = ChargePoint.objects.with_connected(timezone.now())
    stations = known.in_bulk([key for _, key, _ in sending if key is not None])
    sent = 0
    for row, key, send in sending:
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
            sent += 1
    of.message_user(request, f"{sent} on their way: {name}. The commands tell what comes of them.")


def ask_each(of: admin.ModelAdmin, request: HttpRequest, action: Action, asked: Iterable[Asked]) -> None:
    """Send a command with a payload for each row."""
    sending = [(row, key, partial(dispatch.ask, action=action, payload=payload)) for row, key, payload in asked]
    send_each(of, request, action.name, sending)


class Operated(admin.ModelAdmin):
    """Rows that whoever may send commands can do something about."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tasks.add_command")


def asking(name: str, description: str, asked: Callable[[QuerySet[Any]], Iterable[Asked]]) -> Callable[..., None]:
    """Make an admin action that sends a command of OCPP 1.6 for each of the chosen rows."""

    @admin.action(description=description, permissions=["operate"])
    def act(self: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        ask_each(self, request, BY_NAME[OcppVersion.V16, name], asked(queryset))

    act.__name__ = description.lower().replace(" ", "_")
    return act


def of_stations(payload: Payload) -> Callable[[QuerySet[ChargePoint]], Iterable[Asked]]:
    return lambda rows: ((row, row.pk, payload) for row in rows)


def of_connectors(**payload: Any) -> Callable[[QuerySet[Connector]], Iterable[Asked]]:
    return lambda rows: ((row, row.chargepoint_id, {"connectorId": row.evse_id, **payload}) for row in rows)


def of_running(rows: QuerySet[Transaction]) -> Iterable[Asked]:
    running = rows.filter(stop_transaction_timestamp__isnull=True)
    return ((row, row.chargepoint_id, {"transactionId": row.pk}) for row in running)


def of_open(rows: QuerySet[Reservation]) -> Iterable[Asked]:
    return ((row, row.chargepoint_id, {"reservationId": row.reservation_id}) for row in rows.filter(status__in=OPEN))


@admin.action(description="Send what the local list lacks", permissions=["operate"])
def send_what_lists_lack(
    self: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[ChargePoint] | QuerySet[LocalList]
) -> None:
    # A list has the key of its station.
    send_each(self, request, "SendLocalList", ((row, row.pk, dispatch.synchronise_list) for row in queryset))


def operate(model: type[Model], base: type[admin.ModelAdmin], *actions: Callable[..., None]) -> None:
    """Add actions that send commands to an admin page of the domain."""
    page = type(base.__name__, (Operated, base), {"actions": (*(base.actions or ()), *actions)})
    admin.site.unregister(model)
    admin.site.register(model, page)


operate(
    ChargePoint,
    StationAdmin,
    asking("TriggerMessage", "Ask for statuses", of_stations({"requestedMessage": "StatusNotification"})),
    asking("GetConfiguration", "Ask for configuration", of_stations({})),
    asking("Reset", "Soft reset", of_stations({"type": "Soft"})),
    asking("Reset", "Hard reset", of_stations({"type": "Hard"})),
    send_what_lists_lack,
)
operate(
    Connector,
    ConnectorAdmin,
    asking("UnlockConnector", "Unlock", of_connectors()),
    asking("ChangeAvailability", "Put out of service", of_connectors(type="Inoperative")),
    asking("ChangeAvailability", "Put in service", of_connectors(type="Operative")),
)
operate(Transaction, TransactionAdmin, asking("RemoteStopTransaction", "Stop remotely", of_running))


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
    actions = (asking("CancelReservation", "Cancel reservations that are not over", of_open),)

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
