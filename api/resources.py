"""The resources, each a queryset and its name."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api import filters, identities, inputs, representations
from api.openapi import Schema
from api.samples import Samples
from api.viewsets import Changeable, Creatable, Deletable, Listed, Readable, Resource
from api.work import Work
from chargers import authority, selectors
from chargers.changes import Changes
from chargers.errors import UnknownChargingProfile, UnknownStation
from chargers.models import (
    Certificate,
    ChargePoint,
    ChargingLimit,
    ChargingNeeds,
    ChargingProfile,
    CompositeSchedule,
    Connector,
    DisplayMessage,
    Event,
    EVSchedule,
    FirmwarePublication,
    FirmwareUpdate,
    IdTag,
    InstalledProfile,
    Location,
    LogUpload,
    Reservation,
    SecurityEvent,
    StatusNotification,
    Transaction,
    Variable,
    VariableMonitor,
)
from chargers.models.idtag import tag_key
from chargers.models.station import identity_key
from chargers.services import (
    connectors,
    events,
    firmware,
    installedprofiles,
    logs,
    publications,
    reservations,
    security,
    stations,
)
from tasks import commands, updates
from tasks.models import Command


class StationResource(Listed, Readable, Creatable, Changeable, Deletable, Resource):
    """A charging station. What it reports of itself is read-only.

    Adding one registers it before it first connects, and answers its key, this once. Deleting one
    keeps its transactions; if it may register itself, it is back when it connects again.
    """

    tag = "stations"
    noun = "a station"
    topic = stations.TOPIC
    serializer_class = representations.Station
    created_class = representations.NewStation
    input_class = inputs.StationInput
    filterset_class = filters.Stations
    lookup_url_kwarg = "chargepoint_id"
    lookup = "lookup_key"
    key = staticmethod(identity_key)
    ordering = ("chargepoint_id",)
    ordering_fields = (
        "chargepoint_id",
        "chargepoint_vendor",
        "chargepoint_model",
        "firmware_version",
        "connected",
        "chargepoint_status",
        "ocpp_version",
        "registration_status",
        "last_heartbeat",
        "last_seen",
    )

    def get_queryset(self) -> QuerySet[ChargePoint]:
        return selectors.chargepoints(now=timezone.now())

    def missing(self, given: str) -> Exception:
        return UnknownStation(given)

    def complete(self, row: ChargePoint) -> dict[str, Any]:
        return {"key": stations.new_key(row)}

    def note_going(self, work: Work, row: ChargePoint) -> None:
        work.note_deleted(connectors.TOPIC, row.connectors.values_list("pk", flat=True))
        work.note_deleted(installedprofiles.TOPIC, row.installed_profiles.values_list("pk", flat=True))
        super().note_going(work, row)


class ConnectorResource(Listed, Readable, Changeable, Resource):
    """A plug of a station. Connector n of an OCPP 1.6 station is EVSE n, connector 1.

    Connectors are learnt from what stations report; what stations do not tell can be set.
    """

    tag = "connectors"
    noun = "a connector"
    topic = connectors.TOPIC
    serializer_class = representations.Connector
    input_class = inputs.ConnectorInput
    filterset_class = filters.Connectors
    lookup_url_kwarg = "uuid"
    key = UUID
    ordering = ("chargepoint_id", "evse_id", "connectorid")
    ordering_fields = ("chargepoint", "evse_id", "connectorid", "connector_status", "availability_status")

    def get_queryset(self) -> QuerySet[Connector]:
        return selectors.connectors()


class CertificateResource(Listed, Readable, Resource):
    """A certificate that a station is believed to hold, or that it wants signed.

    A station's own is signed and brought to it by itself. Roots are installed, read and deleted
    with the commands InstallCertificate, GetInstalledCertificateIds and DeleteCertificate.
    """

    tag = "certificates"
    noun = "a certificate"
    serializer_class = representations.Certificate
    filterset_class = filters.Certificates
    lookup_url_kwarg = "certificate_id"
    key = staticmethod(int)
    ordering = ("-id",)
    ordering_fields = ("certificate_id", "chargepoint_id", "use", "status", "not_after", "created_at", "updated_at")
    columns = {"certificate_id": "id"}

    def get_queryset(self) -> QuerySet[Certificate]:
        return Certificate.objects.all()


class CertificateAuthority(APIView):
    """The root of the embedded certificate authority, by which certificates of stations are verified."""

    schema = Schema()
    tag = "certificates"
    summaries = {"get": "Read the certificate authority"}
    problems = {"get": {404: ("CERTIFICATE_AUTHORITY_DOES_NOT_EXIST", "Another authority signs, or none.")}}
    serializer_class = representations.CertificateAuthority

    def get(self, request: Request) -> Response:
        return Response(representations.CertificateAuthority(authority.embedded().root()).data)


class IdTagResource(Listed, Readable, Creatable, Changeable, Deletable, Resource):
    """What a driver presents to charge. Case and separators do not matter. Deleting one keeps its transactions."""

    tag = "id tags"
    noun = "an id tag"
    serializer_class = representations.IdTag
    input_class = inputs.IdTagInput
    filterset_class = filters.IdTags
    lookup_url_kwarg = "id_token"
    lookup = "lookup_key"
    key = staticmethod(tag_key)
    ordering = ("id_token",)
    ordering_fields = ("idToken", "friendly_name", "expiry_date")
    columns = {"idToken": "id_token"}

    def get_queryset(self) -> QuerySet[IdTag]:
        return selectors.idtags()


class TransactionResource(Listed, Readable, Resource):
    """A charging session. Energy is in Wh; `flags` say what makes it worth a second look."""

    tag = "transactions"
    noun = "a transaction"
    serializer_class = representations.Transaction
    filterset_class = filters.Transactions
    lookup_url_kwarg = "transaction_id"
    key = staticmethod(int)
    ordering = ("-transaction_id",)
    ordering_fields = (
        "transaction_id",
        "chargepoint_id",
        "id_tag",
        "start_transaction_timestamp",
        "stop_transaction_timestamp",
        "transaction_status",
    )

    def get_queryset(self) -> QuerySet[Transaction]:
        return selectors.transactions()


class SampleSchema(Schema):
    def get_override_parameters(self) -> list[OpenApiParameter]:
        own = [OpenApiParameter(name, OpenApiTypes.STR) for name in SampleResource.members]
        return [*super().get_override_parameters(), *own]


class SampleResource(Resource):
    """Every sampled value of a transaction, an object each, oldest first."""

    schema = SampleSchema()
    tag = "transactions"
    noun = "a transaction"
    summaries = {"list": "List the sampled values of a transaction"}
    lookup_url_kwarg = "transaction_id"
    key = staticmethod(int)
    serializer_class = representations.SampledValue
    filter_backends = ()
    members = ("unit", "measurand")

    def get_queryset(self) -> QuerySet[Transaction]:
        return Transaction.objects.all()

    def list(self, request: Request, transaction_id: str) -> Response:
        transaction = self.get_object()
        page = self.paginate_queryset(Samples(transaction, self.wanted()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def wanted(self) -> dict[str, str]:
        wanted = {name: value for name in self.members if (value := self.request.query_params.get(name))}
        if bad := [name for name, value in wanted.items() if "\0" in value]:
            raise ValidationError({name: ["Null characters are not allowed."] for name in bad})
        return wanted


def of_station(rows: QuerySet, given: str) -> QuerySet:
    """Narrow history to one station's, which may be gone. Raises UnknownStation where there never was one."""
    # PostgreSQL knows no NUL.
    station = identities.station(given) if "\0" not in given else ""
    rows = rows.filter(chargepoint_id=station)
    if not ChargePoint.objects.filter(pk=station).exists() and not rows.exists():
        raise UnknownStation(given)
    return rows


