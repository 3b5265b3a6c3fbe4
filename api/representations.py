"""What the resources look like to clients, declared for OpenAPI.

The objects themselves are spelt in one place, `chargers.representation` and
`tasks.updates.represent_command`, since live updates send the very same ones. A test compares
the fields declared here with the keys found there.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chargers import choices, representation
from tasks.models import CommandStatus, ReportKind, ReportStatus
from tasks.updates import represent_command
from tasks.v2 import charging as v2
from tasks.v16 import charging as v16


# No docstring: it would be every resource's description.
# Shows a row by calling `represent`; the context's ``fields`` pick some of its members.
class Representation(serializers.Serializer):
    represent: ClassVar[Callable[[Any], dict[str, Any]]]

    def to_representation(self, row: Any) -> dict[str, Any]:
        whole = type(self).represent(row)
        picked = self.context.get("fields")
        return {name: whole[name] for name in picked} if picked else whole


class Energy(serializers.FloatField):
    """Energy in Wh; none where it is not known."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)


class Moment(serializers.DateTimeField):
    """A time in UTC, or none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_null=True, **options)


class Deviation(serializers.Serializer):
    kind = serializers.CharField()
    count = serializers.IntegerField()
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    example = serializers.CharField()


class Limitation(serializers.Serializer):
    kind = serializers.ChoiceField(choices=choices.LimitationKind.choices)
    subject = serializers.CharField(help_text="which one, where there are several of the kind")
    reason = serializers.CharField(help_text="what it said")
    certain = serializers.BooleanField(help_text="asking again is of no use: commands that need it are refused")
    count = serializers.IntegerField(help_text="how often in a row")
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()


class Station(Representation):
    represent = staticmethod(representation.chargepoint)

    chargepoint_id = serializers.CharField()
    chargepoint_vendor = serializers.CharField()
    chargepoint_model = serializers.CharField()
    chargepoint_serial_number = serializers.CharField()
    chargebox_serial_number = serializers.CharField()
    firmware_version = serializers.CharField()
    ip_address = serializers.IPAddressField(allow_null=True)
    connected = serializers.BooleanField(help_text="whether it is connected right now")
    chargepoint_status = serializers.CharField(help_text="the last status of the station as a whole")
    ocpp_version = serializers.ChoiceField(
        choices=choices.OcppVersion.choices, allow_blank=True, help_text="empty before it first connected"
    )
    registration_status = serializers.ChoiceField(
        choices=choices.RegistrationStatus.choices, help_text="what its boot is answered"
    )
    security_profile = serializers.ChoiceField(
        choices=choices.SecurityProfile.choices, help_text="how it proves its identity when it connects"
    )
    last_heartbeat = Moment()
    last_seen = Moment()
    deviations = Deviation(many=True, help_text="the ways in which it breaks the rules of OCPP")
    limitations = Limitation(many=True, help_text="what it was found unable to do")
    location = serializers.UUIDField(allow_null=True)


class NewStation(Station):
    """A station just registered, with its key."""

    key = serializers.CharField(help_text="the station's password for OCPP, shown only now")


class Connector(Representation):
    represent = staticmethod(representation.connector)

    uuid = serializers.UUIDField()
    chargepoint = serializers.CharField(help_text="the station's identity")
    evse_id = serializers.IntegerField(help_text="of a 1.6 station the number of its connector")
    connectorid = serializers.IntegerField(help_text="counts from 1 on each EVSE")
    connector_status = serializers.ChoiceField(choices=choices.ConnectorStatus.choices)
    availability_status = serializers.ChoiceField(choices=choices.AvailabilityStatus.choices)
    standard = serializers.CharField(help_text="OCPI ConnectorType, such as `IEC_62196_T2_COMBO`")
    format = serializers.ChoiceField(choices=choices.ConnectorFormat.choices, allow_blank=True)
    power_type = serializers.ChoiceField(choices=choices.PowerType.choices, allow_blank=True)


class CertificateHashData(serializers.Serializer):
    hash_algorithm = serializers.CharField(help_text="`SHA256`, `SHA384` or `SHA512`")
    issuer_name_hash = serializers.CharField()
    issuer_key_hash = serializers.CharField()
    serial_number = serializers.CharField()


class Certificate(Representation):
    represent = staticmethod(representation.certificate)

    certificate_id = serializers.IntegerField()
    chargepoint_id = serializers.CharField(allow_null=True)
    use = serializers.ChoiceField(choices=choices.CertificateUse.choices)
    status = serializers.ChoiceField(choices=choices.CertificateStatus.choices)
    reason = serializers.CharField(help_text="why it was rejected, or what went wrong last")
    subject = serializers.CharField(help_text="empty where the station told no more than its hashes")
    serial_number = serializers.CharField(help_text="hexadecimal")
    not_after = Moment(help_text="when it expires")
    certificate_hash_data = CertificateHashData(allow_null=True, help_text="what DeleteCertificate names it by")
    child_certificate_hash_data = CertificateHashData(
        many=True, help_text="the certificates between it and its root, as the station names them"
    )
    pem = serializers.CharField(help_text="the certificate, or the chain of a station's own")
    csr = serializers.CharField(help_text="the signing request")
    attempts = serializers.IntegerField(help_text="to sign it, or to bring it to the station")
    task_id = serializers.UUIDField(allow_null=True, help_text="the command that brought it to the station last")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CertificateAuthority(Representation):
    represent = staticmethod(representation.authority)

    subject = serializers.CharField()
    serial_number = serializers.CharField(help_text="hexadecimal")
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField(help_text="when it expires")
    fingerprint = serializers.CharField(help_text="SHA256, hexadecimal")
    pem = serializers.CharField(help_text="its root certificate, to be installed as CentralSystemRootCertificate")


class IdTag(Representation):
    represent = staticmethod(representation.idtag)

    idToken = serializers.CharField()
    friendly_name = serializers.CharField()
    parent = serializers.CharField(allow_null=True, help_text="the tag whose group this one belongs to")
    expiry_date = Moment()
    revoked = serializers.BooleanField(help_text="a revoked tag is answered Blocked")
    refusal = serializers.ChoiceField(
        choices=[(each.value, each.label) for each in choices.REFUSALS],
        allow_blank=True,
        help_text="why the driver may not charge for the time being",
    )
    token_type = serializers.ChoiceField(
        choices=choices.TokenType.choices,
        allow_blank=True,
        help_text="the only type that a 2.x station may present it as; empty means any",
    )
    user = serializers.CharField(allow_null=True, help_text="username")
    max_active_transactions = serializers.IntegerField(
        allow_null=True, help_text="how many may run at once; null means any number"
    )


class Transaction(Representation):
    represent = staticmethod(representation.transaction)

    transaction_id = serializers.IntegerField()
    uuid = serializers.CharField(allow_null=True, help_text="the station's own id, where it has one")
    connector = Connector(allow_null=True)
    chargepoint_id = serializers.CharField(allow_null=True)
    id_tag = serializers.CharField(allow_null=True)
    authorization_status = serializers.ChoiceField(
        choices=choices.AuthorizationStatus.choices, allow_blank=True, help_text="what its start was answered"
    )
    start_transaction_timestamp = Moment()
    stop_transaction_timestamp = Moment()
    wh_meter_start = Energy()
    wh_meter_last = Energy()
    wh_meter_last_timestamp = Moment()
    wh_meter_stop = Energy()
    energy_wh = Energy(help_text="energy delivered so far, in Wh")
    reason_stopped = serializers.CharField()
    charging_state = serializers.CharField(help_text="as the newest event of a 2.x station told")
    time_spent_charging = serializers.IntegerField(allow_null=True, help_text="s in which energy was delivered")
    remote_start_id = serializers.IntegerField(allow_null=True, help_text="of the RequestStartTransaction it follows")
    total_cost = serializers.FloatField(
        allow_null=True, help_text="what the station was told that it costs, taxes included"
    )
    transaction_status = serializers.ChoiceField(choices=choices.TransactionStatus.choices)
    flags = serializers.ListField(
        child=serializers.ChoiceField(choices=choices.TransactionFlag.choices),
        help_text="what makes it worth a second look before it is billed",
    )


class Reservation(Representation):
    represent = staticmethod(representation.reservation)

    reservation_id = serializers.IntegerField(help_text="what the station knows it by")
    chargepoint_id = serializers.CharField(allow_null=True)
    evse_id = serializers.IntegerField(help_text="0 is any of the station's")
    connector_type = serializers.CharField(help_text="the kind it must be; empty means any")
    connector = Connector(allow_null=True, help_text="null where it may be any, or was unknown")
    id_tag = serializers.CharField(allow_null=True)
    parent_id_tag = serializers.CharField(help_text="the tag whose group may use it too")
    expiry_date = serializers.DateTimeField()
    status = serializers.ChoiceField(choices=choices.ReservationStatus.choices)
    reason = serializers.CharField(help_text="why it was refused, failed or removed")
    transaction_id = serializers.IntegerField(allow_null=True, help_text="the transaction that used it up")
    task_id = serializers.UUIDField(allow_null=True, help_text="the command that asked for it")
    created_at = serializers.DateTimeField()
    answered_at = Moment()
    ended_at = Moment()


class LocalList(Representation):
    represent = staticmethod(representation.locallist)

    chargepoint_id = serializers.CharField()
    automatic = serializers.BooleanField(help_text="changes of id tags are sent to it without being asked")
    in_sync = serializers.BooleanField(help_text="it is known to hold what it should")
    entries_wanted = serializers.IntegerField(help_text="how many tags it should hold")
    entries_held = serializers.IntegerField(allow_null=True, help_text="how many it holds; null where nobody knows")
    version = serializers.IntegerField(allow_null=True, help_text="of what it was last sent and took")
    updated_at = Moment()
    reported_version = serializers.IntegerField(
        allow_null=True, help_text="what it last told: 0 is an empty list, -1 says that it keeps none"
    )
    reported_at = Moment()
    last_attempt = Moment()
    last_outcome = serializers.CharField(help_text="`Accepted`, or why not; empty while the answer is out")
    withheld = serializers.ListField(
        child=serializers.CharField(),
        help_text="id tags of customers whom the station was told to forget: it is sent them only when an operator names them",
    )


class ListEntry(serializers.Serializer):
    status = serializers.CharField(help_text="as Authorize answers it, such as `Accepted`")
    expiry_date = Moment()
    parent = serializers.CharField(allow_null=True)


class ListEntries(serializers.Serializer):
    id_tag = serializers.CharField()
    wanted = ListEntry(allow_null=True, help_text="what it should be told as; null where it should not be there")
    held = ListEntry(allow_null=True, help_text="what it is believed to be told as; null where it is not there")


class LocalListInFull(LocalList):
    represent = staticmethod(representation.locallist_in_full)

    entries = ListEntries(many=True)


class SampledValue(Representation):
    """One sampled value of a transaction, OCPP's defaults filled in."""

    represent = staticmethod(dict)

    timestamp = serializers.DateTimeField()
    value = serializers.CharField(help_text="as the meter sent it")
    context = serializers.CharField(help_text="such as `Sample.Periodic`")
    format = serializers.CharField(help_text="`Raw` or `SignedData`")
    measurand = serializers.CharField(help_text="such as `Energy.Active.Import.Register`")
    phase = serializers.CharField(allow_null=True)
    location = serializers.CharField(help_text="such as `Outlet`")
    unit = serializers.CharField(allow_null=True)
    signed_meter_value = serializers.JSONField(
        required=False, help_text="what a 2.x station signed it with, as it came: SignedMeterValueType"
    )


