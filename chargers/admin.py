"""The admin site of the domain, made for somebody who must know at night what is going on."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models, transaction
from django.db.models import Count, Exists, IntegerField, Model, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Coalesce
from django.forms import JSONField, ModelForm, Textarea
from django.forms.fields import InvalidJSONInput
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from chargers import filing
from chargers.changes import Changes, committed
from chargers.choices import CRITICAL_EVENTS, RegistrationStatus, TransactionFlag
from chargers.download import download
from chargers.errors import UnknownFile
from chargers.models import (
    Certificate,
    ChargePoint,
    ChargingLimit,
    ChargingNeeds,
    ChargingProfile,
    CompositeSchedule,
    Connector,
    CsmsNode,
    Deviation,
    DisplayMessage,
    Event,
    EVSchedule,
    FirmwarePublication,
    FirmwareUpdate,
    IdTag,
    InstalledProfile,
    Limitation,
    LocalList,
    Location,
    LogUpload,
    MeterValue,
    Reservation,
    SecurityEvent,
    StatusNotification,
    Transaction,
    TransactionEvent,
    Variable,
    VariableMonitor,
)
from chargers.models.job import Job
from chargers.services import certificates, connectors, limitations, stations

# From when until when a station said something.
SPAN = ("at", "received_at")
# What narrows a list to a station, or to a transaction.
NARROWED = frozenset({"chargepoint__exact", "transaction__exact", SEARCH_VAR})
# Nobody pages further; searching and filtering lead there.
MOST_COUNTED = 10_000


class CappedPaginator(Paginator):
    """Counts no further than anybody pages: counting millions of readings takes the database seconds."""

    @cached_property
    def count(self) -> int:
        return self.object_list[:MOST_COUNTED].count()


class LargeList(ChangeList):
    """Offers to show all rows only where some are left out."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.get_filters_params():
            self.full_result_count = self.result_count


class LargeTable(admin.ModelAdmin):
    """A list of rows that may be many."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LargeList

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """Lead to a row by its first column that does not lead elsewhere."""
        return [next(each for each in list_display if each not in (station, of_transaction))]


class ReadOnly(LargeTable):
    """Rows that tell what was; nobody writes them by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SearchedByKey(ReadOnly):
    """Very many rows, searched by what they belong to, in full.

    Django's own search compares numbers as text and joins what they are the keys of: the database
    would read all rows.
    """

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        number = int(term) if term.isascii() and term.isdecimal() and len(term) < 19 else None
        keys = {"chargepoint_id": term, "transaction_id": number}
        wanted = {name: keys[name] for name in self.search_fields if keys[name] is not None}
        return (queryset.filter(Q(**wanted, _connector=Q.OR)) if wanted else queryset.none()), False


class Editable(admin.ModelAdmin):
    """Rows that operators share with stations: only what was changed is written, and listeners hear of it."""

    topic: str | None = None

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:
        obj.save(update_fields=form.changed_data if change else None)
        self.note([obj.pk], "updated" if change else "created")

    def note(self, keys: Iterable[Any], event: str = "updated") -> None:
        changes = Changes()
        for key in keys if self.topic else ():
            changes.note(self.topic, key, event)
        transaction.on_commit(lambda: committed.send(type(self), changes=changes))


def pretty(value: Any) -> SafeString:
    """Show JSON as a person reads it."""
    return verbatim("" if value is None else json.dumps(value, indent=2, ensure_ascii=False))


def verbatim(text: str) -> SafeString:
    """Show text of many lines."""
    return format_html("<pre style='margin: 0'>{}</pre>", text) if text else SafeString("-")


def link(to: type[Model], key: Any, text: str = "") -> SafeString:
    """Link to a row that may be gone by now."""
    if key is None:
        return SafeString("-")
    name = f"admin:{to._meta.app_label}_{to._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[quote(key)]), text or key)


@admin.display(description="station", ordering="chargepoint_id")
def station(row: Any) -> SafeString:
    return link(ChargePoint, row.chargepoint_id)


@admin.display(description="transaction", ordering="transaction_id")
def of_transaction(row: Any) -> SafeString:
    return link(Transaction, row.transaction_id)


def column(name: str, title: str) -> Callable[[Any], Any]:
    """Show a column under a title that takes no more room than its values."""

    @admin.display(description=title, ordering=name.removeprefix("get_").removesuffix("_display"))
    def show(row: Any) -> Any:
        value = getattr(row, name)
        return value() if callable(value) else value

    return show


def laid_out(name: str, title: str) -> Callable[[Any], SafeString]:
    """Show JSON on lines of its own."""

    @admin.display(description=title)
    def show(row: Any) -> SafeString:
        return pretty(getattr(row, name))

    return show