class StatusResource(Listed, Resource):
    """Every status that a station reported, newest first. A deleted station's are kept."""

    tag = "stations"
    summaries = {"list": "List the status history of a station"}
    serializer_class = representations.StatusNotification
    filterset_class = filters.Statuses
    ordering = ("-id",)
    ordering_fields = ("timestamp", "received_at")

    def get_queryset(self) -> QuerySet[StatusNotification]:
        if getattr(self, "swagger_fake_view", False):
            return StatusNotification.objects.none()
        return of_station(StatusNotification.objects.all(), self.kwargs["chargepoint_id"])


class ReservationSchema(Schema):
    def get_operation_id(self) -> str:
        # Both lists would be called the same.
        return f"{super().get_operation_id()}{'_of_station' if 'chargepoint_id' in self.path else ''}"


class ReservationResource(Listed, Resource):
    """A connector that a station keeps, or was asked to keep, for an id tag and its group; newest first.

    Reservations are made and given up by commands. While one is `Accepted`, nobody else may charge
    there. A deleted station's are kept.
    """

    schema = ReservationSchema()
    tag = "reservations"
    topic = reservations.TOPIC
    serializer_class = representations.Reservation
    filterset_class = filters.Reservations
    ordering = ("-id",)
    ordering_fields = ("reservation_id", "chargepoint_id", "id_tag", "expiry_date", "status", "created_at", "ended_at")

    def get_queryset(self) -> QuerySet[Reservation]:
        rows = selectors.reservations()
        return of_station(rows, self.kwargs["chargepoint_id"]) if "chargepoint_id" in self.kwargs else rows