class StatusNotification(Representation):
    represent = staticmethod(representation.statusnotification)

    chargepoint_id = serializers.CharField()
    evse_id = serializers.IntegerField(help_text="0 is the station as a whole")
    connector_id = serializers.IntegerField()
    status = serializers.CharField()
    error_code = serializers.CharField()
    info = serializers.CharField()
    vendor_id = serializers.CharField()
    vendor_error_code = serializers.CharField()
    timestamp = serializers.DateTimeField()
    timestamp_raw = serializers.CharField(help_text="what the station sent, where it could not be taken as it is")
    received_at = serializers.DateTimeField()


class SecurityEvent(Representation):
    represent = staticmethod(representation.securityevent)

    id = serializers.IntegerField()
    chargepoint_id = serializers.CharField()
    type = serializers.CharField(help_text="such as `TamperDetectionActivated`")
    critical = serializers.BooleanField(help_text="whether the specification counts its type as critical")
    tech_info = serializers.CharField()
    timestamp = serializers.DateTimeField()
    timestamp_raw = serializers.CharField(help_text="what the station sent, where it could not be taken as it is")
    received_at = serializers.DateTimeField()
    count = serializers.IntegerField(help_text="how often within the hour, for attempts to connect that were refused")


class JobReport(serializers.Serializer):
    status = serializers.CharField(help_text="the station's word")
    at = serializers.DateTimeField(help_text="when it first came")
    received_at = serializers.DateTimeField(help_text="when it last came")