def prose(name: str, title: str = "", *, of: Callable[[Any], str] | None = None) -> Callable[[Any], SafeString]:
    """Show a text of any length without pushing other columns off the page; `of` reads it off a row."""

    @admin.display(description=title or name.replace("_", " "), ordering=name)
    def show(row: Any) -> SafeString:
        text = of(row) if of else getattr(row, name)
        style = "min-width: 8em; overflow-wrap: anywhere"
        return format_html('<div style="{}">{}</div>', style, text) if text else SafeString("-")

    return show


def marked(name: str, title: str, *, ordering: str | None = None) -> Callable[[Any], str]:
    """Show whether something is so that should catch the eye, where a tick would say that all is well."""

    @admin.display(description=title, ordering=ordering)
    def show(row: Any) -> str:
        return "yes" if getattr(row, name) else "-"

    return show


def kilo(name: str, unit: str, description: str) -> Callable[[Any], str | None]:
    """Show a column in thousands, as people read it: kWh for Wh, kW for W."""

    @admin.display(description=description, ordering=None if name == "energy_wh" else name)
    def show(row: Any) -> str | None:
        value = getattr(row, name)
        return None if value is None else f"{float(value) / 1000:.3f} {unit}".rstrip()

    return show


class ConnectedFilter(admin.SimpleListFilter):
    title = parameter_name = "connected"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Yes"), ("0", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(connected=self.value() == "1") if self.value() else queryset


class DeviatesFilter(admin.SimpleListFilter):
    title = "breaks the rules of OCPP"
    parameter_name = "deviates"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Yes"), ("0", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        found = Exists(Deviation.objects.filter(chargepoint=OuterRef("pk")))
        return queryset.filter(found if self.value() == "1" else ~found) if self.value() else queryset


class FlagFilter(admin.SimpleListFilter):
    title = parameter_name = "flag"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("any", "any"), *((flag, flag.replace("_", " ")) for flag in TransactionFlag.values)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        if self.value() == "any":
            return queryset.exclude(flags=[])
        # As text: SQLite cannot look into a list.
        return queryset.alias(text=Cast("flags", TextField())).filter(text__contains=json.dumps(self.value()))


class OpenFilter(admin.SimpleListFilter):
    title = parameter_name = "running"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Yes"), ("0", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(stop_transaction_timestamp__isnull=self.value() == "1") if self.value() else queryset


class ExpiryFilter(admin.SimpleListFilter):
    title = parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("past", "expired"), ("month", "within a month"), ("later", "later")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        spans = {"past": (None, now), "month": (now, now + certificates.SOON), "later": (now + certificates.SOON, None)}
        first, last = spans.get(self.value() or "", (None, None))
        if first:
            queryset = queryset.filter(not_after__gte=first)
        return queryset.filter(not_after__lt=last) if last else queryset


class CriticalFilter(admin.SimpleListFilter):
    title = parameter_name = "critical"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Yes"), ("0", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        found = Q(type__in=CRITICAL_EVENTS)
        return queryset.filter(found if self.value() == "1" else ~found) if self.value() else queryset


class SeverityFilter(admin.SimpleListFilter):
    title = parameter_name = "severity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        # All there are (2.0.1 N07), since looking which occur would read the whole table.
        return [(str(number), str(number)) for number in range(10)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(severity=self.value()) if self.value() in map(str, range(10)) else queryset


class ConnectorInline(admin.TabularInline):
    model = Connector
    extra = 0
    can_delete = False
    show_change_link = True
    fields = ("evse_id", "connectorid", "connector_status", "error_code", "status_timestamp", "availability_status")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class DeviationInline(admin.TabularInline):
    model = Deviation
    verbose_name_plural = "deviations: how it breaks the rules of OCPP"
    extra = 0
    can_delete = False
    fields = ("kind", "count", "first_seen", "last_seen", "example")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class LimitationInline(admin.TabularInline):
    model = Limitation
    verbose_name_plural = "limitations: what it was found unable to do"
    extra = 0
    can_delete = False
    fields = ("kind", "subject", "reason", "is_certain", "count", "first_seen", "last_seen")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="certain", boolean=True)
    def is_certain(self, row: Limitation) -> bool:
        return row.is_certain


def register_as(status: RegistrationStatus) -> Callable[..., None]:
    """Make the action that gives stations a registration status."""

    @admin.action(description=f"Set registration status: {status.label}", permissions=["change"])
    def act(self: "StationAdmin", request: HttpRequest, queryset: QuerySet[ChargePoint]) -> None:
        keys = list(queryset.exclude(registration_status=status).values_list("pk", flat=True))
        with transaction.atomic():
            ChargePoint.objects.filter(pk__in=keys).update(registration_status=status)
            self.note(keys)
        for row in ChargePoint.objects.filter(pk__in=keys):
            self.log_change(request, row, f"Set the registration status to {status.label}.")
        self.message_user(request, f"{len(keys)} changed to {status.label}.", messages.SUCCESS)

    act.__name__ = f"register_as_{status.name.lower()}"
    return act