class LocationResource(Listed, Readable, Creatable, Changeable, Deletable, Resource):
    """A place with stations, described as OCPI does."""

    tag = "locations"
    noun = "a location"
    serializer_class = representations.Location
    input_class = inputs.LocationInput
    lookup_url_kwarg = "id"
    key = UUID
    ordering = ("name",)
    ordering_fields = ("name", "city", "country")

    def get_queryset(self) -> QuerySet[Location]:
        return Location.objects.all()

    def note_going(self, work: Work, row: Location) -> None:
        for station in row.chargepoints.values_list("pk", flat=True):
            work.note(stations.TOPIC, station)


class VariableResource(Listed, Resource):
    """A setting of a station as it last told it: a configuration key of OCPP 1.6, or a variable of 2.x."""

    tag = "stations"
    summaries = {"list": "List the variables of stations"}
    serializer_class = representations.Variable
    filterset_class = filters.Variables
    ordering = ("chargepoint_id", "component", "variable")
    ordering_fields = ("chargepoint_id", "component", "variable", "read_at")

    def get_queryset(self) -> QuerySet[Variable]:
        return Variable.objects.all()


class EventResource(Listed, Readable, Resource):
    """What a station noticed of one of its variables, newest first; an alarm that is over says since when.

    A deleted station's are kept.
    """

    tag = "stations"
    noun = "an event"
    summaries = {"list": "List the events of stations"}
    topic = events.TOPIC
    serializer_class = representations.Event
    filterset_class = filters.Events
    lookup_url_kwarg = "event"
    key = staticmethod(int)
    ordering = ("-id",)
    ordering_fields = ("timestamp", "received_at", "chargepoint_id", "severity")

    def get_queryset(self) -> QuerySet[Event]:
        return Event.objects.all()


class DisplayMessageResource(Listed, Resource):
    """A message that a station is believed to display, or is asked to: ask for them anew with GetDisplayMessages."""

    tag = "stations"
    summaries = {"list": "List the messages on displays"}
    serializer_class = representations.DisplayMessage
    filterset_class = filters.DisplayMessages
    ordering = ("chargepoint_id", "message_id")
    ordering_fields = ("chargepoint_id", "message_id", "told_at")

    def get_queryset(self) -> QuerySet[DisplayMessage]:
        return DisplayMessage.objects.all()


class VariableMonitorResource(Listed, Resource):
    """A monitor of a variable that a station is believed to have: ask for them anew with GetMonitoringReport."""

    tag = "stations"
    summaries = {"list": "List the monitors of variables"}
    serializer_class = representations.VariableMonitor
    filterset_class = filters.VariableMonitors
    ordering = ("chargepoint_id", "monitor_id")
    ordering_fields = ("chargepoint_id", "monitor_id", "severity", "told_at")

    def get_queryset(self) -> QuerySet[VariableMonitor]:
        return VariableMonitor.objects.all()


class SecurityEventResource(Listed, Readable, Resource):
    """A security event that a station reported, or the platform noticed at it, newest first.

    A deleted station's are kept.
    """

    tag = "stations"
    noun = "a security event"
    summaries = {"list": "List the security events of stations"}
    topic = security.TOPIC
    serializer_class = representations.SecurityEvent
    filterset_class = filters.SecurityEvents
    lookup_url_kwarg = "event_id"
    key = staticmethod(int)
    ordering = ("-id",)
    ordering_fields = ("timestamp", "received_at", "chargepoint_id", "type")

    def get_queryset(self) -> QuerySet[SecurityEvent]:
        return SecurityEvent.objects.all()