class StoredFile(serializers.Serializer):
    path = serializers.CharField(help_text="below the root of the file servers, as stations see it")
    size = serializers.IntegerField(help_text="in bytes")
    modified = serializers.DateTimeField()
    url = serializers.CharField(help_text="where it can be downloaded, with an access token")


# No docstring, as above.
class File(StoredFile, Representation):
    represent = staticmethod(representation.file)

    kind = serializers.ChoiceField(
        choices=choices.FileKind.choices, help_text="by where it lies, or `firmware` once an update names it"
    )
    chargepoint_id = serializers.CharField(allow_null=True, help_text="null where the path does not tell")
    logupload = serializers.IntegerField(allow_null=True, help_text="the job that asked for it")
    firmwareupdate = serializers.IntegerField(allow_null=True, help_text="the job that has it fetched, the newest one")


# What firmware updates and log uploads have in common; no docstring, as above.
class Job(serializers.Serializer):
    id = serializers.IntegerField()
    chargepoint_id = serializers.CharField(allow_null=True)
    request_id = serializers.IntegerField(
        allow_null=True, help_text="by which the station names it, in the messages that have one"
    )
    task_id = serializers.UUIDField(
        allow_null=True, help_text="the command that asked for it; null where the station did it by itself"
    )
    location = serializers.CharField(help_text="the URL that the station was told, without its password")
    path = serializers.CharField(
        help_text="where the file lies on the platform's own file server; empty where it lies elsewhere"
    )
    files = StoredFile(
        many=True,
        allow_null=True,
        help_text="what is there, up to 100; null where it lies elsewhere or cannot be seen from here",
    )
    flags = serializers.ListField(
        child=serializers.ChoiceField(choices=choices.JobFlag.choices),
        help_text="`file_missing`: reported as uploaded, or to be fetched, and not there; "
        "`file_unreported`: there, and not reported as uploaded",
    )
    retries = serializers.IntegerField(allow_null=True)
    retry_interval = serializers.IntegerField(allow_null=True, help_text="seconds")
    asked_at = Moment()
    asked_by = serializers.CharField(allow_null=True, help_text="username")
    status_at = serializers.DateTimeField(help_text="since when it has its status")
    reports = JobReport(many=True, help_text="what the station said, each word once until another follows")