@admin.register(ChargePoint)
class StationAdmin(Editable):
    topic = stations.TOPIC
    list_display = (
        column("chargepoint_id", "station"),
        "is_connected",
        "status",
        "deviation_kinds",
        "make",
        column("registration_status", "registration"),
        "last_seen",
        "location",
    )
    list_filter = (
        ConnectedFilter,
        "registration_status",
        "ocpp_version",
        "security_profile",
        DeviatesFilter,
        ("location", admin.RelatedOnlyFieldListFilter),
    )
    list_per_page = 50
    search_fields = (
        "chargepoint_id",
        "chargepoint_vendor",
        "chargepoint_model",
        "chargepoint_serial_number",
        "chargebox_serial_number",
        "location__name",
    )
    autocomplete_fields = ("location",)
    inlines = (ConnectorInline, DeviationInline, LimitationInline)
    actions = ("give_new_keys", "forget_limitations", *(register_as(status) for status in RegistrationStatus))
    told = (
        "chargepoint_vendor",
        "chargepoint_model",
        "chargepoint_serial_number",
        "chargebox_serial_number",
        "firmware_version",
        "meter_type",
        "meter_serial_number",
        "iccid",
        "imsi",
    )
    now = (
        "is_connected",
        "connected_since",
        "node",
        "ip_address",
        "ocpp_version",
        "chargepoint_status",
        "chargepoint_status_timestamp",
        "last_boot",
        "last_heartbeat",
        "last_seen",
    )
    fieldsets = (
        (None, {"fields": ("chargepoint_id", "registration_status", "location", "security_profile", "has_key")}),
        ("Right now", {"fields": (*now, "history")}),
        ("What it says of itself", {"fields": (*told, "created_at")}),
    )
    add_fieldsets = ((None, {"fields": ("chargepoint_id", "registration_status", "location", "security_profile")}),)

    def get_fieldsets(self, request: HttpRequest, obj: ChargePoint | None = None) -> Any:
        return self.fieldsets if obj else self.add_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: ChargePoint | None = None) -> Any:
        return ("chargepoint_id", *self.now, *self.told, "has_key", "history", "created_at") if obj else ()

    def get_inlines(self, request: HttpRequest, obj: ChargePoint | None) -> Any:
        return self.inlines if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChargePoint]:
        kinds = Deviation.objects.filter(chargepoint=OuterRef("pk")).order_by().values("chargepoint")
        counted = Subquery(kinds.annotate(number=Count("pk")).values("number"), output_field=IntegerField())
        rows = super().get_queryset(request).with_connected(timezone.now())
        return rows.annotate(deviating=Coalesce(counted, 0)).select_related("location").prefetch_related("connectors")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Let a station take with it what is its own, though that cannot be deleted by itself."""
        going, counts, _, protected = super().get_deleted_objects(objs, request)
        return going, counts, set(), protected

    @admin.display(description="connected", boolean=True, ordering="connected")
    def is_connected(self, row: ChargePoint) -> bool:
        return row.connected

    @admin.display(description="status", ordering="chargepoint_status")
    def status(self, row: ChargePoint) -> SafeString | str:
        """Tell the station's own status and that of each connector."""
        told = [("", row.chargepoint_status)] if row.chargepoint_status else []
        told += [
            (f"{each.evse_id}.{each.connectorid}:\N{NO-BREAK SPACE}", each.connector_status)
            for each in row.connectors.all()
        ]
        return format_html_join(mark_safe("<br>"), "{}{}", told) or "-"

    @admin.display(description="make", ordering="chargepoint_vendor")
    def make(self, row: ChargePoint) -> SafeString | str:
        """Tell vendor and model, and the firmware below."""
        told = filter(None, (f"{row.chargepoint_vendor} {row.chargepoint_model}".strip(), row.firmware_version))
        return format_html_join(mark_safe("<br>"), "{}", ((each,) for each in told)) or "-"

    @admin.display(description="deviations", ordering="deviating")
    def deviation_kinds(self, row: ChargePoint) -> str:
        return str(row.deviating or "-")

    @admin.display(description="has a key", boolean=True)
    def has_key(self, row: ChargePoint) -> bool:
        return bool(row.key_hash)

    @admin.display(description="history")
    def history(self, row: ChargePoint) -> SafeString:
        """Link to the rows of the station elsewhere."""
        pages: dict[type[Model], str] = {
            Transaction: "transactions",
            StatusNotification: "statuses",
            MeterValue: "meter values",
        }
        pages |= {Variable: "variables", Certificate: "certificates", SecurityEvent: "security events"}
        pages |= {Reservation: "reservations", LocalList: "local list"}
        pages |= {FirmwareUpdate: "firmware updates", LogUpload: "log uploads"}
        pages |= {FirmwarePublication: "firmware publications"}
        pages |= {InstalledProfile: "charging profiles", CompositeSchedule: "composite schedules"}
        pages |= {ChargingLimit: "limits of others", ChargingNeeds: "vehicles' needs"}
        query = urlencode({"chargepoint__exact": row.pk})
        links = [
            (reverse(f"admin:chargers_{to._meta.model_name}_changelist"), query, text) for to, text in pages.items()
        ]
        links.append((reverse("admin:tasks_command_changelist"), query, "commands"))
        return format_html_join(" · ", '<a href="{}?{}">{}</a>', links)

    @admin.action(description="Forget limitations, so that it is asked again", permissions=["change"])
    def forget_limitations(self, request: HttpRequest, queryset: QuerySet[ChargePoint]) -> None:
        keys = list(queryset.filter(limitations__isnull=False).distinct().values_list("pk", flat=True))
        with transaction.atomic():
            for key in keys:
                limitations.forget(key, Changes())
            self.note(keys)
        for row in ChargePoint.objects.filter(pk__in=keys):
            self.log_change(request, row, "Forgot what it was found unable to do.")
        self.message_user(request, f"The limitations of {len(keys)} were forgotten.", messages.SUCCESS)

    @admin.action(description="Give new keys, shown once", permissions=["change"])
    def give_new_keys(self, request: HttpRequest, queryset: QuerySet[ChargePoint]) -> HttpResponse:
        """Ask first: a station with an old key is turned away when it connects next."""
        chosen = list(queryset)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "New keys", "stations": chosen}
        if "confirmed" in request.POST:
            changes, by = Changes(), request.user.get_username()
            with transaction.atomic():
                context["keys"] = [
                    (row, stations.renew_key(row, by=by, at=timezone.now(), changes=changes)) for row in chosen
                ]
                transaction.on_commit(lambda: committed.send(type(self), changes=changes))
            for row in chosen:
                self.log_change(request, row, "Gave a new key.")
        return TemplateResponse(request, "admin/chargers/chargepoint/keys.html", context)