class FirmwareUpdateResource(Listed, Readable, Resource):
    """A firmware that a station is asked to install, or installs by itself, and how far it is.

    After *Installed* nothing more is reported; the version that the station tells at its next boot
    is in `firmware_after`.
    """

    tag = "firmware updates"
    noun = "a firmware update"
    topic = firmware.TOPIC
    serializer_class = representations.FirmwareUpdate
    filterset_class = filters.FirmwareUpdates
    lookup_url_kwarg = "update_id"
    key = staticmethod(int)
    ordering = ("-id",)
    ordering_fields = ("id", "chargepoint_id", "status", "status_at", "asked_at", "retrieve_at")

    def get_queryset(self) -> QuerySet[FirmwareUpdate]:
        return selectors.firmwareupdates()


class FirmwarePublicationResource(Listed, Readable, Resource):
    """A firmware that a local controller is asked to offer to its stations, and how far it is.

    Once it is *Published*, its `locations` are what the stations may be asked to update from.
    """

    tag = "firmware updates"
    noun = "a publication of firmware"
    topic = publications.TOPIC
    serializer_class = representations.FirmwarePublication
    filterset_class = filters.FirmwarePublications
    lookup_url_kwarg = "publication_id"
    key = staticmethod(int)
    ordering = ("-id",)
    ordering_fields = ("id", "chargepoint_id", "status", "status_at", "asked_at")

    def get_queryset(self) -> QuerySet[FirmwarePublication]:
        return selectors.firmwarepublications()


class LogUploadResource(Listed, Readable, Resource):
    """A log that a station is asked to upload, or uploads by itself, and how far it is."""

    tag = "log uploads"
    noun = "a log upload"
    topic = logs.TOPIC
    serializer_class = representations.LogUpload
    filterset_class = filters.LogUploads
    lookup_url_kwarg = "upload_id"
    key = staticmethod(int)
    ordering = ("-id",)
    ordering_fields = ("id", "chargepoint_id", "log_type", "status", "status_at", "asked_at")

    def get_queryset(self) -> QuerySet[LogUpload]:
        return selectors.loguploads()


class ChargingProfile16Resource(Listed, Readable, Creatable, Changeable, Deletable, Resource):
    """A charging profile in store, as OCPP 1.6 has it: to be sent by its id, with SetChargingProfile or a remote start.

    Changing or deleting one changes nothing at the stations that were sent it.
    """

    tag = "charging profiles"
    noun = "a charging profile"
    serializer_class = representations.ChargingProfile16
    input_class = inputs.ChargingProfile16Input
    lookup_url_kwarg = "chargingprofile_id"
    key = staticmethod(int)
    ordering = ("chargingprofile_id",)
    ordering_fields = ("chargingprofile_id", "stack_level", "chargingprofile_purpose", "chargingprofile_kind")
    columns = {"chargingprofile_purpose": "purpose", "chargingprofile_kind": "kind"}

    def get_queryset(self) -> QuerySet[ChargingProfile]:
        # With several schedules it is none that 1.6 could say.
        return ChargingProfile.objects.filter(schedules__1__isnull=True)

    def missing(self, given: str) -> Exception:
        return UnknownChargingProfile(given)


class ChargingProfile201Resource(ChargingProfile16Resource):
    """A charging profile in store, with all that OCPP 2.0.1 knows of it: to be sent by its id, as those of 1.6 are.

    Both resources have the same profiles; what 1.6 cannot say is here only. Changing or deleting
    one changes nothing at the stations that were sent it.
    """

    noun = "a charging profile of OCPP 2.0.1"
    serializer_class = representations.ChargingProfile201
    input_class = inputs.ChargingProfile201Input

    def get_queryset(self) -> QuerySet[ChargingProfile]:
        return ChargingProfile.objects.all()