class FirmwarePublication(Job, Representation):
    represent = staticmethod(representation.firmwarepublication)

    status = serializers.ChoiceField(choices=choices.FirmwarePublicationStatus.choices)
    checksum = serializers.CharField(help_text="MD5 of the whole file, in hexadecimal")
    locations = serializers.ListField(
        child=serializers.CharField(), help_text="the URLs at which stations find it, without their passwords"
    )


class FirmwareUpdate(Job, Representation):
    represent = staticmethod(representation.firmwareupdate)

    status = serializers.ChoiceField(choices=choices.FirmwareUpdateStatus.choices)
    signed = serializers.BooleanField()
    retrieve_at = Moment(help_text="not to be retrieved before")
    install_at = Moment(help_text="not to be installed before")
    signing_certificate = serializers.CharField()
    signature = serializers.CharField()
    firmware_before = serializers.CharField(help_text="the version that the station had told by then")
    firmware_after = serializers.CharField(help_text="the first other version that it told at a boot")


class LogUpload(Job, Representation):
    represent = staticmethod(representation.logupload)

    status = serializers.ChoiceField(choices=choices.LogUploadStatus.choices)
    log_type = serializers.ChoiceField(choices=choices.LogType.choices, allow_blank=True)
    file_name = serializers.CharField(help_text="as the station called it")
    oldest = Moment(help_text="from when the log was asked for")
    latest = Moment(help_text="until when the log was asked for")


