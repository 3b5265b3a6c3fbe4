"""What a list can be narrowed to and sorted by. A value that makes no sense is refused, never ignored."""

from datetime import UTC, datetime
from typing import Any

import django_filters as filters
from django import forms
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model, Q, QuerySet
from django_filters.fields import IsoDateTimeField
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from api import identities
from chargers.choices import (
    CRITICAL_EVENTS,
    CertificateStatus,
    CertificateUse,
    ChargingLimitSource,
    ChargingProfilePurpose,
    ConnectorStatus,
    DisplayMessageStatus,
    EventTrigger,
    FirmwarePublicationStatus,
    FirmwareUpdateStatus,
    LogType,
    LogUploadStatus,
    MessagePriority,
    MessageState,
    MonitorType,
    Mutability,
    OcppVersion,
    RegistrationStatus,
    ReservationStatus,
    TransactionStatus,
    VariableAttribute,
)
from tasks.models import CommandStatus

# The largest number that a column of either database compares with.
MAX_NUMBER = 2**31 - 1


class Ordering(OrderingFilter):
    """``ordering=name,-other``; rows without a value come last, equal ones in a fixed order."""

    def get_ordering(self, request: Request, queryset: QuerySet, view: APIView) -> list[Any]:
        given = request.query_params.get(self.ordering_param)
        if not given:
            return [*view.ordering, "pk"]
        return [*(_term(queryset.model, view, term.strip()) for term in given.split(",")), "pk"]

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        names = [sign + name for name in view.ordering_fields for sign in ("", "-")]
        return [
            {
                "name": self.ordering_param,
                "in": "query",
                "required": False,
                "description": "What to sort by, with `-` before it the other way around.",
                "schema": {"type": "array", "items": {"type": "string", "enum": names}},
                "style": "form",
                "explode": False,
            }
        ]


def _term(model: type[Model], view: APIView, term: str) -> Any:
    name = term.removeprefix("-")
    if name not in view.ordering_fields:
        raise ValidationError({"ordering": [f"Cannot sort by {name!r}, only by {', '.join(view.ordering_fields)}."]})
    column = view.columns.get(name, name)
    # Only where it is needed: the databases' indexes keep their own order of nulls.
    nulls_last = True if _is_nullable(model, column) else None
    return F(column).desc(nulls_last=nulls_last) if term != name else F(column).asc(nulls_last=nulls_last)


def _is_nullable(model: type[Model], column: str) -> bool:
    try:
        return model._meta.get_field(column).null
    except FieldDoesNotExist:
        return False


class TextFilter(filters.CharFilter):
    """Text as it was given, blanks around it included."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strip=False, **options)


class StationFilter(TextFilter):
    """A station's identity, upper and lower case alike."""

    def filter(self, rows: QuerySet, value: str) -> QuerySet:
        return super().filter(rows, identities.station(value) if value else value)


class TagFilter(TextFilter):
    """An id tag, case and separators aside."""

    def filter(self, rows: QuerySet, value: str) -> QuerySet:
        return super().filter(rows, identities.tag(value) if value else value)


@extend_schema_field(OpenApiTypes.BOOL)
class FlagFilter(filters.TypedChoiceFilter):
    """``true`` or ``false``."""

    def __init__(self, **options: Any) -> None:
        choices = [(word, word) for word in ("true", "false", "True", "False", "1", "0")]
        super().__init__(choices=choices, coerce=lambda word: word in ("true", "True", "1"), **options)


@extend_schema_field(OpenApiTypes.INT)
class CountFilter(filters.NumberFilter):
    """A whole number, such as that of a connector."""

    field_class = forms.IntegerField

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=MAX_NUMBER, **options)


class MomentField(IsoDateTimeField):
    def clean(self, value: Any) -> datetime | None:
        try:
            moment = super().clean(value)
            return moment.astimezone(UTC) if moment else None
        except OverflowError as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error


class MomentFilter(filters.IsoDateTimeFilter):
    """A time in ISO 8601, taken as UTC where it names no zone."""

    field_class = MomentField


class ConnectorNumberFilter(CountFilter):
    """The number by which the station names a connector.

    A station of OCPP 1.6 numbers its connectors through, which are its EVSEs here; later ones
    number the connectors of each EVSE. `version` names the column with the version.
    """

    def __init__(self, *, version: str) -> None:
        self.version = version
        super().__init__(label="The connector's number, as its station counts: of a 1.6 station the EVSE.")

    def filter(self, rows: QuerySet, value: int | None) -> QuerySet:
        if value is None:
            return rows
        is_v16 = Q(**{self.version: OcppVersion.V16})
        return rows.filter(is_v16 & Q(evse_id=value) | ~is_v16 & Q(connectorid=value))


class Stations(filters.FilterSet):
    chargepoint_status = TextFilter()
    connected = FlagFilter(label="Connected right now.")
    ocpp_version = filters.ChoiceFilter(choices=OcppVersion.choices)
    registration_status = filters.ChoiceFilter(choices=RegistrationStatus.choices)
    location = filters.UUIDFilter(field_name="location_id")


class Connectors(filters.FilterSet):
    chargepoint_id = StationFilter()
    evse_id = CountFilter()
    connector_id = ConnectorNumberFilter(version="chargepoint__ocpp_version")
    connector_status = filters.ChoiceFilter(choices=ConnectorStatus.choices)