class InstalledProfileResource(Listed, Readable, Resource):
    """A charging profile that a station is believed to have, by what it answered, or to be given."""

    tag = "charging profiles"
    noun = "a charging profile of a station"
    summaries = {"list": "List the charging profiles that stations have"}
    serializer_class = representations.InstalledProfile
    filterset_class = filters.InstalledProfiles
    lookup_url_kwarg = "installedprofile_id"
    key = staticmethod(int)
    ordering = ("chargepoint_id", "evse_id", "purpose", "-stack_level")
    ordering_fields = ("chargepoint_id", "evse_id", "chargingprofile_purpose", "stack_level", "since")
    columns = {"chargingprofile_purpose": "purpose"}

    def get_queryset(self) -> QuerySet[InstalledProfile]:
        return InstalledProfile.objects.all()


class CompositeScheduleResource(Listed, Resource):
    """What a station last said that all its charging profiles come to: ask it anew with GetCompositeSchedule."""

    tag = "charging profiles"
    summaries = {"list": "List the composite schedules of stations"}
    serializer_class = representations.CompositeSchedule
    filterset_class = filters.CompositeSchedules
    ordering = ("chargepoint_id", "evse_id", "charging_rate_unit")
    ordering_fields = ("chargepoint_id", "evse_id", "received_at")

    def get_queryset(self) -> QuerySet[CompositeSchedule]:
        return CompositeSchedule.objects.all()


class ChargingLimitResource(Listed, Readable, Resource):
    """A limit that somebody else than the platform has set at a station, such as an energy management system."""

    tag = "charging profiles"
    noun = "a charging limit"
    serializer_class = representations.ChargingLimit
    filterset_class = filters.ChargingLimits
    lookup_url_kwarg = "charginglimit_id"
    key = staticmethod(int)
    ordering = ("chargepoint_id", "evse_id", "source")
    ordering_fields = ("chargepoint_id", "evse_id", "received_at")

    def get_queryset(self) -> QuerySet[ChargingLimit]:
        return ChargingLimit.objects.all()


class ChargingNeedsResource(Listed, Readable, Resource):
    """What a vehicle that speaks ISO 15118 said that it needs, and what it was given; the newest first."""

    tag = "charging profiles"
    noun = "a vehicle's needs"
    summaries = {"list": "List what vehicles need"}
    serializer_class = representations.ChargingNeeds
    filterset_class = filters.VehicleReports
    lookup_url_kwarg = "chargingneeds_id"
    key = staticmethod(int)
    ordering = ("-received_at",)
    ordering_fields = ("chargepoint_id", "evse_id", "received_at")

    def get_queryset(self) -> QuerySet[ChargingNeeds]:
        return ChargingNeeds.objects.all()


class EVScheduleResource(Listed, Readable, Resource):
    """The schedule by which a vehicle said that it will charge; the newest first."""

    tag = "charging profiles"
    noun = "a vehicle's schedule"
    summaries = {"list": "List the schedules that vehicles tell"}
    serializer_class = representations.EVSchedule
    filterset_class = filters.VehicleReports
    lookup_url_kwarg = "evschedule_id"
    key = staticmethod(int)
    ordering = ("-received_at",)
    ordering_fields = ("chargepoint_id", "evse_id", "received_at")

    def get_queryset(self) -> QuerySet[EVSchedule]:
        return EVSchedule.objects.all()


class CommandResource(Listed, Readable, Deletable, Resource):
    """What a station was asked to do, and what came of it. One that is still queued can be cancelled."""

    tag = "commands"
    noun = "a command"
    summaries = {"destroy": "Cancel a command"}
    problems = {"destroy": {409: ("COMMAND_NOT_QUEUED", "It is no longer queued.")}}
    serializer_class = representations.Command
    filterset_class = filters.Commands
    lookup_url_kwarg = "task_id"
    key = UUID
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "sent_at", "finished_at", "chargepoint_id", "action", "status")

    def get_queryset(self) -> QuerySet[Command]:
        return Command.objects.select_related("requested_by", "report")

    def destroy(self, request: Request, task_id: str) -> Response:
        changes = Changes()
        # Committed before anybody is told: whoever waits for the command reads the row at once.
        commands.cancel(self.get_object(), now=timezone.now(), changes=changes)
        updates.publish(changes)
        return Response(status=status.HTTP_204_NO_CONTENT)