class Coordinates(serializers.Serializer):
    latitude = serializers.CharField()
    longitude = serializers.CharField()


class Location(Representation):
    represent = staticmethod(representation.location)

    id = serializers.UUIDField()
    name = serializers.CharField()
    address = serializers.CharField()
    city = serializers.CharField()
    postal_code = serializers.CharField()
    country = serializers.CharField(help_text="ISO 3166-1 alpha-3")
    coordinates = Coordinates(allow_null=True)
    parking_type = serializers.ChoiceField(choices=choices.ParkingType.choices, allow_blank=True)
    time_zone = serializers.CharField(help_text="IANA name, such as `Europe/Athens`")


class VariableCharacteristics(serializers.Serializer):
    """What values a variable may have; members that were not told are left out."""

    unit = serializers.CharField(required=False)
    data_type = serializers.CharField(required=False, help_text="such as `integer` or `OptionList`")
    min_limit = serializers.FloatField(required=False)
    max_limit = serializers.FloatField(required=False)
    values_list = serializers.CharField(required=False, help_text="separated by commas")
    supports_monitoring = serializers.BooleanField(required=False)


class OfVariable(serializers.Serializer):
    """What is about a variable of a station."""

    chargepoint_id = serializers.CharField()
    component = serializers.CharField()
    component_instance = serializers.CharField()
    evse_id = serializers.IntegerField(help_text="0 for the station itself")
    connector_id = serializers.IntegerField()
    variable = serializers.CharField()
    variable_instance = serializers.CharField()


class Event(OfVariable, Representation):
    represent = staticmethod(representation.event)

    id = serializers.IntegerField()
    event_id = serializers.IntegerField(help_text="the station's own number")
    trigger = serializers.ChoiceField(choices=choices.EventTrigger.choices)
    notification = serializers.ChoiceField(choices=choices.EventNotification.choices)
    monitor_id = serializers.IntegerField(allow_null=True)
    severity = serializers.IntegerField(allow_null=True, help_text="from 0, danger, to 9, debug: its monitor's")
    actual_value = serializers.CharField()
    cause = serializers.IntegerField(allow_null=True, help_text="`event_id` of the event that caused it")
    tech_code = serializers.CharField()
    tech_info = serializers.CharField()
    transaction_uuid = serializers.CharField(help_text="the station's own id of the transaction it belongs to")
    cleared = serializers.BooleanField(help_text="whether it tells that an alarm is over")
    cleared_at = Moment(help_text="since when the alarm is over")
    timestamp = serializers.DateTimeField()
    timestamp_raw = serializers.CharField(help_text="what the station sent, where it could not be taken as it is")
    received_at = serializers.DateTimeField()