@admin.register(Connector)
class ConnectorAdmin(Editable):
    topic = connectors.TOPIC
    list_display = (
        "__str__",
        column("connector_status", "status"),
        "error_code",
        column("status_timestamp", "since"),
        column("availability_status", "availability"),
        "standard",
        column("power_type", "power"),
    )
    list_filter = ("connector_status", "availability_status", "power_type")
    list_per_page = 50
    search_fields = ("chargepoint__chargepoint_id", "chargepoint__location__name")
    told = (
        station,
        "evse_id",
        "connectorid",
        "connector_status",
        "status_timestamp",
        "error_code",
        "availability_status",
        "uuid",
    )
    fields = (*told, "standard", "format", "power_type")
    readonly_fields = told

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(IdTag)
class IdTagAdmin(Editable):
    list_display = (
        "id_token",
        "friendly_name",
        "user",
        "parent",
        marked("revoked", "revoked", ordering="revoked"),
        "refusal",
        "expiry_date",
        column("max_active_transactions", "at once"),
    )
    list_filter = ("revoked", "refusal", ("expiry_date", admin.EmptyFieldListFilter))
    list_select_related = ("user", "parent")
    list_per_page = 50
    search_fields = ("id_token", "friendly_name", "user__username")
    autocomplete_fields = ("user", "parent")
    readonly_fields = ("created_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: IdTag | None = None) -> Any:
        return ("id_token", *self.readonly_fields) if obj else self.readonly_fields


@admin.register(Location)
class LocationAdmin(Editable):
    list_display = ("name", "city", "country", "time_zone", "number_of_stations")
    search_fields = ("name", "address", "city")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Location]:
        return super().get_queryset(request).annotate(number=Count("chargepoints"))

    @admin.display(description="stations", ordering="number")
    def number_of_stations(self, row: Location) -> SafeString:
        url = reverse("admin:chargers_chargepoint_changelist")
        return format_html('<a href="{}?{}">{}</a>', url, urlencode({"location__id__exact": row.pk}), row.number)