class Certificates(filters.FilterSet):
    chargepoint_id = StationFilter()
    use = filters.ChoiceFilter(choices=CertificateUse.choices)
    status = filters.ChoiceFilter(choices=CertificateStatus.choices)


class IdTags(filters.FilterSet):
    username = TextFilter(field_name="user__username")
    friendly_name = TextFilter()


class Transactions(filters.FilterSet):
    chargepoint_id = StationFilter()
    evse_id = CountFilter()
    connector_id = ConnectorNumberFilter(version="ocpp_version")
    id_token = TagFilter(field_name="id_tag_id")
    username = TextFilter(field_name="id_tag__user__username", label="Who the id tag belongs to.")
    transaction_status = filters.ChoiceFilter(choices=TransactionStatus.choices)
    uuid = TextFilter(label="The station's own id.")
    remote_start_id = CountFilter(label="Of the RequestStartTransaction that it follows.")
    start_after = MomentFilter(
        field_name="start_transaction_timestamp", lookup_expr="gte", label="Started at this time or later."
    )
    start_before = MomentFilter(
        field_name="start_transaction_timestamp", lookup_expr="lt", label="Started before this time."
    )


class Reservations(filters.FilterSet):
    chargepoint_id = StationFilter()
    id_token = TagFilter(field_name="id_tag_id")
    status = filters.ChoiceFilter(choices=ReservationStatus.choices)


class LocalLists(filters.FilterSet):
    chargepoint_id = StationFilter()
    automatic = FlagFilter()


class Variables(filters.FilterSet):
    chargepoint_id = StationFilter()
    component = TextFilter()
    component_instance = TextFilter()
    evse_id = CountFilter()
    connector_id = CountFilter(field_name="connectorid")
    variable = TextFilter()
    variable_instance = TextFilter()
    attribute = filters.ChoiceFilter(choices=VariableAttribute.choices)
    mutability = filters.ChoiceFilter(choices=Mutability.choices)
    reboot_required = FlagFilter()


class Events(filters.FilterSet):
    chargepoint_id = StationFilter()
    component = TextFilter()
    variable = TextFilter()
    evse_id = CountFilter()
    trigger = filters.ChoiceFilter(choices=EventTrigger.choices)
    severity = CountFilter(lookup_expr="lte", label="As severe as this or more; 0 is the most severe.")
    cleared = FlagFilter(label="Whether it tells that an alarm is over.")
    after = MomentFilter(field_name="timestamp", lookup_expr="gte", label="Happened at this time or later.")
    before = MomentFilter(field_name="timestamp", lookup_expr="lt", label="Happened before this time.")


class DisplayMessages(filters.FilterSet):
    chargepoint_id = StationFilter()
    status = filters.ChoiceFilter(choices=DisplayMessageStatus.choices)
    priority = filters.ChoiceFilter(choices=MessagePriority.choices)
    state = filters.ChoiceFilter(choices=MessageState.choices)


class VariableMonitors(filters.FilterSet):
    chargepoint_id = StationFilter()
    component = TextFilter()
    variable = TextFilter()
    type = filters.ChoiceFilter(choices=MonitorType.choices)


class Statuses(filters.FilterSet):
    evse_id = CountFilter()
    connector_id = ConnectorNumberFilter(version="ocpp_version")
    status = TextFilter()


class SecurityEvents(filters.FilterSet):
    chargepoint_id = StationFilter()
    type = TextFilter()
    critical = FlagFilter(method="pick_critical", label="Whether the specification counts its type as critical.")
    after = MomentFilter(field_name="timestamp", lookup_expr="gte", label="Happened at this time or later.")
    before = MomentFilter(field_name="timestamp", lookup_expr="lt", label="Happened before this time.")

    def pick_critical(self, rows: QuerySet, name: str, wanted: bool) -> QuerySet:
        critical = Q(type__in=CRITICAL_EVENTS)
        return rows.filter(critical if wanted else ~critical)


class FirmwarePublications(filters.FilterSet):
    chargepoint_id = StationFilter()
    status = filters.ChoiceFilter(choices=FirmwarePublicationStatus.choices)


class FirmwareUpdates(filters.FilterSet):
    chargepoint_id = StationFilter()
    status = filters.ChoiceFilter(choices=FirmwareUpdateStatus.choices)


class LogUploads(filters.FilterSet):
    chargepoint_id = StationFilter()
    status = filters.ChoiceFilter(choices=LogUploadStatus.choices)
    log_type = filters.ChoiceFilter(choices=LogType.choices)


class InstalledProfiles(filters.FilterSet):
    chargepoint_id = StationFilter()
    evse_id = CountFilter()
    purpose = filters.ChoiceFilter(choices=ChargingProfilePurpose.choices)


class ChargingLimits(filters.FilterSet):
    chargepoint_id = StationFilter()
    evse_id = CountFilter()
    source = filters.ChoiceFilter(choices=ChargingLimitSource.choices)


class VehicleReports(filters.FilterSet):
    chargepoint_id = StationFilter()
    evse_id = CountFilter()
    transaction_id = CountFilter()


class CompositeSchedules(filters.FilterSet):
    chargepoint_id = StationFilter()
    evse_id = CountFilter()


class Commands(filters.FilterSet):
    chargepoint_id = StationFilter()
    status = filters.ChoiceFilter(choices=CommandStatus.choices)
    action = TextFilter()