class DisplayMessage(Representation):
    represent = staticmethod(representation.displaymessage)

    id = serializers.IntegerField()
    chargepoint_id = serializers.CharField()
    message_id = serializers.IntegerField(help_text="the station's number, which ClearDisplayMessage names it by")
    status = serializers.ChoiceField(choices=choices.DisplayMessageStatus.choices)
    priority = serializers.ChoiceField(choices=choices.MessagePriority.choices)
    state = serializers.ChoiceField(
        choices=choices.MessageState.choices, allow_null=True, help_text="of the station while it is shown; any if null"
    )
    start_date_time = Moment()
    end_date_time = Moment()
    transaction_uuid = serializers.CharField(help_text="the station's own id of the transaction it is shown for")
    format = serializers.ChoiceField(choices=choices.MessageFormat.choices)
    language = serializers.CharField(help_text="RFC 5646, such as `en`")
    content = serializers.CharField()
    display = serializers.CharField(help_text="the component that shows it, the main display if empty")
    evse_id = serializers.IntegerField(help_text="of that component; 0 for the station's")
    told_at = serializers.DateTimeField(help_text="when the station last told or accepted it")


class VariableMonitor(OfVariable, Representation):
    represent = staticmethod(representation.variablemonitor)

    id = serializers.IntegerField()
    monitor_id = serializers.IntegerField(help_text="the station's number, which ClearVariableMonitoring names it by")
    type = serializers.ChoiceField(choices=choices.MonitorType.choices)
    value = serializers.FloatField(help_text="threshold, change, or seconds, by its type")
    severity = serializers.IntegerField(help_text="from 0, danger, to 9, debug")
    transaction = serializers.BooleanField(help_text="whether it watches during transactions only")
    told_at = serializers.DateTimeField(help_text="when the station last told or accepted it")


class Variable(Representation):
    represent = staticmethod(representation.variable)

    chargepoint_id = serializers.CharField()
    component = serializers.CharField(help_text="empty for a configuration key of OCPP 1.6")
    component_instance = serializers.CharField()
    evse_id = serializers.IntegerField()
    connector_id = serializers.IntegerField()
    variable = serializers.CharField()
    variable_instance = serializers.CharField()
    attribute = serializers.CharField()
    value = serializers.CharField(allow_null=True, help_text="null where it is unset or write-only")
    mutability = serializers.ChoiceField(choices=choices.Mutability.choices)
    persistent = serializers.BooleanField(allow_null=True, help_text="whether it survives a power loss")
    constant = serializers.BooleanField(allow_null=True, help_text="whether it never changes")
    characteristics = VariableCharacteristics(help_text="empty where they were not told")
    reboot_required = serializers.BooleanField(help_text="whether the value is in force after the next boot only")
    read_at = serializers.DateTimeField(help_text="when the station last told or accepted it")


class SchedulePeriod(serializers.Serializer):
    start_period = serializers.IntegerField(help_text="seconds from the start of the schedule")
    limit = serializers.FloatField(help_text="in the charging rate unit")
    number_phases = serializers.IntegerField(allow_null=True, help_text="3 where it is not told")


class SchedulePeriod2(SchedulePeriod):
    phase_to_use = serializers.IntegerField(allow_null=True, help_text="the station chooses where it is not told")


class ChargingProfile16(Representation):
    represent = staticmethod(v16.represent)

    chargingprofile_id = serializers.IntegerField(help_text="also its id at the stations")
    stack_level = serializers.IntegerField(help_text="a higher one counts before a lower one")
    chargingprofile_purpose = serializers.ChoiceField(choices=list(v16.PURPOSES))
    chargingprofile_kind = serializers.ChoiceField(choices=choices.ChargingProfileKind.choices)
    recurrency_kind = serializers.ChoiceField(choices=choices.RecurrencyKind.choices, allow_null=True)
    valid_from = Moment()
    valid_to = Moment()
    duration = serializers.IntegerField(allow_null=True, help_text="seconds; without it the last limit stays")
    start_schedule = Moment()
    charging_rate_unit = serializers.ChoiceField(
        choices=choices.ChargingRateUnit.choices, help_text="A is per phase, W the total"
    )
    chargingschedule_period = SchedulePeriod(many=True)
    min_charging_rate = serializers.FloatField(allow_null=True)
    transaction_id = serializers.IntegerField(allow_null=True)