@admin.register(Transaction)
class TransactionAdmin(ReadOnly):
    list_display = (
        column("transaction_id", "#"),
        station,
        column("evse_id", "EVSE"),
        "tag",
        column("start_transaction_timestamp", "start"),
        column("stop_transaction_timestamp", "stop"),
        kilo("energy_wh", "", "kWh"),
        column("transaction_status", "status"),
        "flagged",
    )
    list_filter = (
        OpenFilter,
        "transaction_status",
        "start_transaction_timestamp",
        FlagFilter,
        "authorization_status",
        "ocpp_version",
    )
    search_fields = ("chargepoint__chargepoint_id", "id_tag__id_token", "uuid", "transaction_id__exact")
    search_help_text = "Station, id tag, number, or the station's own id."
    fieldsets = (
        (
            None,
            {"fields": ("transaction_id", "uuid", station, "evse_id", "connectorid", "ocpp_version", "readings")},
        ),
        ("Who", {"fields": ("tag", "authorization_status", "stop_id_tag", "reservation_id")}),
        (
            "When",
            {"fields": ("start_transaction_timestamp", "stop_transaction_timestamp", "reason_stopped", "received_at")},
        ),
        (
            "Energy",
            {
                "fields": (
                    kilo("energy_wh", "kWh", "energy"),
                    "wh_meter_start",
                    "wh_meter_last",
                    "wh_meter_last_timestamp",
                    "wh_meter_stop",
                )
            },
        ),
        (
            "State",
            {"fields": ("transaction_status", "charging_state", "time_spent_charging", "total_cost", "flagged_why")},
        ),
    )

    @admin.display(description="id tag", ordering="id_tag_id")
    def tag(self, row: Transaction) -> SafeString:
        return link(IdTag, row.id_tag_id)

    @admin.display(description="flags")
    def flagged(self, row: Transaction) -> str:
        return ", ".join(row.flags) or "-"

    @admin.display(description="flags")
    def flagged_why(self, row: Transaction) -> SafeString | str:
        """Explain each flag."""
        labels = dict(TransactionFlag.choices)
        return format_html_join("", "<div>{}: {}</div>", [(flag, labels.get(flag, "")) for flag in row.flags]) or "-"

    @admin.display(description="history")
    def readings(self, row: Transaction) -> SafeString:
        query = urlencode({"transaction__exact": row.pk})
        links = [
            (reverse("admin:chargers_metervalue_changelist"), query, "meter values"),
            (reverse("admin:chargers_transactionevent_changelist"), query, "events"),
        ]
        return format_html_join(" · ", '<a href="{}?{}">{}</a>', links)


@admin.register(TransactionEvent)
class TransactionEventAdmin(SearchedByKey):
    list_display = (of_transaction, "seq_no", "kind", "trigger", "charging_state", "timestamp", "offline")
    search_fields = ("transaction_id",)
    search_help_text = "Number of the transaction."
    ordering = ("-id",)


@admin.register(MeterValue)
class MeterValueAdmin(SearchedByKey):
    list_display = (
        "timestamp",
        station,
        column("evse_id", "EVSE"),
        of_transaction,
        kilo("energy_wh", "kWh", "meter"),
        kilo("power_w", "kW", "power"),
        column("current_a", "A"),
        column("voltage_v", "V"),
        column("soc_percent", "battery %"),
    )
    search_fields = ("chargepoint_id", "transaction_id")
    search_help_text = "Station's identity, or number of the transaction, in full."
    fields = (
        station,
        "evse_id",
        "connectorid",
        of_transaction,
        "timestamp",
        "timestamp_raw",
        "received_at",
        laid_out("samples", "sampled values"),
    )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Sort by what an index can: those of a station or a transaction by their time, all by when they came."""
        return ("-id",) if request.GET.keys().isdisjoint(NARROWED) else ("-timestamp", "-id")


@admin.register(StatusNotification)
class StatusNotificationAdmin(ReadOnly):
    list_display = (
        "timestamp",
        station,
        column("evse_id", "EVSE"),
        column("connectorid", "connector"),
        "status",
        "error_code",
        prose("info"),
        column("vendor_error_code", "vendor's code"),
        column("received_at", "received"),
    )
    search_fields = ("chargepoint__chargepoint_id__exact", "error_code", "vendor_error_code")
    search_help_text = "Station's identity in full, or an error code."
    ordering = ("-id",)
    fields = (
        station,
        "ocpp_version",
        "evse_id",
        "connectorid",
        "status",
        "error_code",
        "info",
        "vendor_id",
        "vendor_error_code",
        "timestamp",
        "timestamp_raw",
        "received_at",
    )


@admin.register(Variable)
class VariableAdmin(ReadOnly):
    list_display = (
        station,
        "variable",
        "component",
        prose("value"),
        column("get_mutability_display", "mutability"),
        column("read_at", "read"),
    )
    list_filter = ("mutability",)
    search_fields = ("chargepoint__chargepoint_id__exact", "variable", "component")
    search_help_text = "Station's identity in full, or part of the variable's name."


@admin.register(Certificate)
class CertificateAdmin(ReadOnly):
    list_display = (
        column("updated_at", "changed"),
        station,
        column("get_use_display", "use"),
        column("status", "status"),
        prose("subject"),
        column("not_after", "expires"),
        prose("reason"),
    )
    list_filter = ("status", "use", ExpiryFilter)
    search_fields = ("chargepoint__chargepoint_id", "subject", "serial_number__iexact", "reason")
    search_help_text = "Station, subject, serial number in full, or part of the reason."
    fieldsets = (
        (None, {"fields": (station, "use", "status", "reason", "attempts", "brought_by", "created_at", "updated_at")}),
        ("Certificate", {"fields": ("subject", "serial_number", "not_after", "is_valid", "whole")}),
        ("Named by", {"fields": ("hash_algorithm", "issuer_name_hash", "issuer_key_hash", "children")}),
        ("Signing request", {"fields": ("request",)}),
    )

    @admin.display(description="in date", boolean=True, ordering="not_after")
    def is_valid(self, row: Certificate) -> bool | None:
        return row.not_after > timezone.now() if row.not_after else None

    @admin.display(description="command")
    def brought_by(self, row: Certificate) -> SafeString:
        if row.command_id is None:
            return SafeString("-")
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:tasks_command_change", args=[row.command_id]), row.command_id
        )

    @admin.display(description="PEM")
    def whole(self, row: Certificate) -> SafeString:
        return verbatim(row.pem)

    @admin.display(description="PEM")
    def request(self, row: Certificate) -> SafeString:
        return verbatim(row.csr)


def limits(row: Any) -> str:
    """Tell the limits of a profile's schedules, one after the other, with the unit."""
    return ", ".join(_limits(each["charging_schedule_period"], each["charging_rate_unit"]) for each in row.schedules)