class Schedule(serializers.Serializer):
    id = serializers.IntegerField(allow_null=True, help_text="by which a vehicle names the one it has chosen")
    duration = serializers.IntegerField(allow_null=True, help_text="seconds; without it the last limit stays")
    start_schedule = Moment()
    charging_rate_unit = serializers.ChoiceField(
        choices=choices.ChargingRateUnit.choices, help_text="A is per phase, W the total"
    )
    charging_schedule_period = SchedulePeriod2(many=True)
    min_charging_rate = serializers.FloatField(allow_null=True)
    sales_tariff = serializers.DictField(allow_null=True, help_text="as OCPP 2.0.1 has it, in snake_case")


class ChargingProfile201(Representation):
    represent = staticmethod(v2.represent)

    chargingprofile_id = serializers.IntegerField(help_text="also its id at the stations")
    stack_level = serializers.IntegerField(help_text="a higher one counts before a lower one")
    chargingprofile_purpose = serializers.ChoiceField(choices=choices.ChargingProfilePurpose.choices)
    chargingprofile_kind = serializers.ChoiceField(choices=choices.ChargingProfileKind.choices)
    recurrency_kind = serializers.ChoiceField(choices=choices.RecurrencyKind.choices, allow_null=True)
    valid_from = Moment()
    valid_to = Moment()
    transaction_id = serializers.IntegerField(allow_null=True, help_text="our number of it")
    charging_schedule = Schedule(many=True)


class ChargingLimit(Representation):
    represent = staticmethod(representation.charginglimit)

    id = serializers.IntegerField()
    chargepoint_id = serializers.CharField()
    evse_id = serializers.IntegerField(help_text="0 is the station as a whole")
    charging_limit_source = serializers.ChoiceField(choices=choices.ChargingLimitSource.choices, help_text="who set it")
    is_grid_critical = serializers.BooleanField(allow_null=True, help_text="null where the station does not tell")
    charging_schedule = Schedule(many=True, help_text="none where the station does not tell how much it is")
    received_at = serializers.DateTimeField()


class ChargingNeeds(Representation):
    represent = staticmethod(representation.chargingneeds)

    id = serializers.IntegerField()
    chargepoint_id = serializers.CharField()
    evse_id = serializers.IntegerField()
    transaction_id = serializers.IntegerField(allow_null=True, help_text="what ran at the EVSE")
    requested_energy_transfer = serializers.CharField(help_text="in the words of OCPP 2.0.1: `DC`, `AC_three_phase`")
    departure_time = Moment()
    max_schedule_tuples = serializers.IntegerField(allow_null=True, help_text="how many periods it can take")
    parameters = serializers.DictField(help_text="of the vehicle, in A, V, W and Wh, as OCPP 2.0.1 has them")
    needs_status = serializers.ChoiceField(choices=choices.ChargingNeedsStatus.choices, help_text="what was answered")
    chargingprofile_id = serializers.IntegerField(allow_null=True, help_text="of the profile it was given")
    charging_schedule = Schedule(many=True, help_text="what it was given")
    received_at = serializers.DateTimeField()


class EVSchedule(Representation):
    represent = staticmethod(representation.evschedule)

    id = serializers.IntegerField()
    chargepoint_id = serializers.CharField()
    evse_id = serializers.IntegerField()
    transaction_id = serializers.IntegerField(allow_null=True, help_text="what ran at the EVSE")
    time_base = serializers.DateTimeField(help_text="what its periods count from")
    charging_schedule = Schedule()
    within_limits = serializers.BooleanField(help_text="whether it keeps to what the vehicle was given")
    received_at = serializers.DateTimeField()


class InstalledProfile(Representation):
    represent = staticmethod(representation.installedprofile)

    id = serializers.IntegerField()
    chargepoint_id = serializers.CharField()
    evse_id = serializers.IntegerField(help_text="0 is the station, or any while a remote start waits")
    profile_state = serializers.ChoiceField(
        choices=choices.ProfileState.choices, help_text="`Pending` and `Due` wait for the transaction of a remote start"
    )
    since = serializers.DateTimeField(help_text="when the station took it")
    charging_limit_source = serializers.ChoiceField(choices=choices.ChargingLimitSource.choices, help_text="who set it")
    without_effect = serializers.BooleanField(help_text="a meter has shown more than it allows")
    chargingprofile_id = serializers.IntegerField(help_text="its id at the station")
    stack_level = serializers.IntegerField()
    chargingprofile_purpose = serializers.ChoiceField(
        choices=choices.ChargingProfilePurpose.choices,
        help_text="in the words of OCPP 2.0.1: `ChargingStationMaxProfile` is 1.6's `ChargePointMaxProfile`",
    )
    chargingprofile_kind = serializers.ChoiceField(choices=choices.ChargingProfileKind.choices)
    recurrency_kind = serializers.ChoiceField(choices=choices.RecurrencyKind.choices, allow_null=True)
    valid_from = Moment()
    valid_to = Moment()
    transaction_id = serializers.IntegerField(allow_null=True)
    charging_schedule = Schedule(many=True)


class CompositeSchedule(Representation):
    represent = staticmethod(representation.compositeschedule)

    chargepoint_id = serializers.CharField()
    evse_id = serializers.IntegerField(help_text="0 is the station as a whole")
    schedule_start = Moment()
    duration = serializers.IntegerField(allow_null=True, help_text="in seconds")
    charging_rate_unit = serializers.ChoiceField(
        choices=choices.ChargingRateUnit.choices, allow_blank=True, help_text="empty where it is not known"
    )
    chargingschedule_period = SchedulePeriod2(many=True, help_text="none where the station told none")
    min_charging_rate = serializers.FloatField(allow_null=True)
    received_at = serializers.DateTimeField()


@extend_schema_field({"type": "object", "additionalProperties": {}})
class AnyObject(serializers.JSONField):
    pass


class CommandError(serializers.Serializer):
    code = serializers.CharField(help_text="the error code of the station's CALLERROR, or why there was no answer")
    description = serializers.CharField()
    details = AnyObject()


class CommandReport(serializers.Serializer):
    """What a station tells in messages of their own after its answer."""

    kind = serializers.ChoiceField(choices=ReportKind.choices)
    request_id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=ReportStatus.choices)
    parts = serializers.IntegerField(help_text="how many parts have come")
    missing = serializers.ListField(
        child=serializers.IntegerField(), help_text="the numbers of those that have not, the first hundred of them"
    )
    content = serializers.ListField(
        child=AnyObject(), allow_null=True, help_text="what the parts tell, where no resource has it"
    )
    finished_at = Moment()


class Command(Representation):
    represent = staticmethod(represent_command)

    task_id = serializers.UUIDField()
    chargepoint_id = serializers.CharField(allow_null=True)
    ocpp_version = serializers.ChoiceField(choices=choices.OcppVersion.choices)
    action = serializers.CharField(help_text="such as `RemoteStartTransaction`")
    payload = AnyObject(help_text="the request as it goes over the wire")
    status = serializers.ChoiceField(choices=CommandStatus.choices)
    response = AnyObject(allow_null=True, help_text="the station's answer as it came")
    error = CommandError(allow_null=True)
    calls = serializers.ListField(child=AnyObject(), help_text="each CALL, where one was not enough")
    report = CommandReport(allow_null=True, help_text="how far the report is that it asked for")
    requested_by = serializers.CharField(allow_null=True, help_text="username")
    created_at = serializers.DateTimeField()
    sent_at = Moment()
    finished_at = Moment()