def _limits(periods: Iterable[Any], unit: str) -> str:
    return " > ".join(f"{period['limit']:g}" for period in periods) + f" {unit}"


class ReadableJSON(JSONField):
    """JSON to edit, laid out as a person reads it."""

    widget = Textarea(attrs={"rows": 24, "cols": 80, "style": "font-family: monospace", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        # What was typed and is no JSON stays as it was typed.
        text = super().prepare_value(value)
        return text if isinstance(value, InvalidJSONInput) else json.dumps(json.loads(text), indent=2)


@admin.register(ChargingProfile)
class ChargingProfileAdmin(Editable):
    formfield_overrides: ClassVar = {models.JSONField: {"form_class": ReadableJSON}}
    list_display = (
        column("chargingprofile_id", "#"),
        "purpose",
        "stack_level",
        "kind",
        limits,
        "valid_from",
        "valid_to",
    )
    list_filter = ("purpose", "kind")
    list_per_page = 50
    search_fields = ("chargingprofile_id__exact",)
    search_help_text = "Number of the profile."
    fields = (
        "purpose",
        "stack_level",
        "kind",
        "recurrency_kind",
        "valid_from",
        "valid_to",
        "transaction_id",
        "schedules",
    )


@admin.register(InstalledProfile)
class InstalledProfileAdmin(ReadOnly):
    list_display = (
        station,
        column("evse_id", "EVSE"),
        column("chargingprofile_id", "#"),
        "purpose",
        column("stack_level", "level"),
        limits,
        column("state", "state"),
        column("source", "set by"),
        of_transaction,
        marked("without_effect", "no effect", ordering="without_effect"),
    )
    list_filter = ("state", "purpose", "source", "without_effect")
    search_fields = ("chargepoint__chargepoint_id__exact", "transaction__transaction_id__exact")
    search_help_text = "Station's identity, or number of the transaction, in full."
    fieldsets = (
        (
            None,
            {
                "fields": (
                    station,
                    "evse_id",
                    "state",
                    "source",
                    "since",
                    "told_at",
                    of_transaction,
                    "without_effect",
                )
            },
        ),
        (
            "What it says",
            {
                "fields": (
                    "chargingprofile_id",
                    "purpose",
                    "stack_level",
                    "kind",
                    "recurrency_kind",
                    "valid_from",
                    "valid_to",
                    laid_out("schedules", "schedule"),
                )
            },
        ),
    )


@admin.register(CompositeSchedule)
class CompositeScheduleAdmin(ReadOnly):
    list_display = (station, column("evse_id", "EVSE"), "limits", "schedule_start", "duration", "received_at")
    search_fields = ("chargepoint__chargepoint_id__exact",)
    search_help_text = "Station's identity in full."
    fields = (
        station,
        "evse_id",
        "charging_rate_unit",
        "schedule_start",
        "duration",
        "min_charging_rate",
        laid_out("charging_schedule_period", "periods"),
        "received_at",
    )

    @admin.display(description="limits")
    def limits(self, row: CompositeSchedule) -> str:
        return _limits(row.charging_schedule_period, row.charging_rate_unit)


@admin.register(ChargingLimit)
class ChargingLimitAdmin(ReadOnly):
    list_display = (
        station,
        column("evse_id", "EVSE"),
        column("source", "set by"),
        limits,
        "is_grid_critical",
        "received_at",
    )
    list_filter = ("source", "is_grid_critical")
    search_fields = ("chargepoint__chargepoint_id__exact",)
    search_help_text = "Station's identity in full."
    fields = (station, "evse_id", "source", "is_grid_critical", laid_out("schedules", "schedules"), "received_at")


@admin.register(ChargingNeeds)
class ChargingNeedsAdmin(ReadOnly):
    list_display = (
        "received_at",
        station,
        column("evse_id", "EVSE"),
        of_transaction,
        column("requested_energy_transfer", "transfer"),
        "departure_time",
        column("status", "answered"),
        limits,
    )
    list_filter = ("status", "received_at")
    search_fields = ("chargepoint__chargepoint_id__exact", "transaction__transaction_id__exact")
    search_help_text = "Station's identity, or number of the transaction, in full."
    fieldsets = (
        (None, {"fields": (station, "evse_id", of_transaction, "received_at")}),
        (
            "What the vehicle needs",
            {
                "fields": (
                    "requested_energy_transfer",
                    "departure_time",
                    "max_schedule_tuples",
                    laid_out("parameters", "parameters"),
                )
            },
        ),
        ("What it was given", {"fields": ("status", "chargingprofile_id", laid_out("schedules", "schedules"))}),
    )


@admin.register(EVSchedule)
class EVScheduleAdmin(ReadOnly):
    list_display = (
        "received_at",
        station,
        column("evse_id", "EVSE"),
        of_transaction,
        "time_base",
        "limits",
        "within_limits",
    )
    list_filter = ("within_limits", "received_at")
    search_fields = ("chargepoint__chargepoint_id__exact", "transaction__transaction_id__exact")
    search_help_text = "Station's identity, or number of the transaction, in full."
    fields = (
        station,
        "evse_id",
        of_transaction,
        "time_base",
        laid_out("schedule", "schedule"),
        "within_limits",
        "received_at",
    )

    @admin.display(description="limits")
    def limits(self, row: EVSchedule) -> str:
        return _limits(row.schedule["charging_schedule_period"], row.schedule["charging_rate_unit"])


@admin.register(Deviation)
class DeviationAdmin(ReadOnly):
    list_display = ("kind", station, "count", "first_seen", "last_seen", prose("example"))
    list_filter = ("kind",)
    search_fields = ("chargepoint__chargepoint_id", "kind", "example")


@admin.register(Limitation)
class LimitationAdmin(ReadOnly):
    list_display = (station, "kind", "subject", prose("reason"), "count", "first_seen", "last_seen")
    list_filter = ("kind",)
    search_fields = ("chargepoint__chargepoint_id", "subject")


@admin.register(Event)
class EventAdmin(ReadOnly):
    list_display = (
        "timestamp",
        station,
        "component",
        column("evse_id", "EVSE"),
        "variable",
        prose("actual_value"),
        "severity",
        "trigger",
        "cleared",
        "cleared_at",
    )
    list_filter = (SeverityFilter, "trigger", "cleared", "timestamp")
    search_fields = ("chargepoint__chargepoint_id", "component", "variable")
    search_help_text = "Station, or part of the name of the component or the variable."


@admin.register(DisplayMessage)
class DisplayMessageAdmin(ReadOnly):
    list_display = ("message_id", station, "status", "priority", "state", prose("content"), "start", "end", "told_at")
    list_filter = ("status", "priority", "state")
    search_fields = ("chargepoint__chargepoint_id", "content")
    search_help_text = "Station, or part of the content."


@admin.register(VariableMonitor)
class VariableMonitorAdmin(ReadOnly):
    list_display = (
        "monitor_id",
        station,
        "component",
        column("evse_id", "EVSE"),
        "variable",
        "type",
        "value",
        "severity",
        "told_at",
    )
    list_filter = ("type", "severity")
    search_fields = ("chargepoint__chargepoint_id", "component", "variable")
    search_help_text = "Station, or part of the name of the component or the variable."


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnly):
    list_display = (
        "timestamp",
        station,
        "type",
        marked("critical", "critical"),
        prose("tech_info"),
        "count",
        "received_at",
    )
    list_filter = (CriticalFilter, "timestamp")
    search_fields = ("chargepoint__chargepoint_id__exact", "type")
    search_help_text = "Station's identity in full, or part of the event's type."

    fields = (station, "type", "tech_info", "timestamp", "timestamp_raw", "received_at")


class JobAdmin(ReadOnly):
    """What firmware updates and log uploads have in common."""

    list_select_related = ("asked_by",)
    search_fields = ("chargepoint__chargepoint_id", "request_id__exact", "asked_by__username")
    search_help_text = "Station, request id or user."
    progress = ("Progress", {"fields": ("status", "status_at", "told")})

    def get_urls(self) -> list[Any]:
        serve = self.admin_site.admin_view(self.serve)
        return [path("<int:job_id>/file/<path:name>", serve, name=self.file_view), *super().get_urls()]

    @property
    def file_view(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_file"

    def serve(self, request: HttpRequest, job_id: int, name: str) -> HttpResponseBase:
        """Download a file of a job, with the session of the admin where REST asks for a token."""
        job = self.get_object(request, str(job_id))
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        if job is None or not job.owns(name):
            raise Http404
        try:
            return download(request, name)
        except UnknownFile as error:
            raise Http404 from error

    @admin.display(description="file", ordering="location")
    def files(self, row: Job) -> SafeString:
        """Lead to what is there; else tell where it should be, which is shorter than the whole URL."""
        found = filing.files_of(row)
        flags = filing.flags(row, found)
        lines = [
            format_html(
                '<a href="{}">{}</a> ({})',
                reverse(f"admin:{self.file_view}", args=[row.pk, each.path]),
                each.path,
                filesizeformat(each.size),
            )
            for each in found or ()
        ] or [row.file_path or row.location or "-"]
        lines += [format_html("<strong>{}</strong>", flag.label) for flag in flags]
        style = "min-width: 8em; overflow-wrap: anywhere"
        return format_html_join("", '<div style="{}">{}</div>', ((style, line) for line in lines))

    @admin.display(description="command")
    def command(self, row: Job) -> SafeString:
        if row.command_id is None:
            return SafeString("not asked for by the platform")
        # By name: the domain knows no commands.
        url = reverse("admin:tasks_command_change", args=[row.command_id])
        return format_html('<a href="{}">{}</a>', url, row.command_id)

    @admin.display(description="reports")
    def told(self, row: Job) -> SafeString | str:
        """Tell what the station said, when that first came and, if it was repeated, when it last did."""
        said = []
        for each in row.reports:
            first, last = (date_format(datetime.fromisoformat(each[when]), "DATETIME_FORMAT") for when in SPAN)
            said.append((first if first == last else f"{first} to {last}", each["status"]))
        return format_html_join("", "<div>{}: {}</div>", said) or "-"


@admin.register(FirmwareUpdate)
class FirmwareUpdateAdmin(JobAdmin):
    list_display = (
        "id",
        station,
        column("status", "status"),
        column("status_at", "since"),
        "signed",
        "files",
        column("firmware_before", "before"),
        column("firmware_after", "after"),
        column("asked_by", "by"),
    )
    list_filter = ("status", "signed", "asked_at")
    fieldsets = (
        (None, {"fields": ("id", station, "request_id", "command", "asked_at", "asked_by", "signed")}),
        ("What", {"fields": ("location", "files", "retrieve_at", "install_at", "retries", "retry_interval")}),
        JobAdmin.progress,
        ("Version", {"fields": ("firmware_before", "firmware_after")}),
        ("Signature", {"fields": ("signing_certificate", "signature")}),
    )


@admin.register(FirmwarePublication)
class FirmwarePublicationAdmin(JobAdmin):
    list_display = (
        "id",
        station,
        column("status", "status"),
        column("status_at", "since"),
        "files",
        "checksum",
        column("asked_by", "by"),
    )
    list_filter = ("status", "asked_at")
    search_fields = (*JobAdmin.search_fields, "checksum__iexact")
    search_help_text = "Station, request id, user or checksum."
    fieldsets = (
        (None, {"fields": ("id", station, "request_id", "command", "asked_at", "asked_by")}),
        ("What", {"fields": ("location", "files", "checksum", "retries", "retry_interval")}),
        JobAdmin.progress,
        ("Offered", {"fields": ("locations",)}),
    )


@admin.register(LogUpload)
class LogUploadAdmin(JobAdmin):
    list_display = (
        "id",
        station,
        column("log_type", "log"),
        column("status", "status"),
        column("status_at", "since"),
        "files",
        column("asked_by", "by"),
    )
    list_filter = ("status", "log_type", "asked_at")
    search_fields = (*JobAdmin.search_fields, "file_name")
    search_help_text = "Station, request id, user or file name."
    fieldsets = (
        (None, {"fields": ("id", station, "request_id", "command", "asked_at", "asked_by", "log_type")}),
        ("What", {"fields": ("location", "oldest", "latest", "retries", "retry_interval")}),
        JobAdmin.progress,
        ("File", {"fields": ("file_name", "files")}),
    )


@admin.register(CsmsNode)
class CsmsNodeAdmin(ReadOnly):
    list_display = ("name", "is_alive", "number_of_stations", "started_at", "lease_until", "node_id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CsmsNode]:
        return super().get_queryset(request).annotate(number=Count("chargepoints"))

    @admin.display(description="alive", boolean=True, ordering="lease_until")
    def is_alive(self, row: CsmsNode) -> bool:
        return row.is_alive(timezone.now())

    @admin.display(description="stations", ordering="number")
    def number_of_stations(self, row: CsmsNode) -> int:
        return row.number
