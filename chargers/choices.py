"""The platform's own vocabulary, shared by every OCPP version and by the REST API."""

from django.db.models import IntegerChoices, TextChoices


class OcppVersion(TextChoices):
    V16 = "ocpp1.6", "OCPP 1.6"
    V201 = "ocpp2.0.1", "OCPP 2.0.1"
    V21 = "ocpp2.1", "OCPP 2.1"


class RegistrationStatus(TextChoices):
    """What BootNotification is answered (OCPP 1.6 section 4.2, 2.0.1 B01 to B03)."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class SecurityProfile(IntegerChoices):
    """How a station proves its identity when it connects; a higher one is more secure (whitepaper section 2.1)."""

    NONE = 0, "0: identity in the URL only"
    BASIC = 1, "1: HTTP Basic authentication with the station's key"
    TLS_BASIC = 2, "2: TLS, and HTTP Basic authentication with the station's key"
    TLS_CERTIFICATE = 3, "3: TLS with the station's own certificate"


class ConnectorStatus(TextChoices):
    """The union of what the versions report: 1.6 section 7.7 and 2.0.1 ConnectorStatusEnumType."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE", "Suspended by the EVSE"
    SUSPENDED_EV = "SuspendedEV", "Suspended by the EV"
    FINISHING = "Finishing"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"
    UNKNOWN = "Unknown"


class AvailabilityStatus(TextChoices):
    OPERATIVE = "Operative"
    INOPERATIVE = "Inoperative"


class AuthorizationStatus(TextChoices):
    """Whether a driver may charge. A version maps it onto its own words."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"
    RESERVED = "Reserved", "Reserved for somebody else"
    NO_CREDIT = "NoCredit"
    NOT_ALLOWED_TYPE_EVSE = "NotAllowedTypeEVSE", "Not allowed at this type of EVSE"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"


# Those that OCPP 1.6 has words for (section 7.2); whatever else keeps a driver from charging is told Blocked there.
STATUSES_16 = frozenset(
    {
        AuthorizationStatus.ACCEPTED,
        AuthorizationStatus.BLOCKED,
        AuthorizationStatus.CONCURRENT_TX,
        AuthorizationStatus.EXPIRED,
        AuthorizationStatus.INVALID,
    }
)

# What an operator or a billing system may have a tag refused with, besides revoking it (2.0.1 AuthorizationStatusEnumType).
REFUSALS = (
    AuthorizationStatus.NO_CREDIT,
    AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE,
    AuthorizationStatus.NOT_AT_THIS_LOCATION,
    AuthorizationStatus.NOT_AT_THIS_TIME,
)


class TokenType(TextChoices):
    """What a token is (2.0.1 IdTokenEnumType)."""

    CENTRAL = "Central"
    EMAID = "eMAID", "eMAID"
    ISO14443 = "ISO14443", "ISO 14443"
    ISO15693 = "ISO15693", "ISO 15693"
    KEY_CODE = "KeyCode"
    LOCAL = "Local"
    MAC_ADDRESS = "MacAddress"


class TransactionStatus(TextChoices):
    STARTED = "Started"
    FINISHED = "Finished"
    UNAUTHORIZED = "Unauthorized"


class TransactionFlag(TextChoices):
    """What makes a transaction worth a second look before it is billed."""

    BOOTED_DURING = "booted_during", "the station booted while it was open"
    CLOCK_UNRELIABLE = "clock_unreliable", "the station's time was absent or absurd; ours was taken"
    EVENTS_MISSING = "events_missing", "it has ended, and some of the station's numbered events never came"
    FOREIGN = "foreign", "known by the station's own id only: it began elsewhere or before this platform"
    LATE_STOP = "late_stop", "the station's stop came after the platform had closed it"
    METER_IMPLAUSIBLE = "meter_implausible", "the meter ran faster than any station can deliver"
    METER_JUMPED_BACK = "meter_jumped_back", "a reading was lower than the one before"
    METER_UNKNOWN = "meter_unknown", "the station reported no usable reading at start or stop"
    NO_STOP = "no_stop", "the connector became available without a stop; closed with the last reading"
    OFFLINE = "offline", "reported long after it happened"
    ORPHAN_STOP = "orphan_stop", "a stop arrived for a start the platform never saw"
    SESSION_METER = "session_meter", "readings count from the start of the session, not the meter's life"
    STOP_BEFORE_START = "stop_before_start", "the stop's time lies before the start's"
    STOP_BELOW_START = "stop_below_start", "the meter at stop is below the meter at start"
    STOP_DIFFERS = "stop_differs", "a repeated stop reported other values; the first one counts"
    SUPERSEDED = "superseded", "another transaction began on the connector; closed with the last reading"
    UNIT_SUSPECT = "unit_suspect", "energy and power contradict each other by about a thousand: kWh labelled Wh?"


class ReservationStatus(TextChoices):
    """The life of a reservation: asked for, then held by its station or not, and how that ended."""

    REQUESTED = "Requested"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    FAILED = "Failed", "Failed: the station did not answer"
    USED = "Used"
    CANCELLED = "Cancelled"
    EXPIRED = "Expired"
    REPLACED = "Replaced", "Replaced by another under the same id"
    REMOVED = "Removed", "Removed: the station no longer has it"


class Mutability(TextChoices):
    """Whether an operator may change a variable (2.0.1 MutabilityEnumType)."""

    READ_ONLY = "ReadOnly"
    WRITE_ONLY = "WriteOnly"
    READ_WRITE = "ReadWrite"


class VariableAttribute(TextChoices):
    """Which value of a variable is meant (2.0.1 AttributeEnumType)."""

    ACTUAL = "Actual"
    TARGET = "Target"
    MIN_SET = "MinSet"
    MAX_SET = "MaxSet"


class EventTrigger(TextChoices):
    """What made a station tell an event (2.0.1 EventTriggerEnumType)."""

    ALERTING = "Alerting"
    DELTA = "Delta"
    PERIODIC = "Periodic"


class EventNotification(TextChoices):
    """Who decided that an event is told (2.0.1 EventNotificationEnumType)."""

    HARD_WIRED_NOTIFICATION = "HardWiredNotification", "HardWiredNotification"
    HARD_WIRED_MONITOR = "HardWiredMonitor", "HardWiredMonitor"
    PRECONFIGURED_MONITOR = "PreconfiguredMonitor", "PreconfiguredMonitor"
    CUSTOM_MONITOR = "CustomMonitor", "CustomMonitor"


class MonitorType(TextChoices):
    """When a monitor tells an event (2.0.1 MonitorEnumType)."""

    UPPER_THRESHOLD = "UpperThreshold"
    LOWER_THRESHOLD = "LowerThreshold"
    DELTA = "Delta"
    PERIODIC = "Periodic"
    PERIODIC_CLOCK_ALIGNED = "PeriodicClockAligned"


class DisplayMessageStatus(TextChoices):
    """Whether a station has a message for its display."""

    REQUESTED = "Requested", "Requested: not answered yet"
    ACCEPTED = "Accepted"


class MessagePriority(TextChoices):
    """Which of several messages a display shows (2.0.1 MessagePriorityEnumType)."""

    ALWAYS_FRONT = "AlwaysFront", "AlwaysFront: before all others, all the time"
    IN_FRONT = "InFront", "InFront: before the ordinary ones, in turn"
    NORMAL_CYCLE = "NormalCycle", "NormalCycle: in turn"


class MessageState(TextChoices):
    """In which state of the station a message is shown (2.0.1 MessageStateEnumType)."""

    CHARGING = "Charging"
    FAULTED = "Faulted"
    IDLE = "Idle"
    UNAVAILABLE = "Unavailable"


class MessageFormat(TextChoices):
    """How the content of a message is to be read (2.0.1 MessageFormatEnumType)."""

    ASCII = "ASCII"
    HTML = "HTML"
    URI = "URI"
    UTF8 = "UTF8"


# The security events that call for somebody (security whitepaper section 8, 2.0.1 appendix 2).
CRITICAL_EVENTS = frozenset(
    {
        "FirmwareUpdated",
        "InvalidChargingStationCertificate",
        "InvalidCsmsCertificate",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
        "InvalidTLSCipherSuite",
        "InvalidTLSVersion",
        "MaintenanceLoginAccepted",
        "MaintenanceLoginFailed",
        "MemoryExhaustion",
        "ResetOrReboot",
        "SecurityLogWasCleared",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "TamperDetectionActivated",
    }
)


class LimitationKind(TextChoices):
    """What a station may be found unable to do; the subject says which."""

    ACTION = "action", "the command"
    TRIGGER = "trigger", "sending a message when asked to"
    CONFIGURATION_FILTER = "configuration_filter", "telling only the configuration keys that are asked for"
    STATION_AVAILABILITY = "station_availability", "changing the availability of all connectors at once"
    LOCAL_LIST = "local_list", "keeping a local authorisation list"
    FILE_PROTOCOL = "file_protocol", "transferring files by this protocol"
    PROFILE_PURPOSE = "profile_purpose", "charging profiles of the purpose"
    RATE_UNIT = "rate_unit", "charging schedules in the unit"
    FRACTIONAL_LIMIT = "fractional_limit", "charging limits that are no whole numbers"
    PAST_SCHEDULE = "past_schedule", "absolute charging schedules that began in the past"
    REMOTE_START_PROFILE = "remote_start_profile", "remote starts with a charging profile"


class FirmwareUpdateStatus(TextChoices):
    """How far a firmware update is: the station's words (2.0.1 FirmwareStatusEnumType), its answers, and ours."""

    REQUESTED = "Requested", "Requested: not answered yet"
    ACCEPTED = "Accepted"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOADING = "Downloading"
    DOWNLOAD_PAUSED = "DownloadPaused"
    DOWNLOADED = "Downloaded"
    SIGNATURE_VERIFIED = "SignatureVerified"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    DOWNLOAD_FAILED = "DownloadFailed"
    INVALID_SIGNATURE = "InvalidSignature"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    INSTALLATION_FAILED = "InstallationFailed"
    REJECTED = "Rejected"
    INVALID_CERTIFICATE = "InvalidCertificate"
    REVOKED_CERTIFICATE = "RevokedCertificate"
    ACCEPTED_CANCELED = "AcceptedCanceled", "AcceptedCanceled: another one took its place"
    FAILED = "Failed", "Failed: never answered"
    TIMED_OUT = "TimedOut", "TimedOut: nothing came any more"
    UNKNOWN = "Unknown", "Unknown: the station's word is none of OCPP's"


class FirmwarePublicationStatus(TextChoices):
    """How far a publication is: the controller's words (2.0.1 PublishFirmwareStatusEnumType), its answers, and ours."""

    REQUESTED = "Requested", "Requested: not answered yet"
    ACCEPTED = "Accepted"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOADING = "Downloading"
    DOWNLOAD_PAUSED = "DownloadPaused"
    DOWNLOADED = "Downloaded"
    CHECKSUM_VERIFIED = "ChecksumVerified"
    PUBLISHED = "Published"
    DOWNLOAD_FAILED = "DownloadFailed"
    INVALID_CHECKSUM = "InvalidChecksum"
    PUBLISH_FAILED = "PublishFailed"
    UNPUBLISHED = "Unpublished", "Unpublished: offered no longer"
    REJECTED = "Rejected"
    FAILED = "Failed", "Failed: never answered"
    TIMED_OUT = "TimedOut", "TimedOut: nothing came any more"
    UNKNOWN = "Unknown", "Unknown: the controller's word is none of OCPP's"


class LogUploadStatus(TextChoices):
    """How far the upload of a log is: the station's words (2.0.1 UploadLogStatusEnumType), its answers, and ours."""

    REQUESTED = "Requested", "Requested: not answered yet"
    ACCEPTED = "Accepted"
    UPLOADING = "Uploading"
    UPLOADED = "Uploaded"
    UPLOAD_FAILURE = "UploadFailure"
    BAD_MESSAGE = "BadMessage"
    NOT_SUPPORTED_OPERATION = "NotSupportedOperation"
    PERMISSION_DENIED = "PermissionDenied"
    REJECTED = "Rejected"
    NOTHING_TO_UPLOAD = "NothingToUpload"
    ACCEPTED_CANCELED = "AcceptedCanceled", "AcceptedCanceled: another one took its place"
    FAILED = "Failed", "Failed: never answered"
    TIMED_OUT = "TimedOut", "TimedOut: nothing came any more"
    UNKNOWN = "Unknown", "Unknown: the station's word is none of OCPP's"


class JobFlag(TextChoices):
    """What makes a firmware update or a log upload worth a second look."""

    FILE_MISSING = "file_missing", "reported as uploaded, or to be fetched, and not there"
    FILE_UNREPORTED = "file_unreported", "there, although the station did not report it as uploaded"


class FileKind(TextChoices):
    """What a file on the file server is."""

    LOG = "log"
    FIRMWARE = "firmware"
    OTHER = "other"


class LogType(TextChoices):
    """Which log a station uploads; the 1.6 GetDiagnostics knows no other than its own."""

    DIAGNOSTICS = "Diagnostics"
    DIAGNOSTICS_LOG = "DiagnosticsLog"
    SECURITY_LOG = "SecurityLog"


class CertificateUse(TextChoices):
    """What a certificate is for, in the words of 2.0.1."""

    CSMS_ROOT = "CSMSRootCertificate", "root of the platform"
    MANUFACTURER_ROOT = "ManufacturerRootCertificate", "root of the manufacturer"
    MO_ROOT = "MORootCertificate", "root of mobility operators"
    V2G_ROOT = "V2GRootCertificate", "root of ISO 15118"
    STATION = "ChargingStationCertificate", "the station's own"
    V2G = "V2GCertificate", "the station's own, for vehicles"
    COMBINED = "CombinedCertificate", "the station's own, for the platform and for vehicles"


class CertificateStatus(TextChoices):
    """How far a certificate has come: the station's own from Requested on, a root Installed or Deleted."""

    REQUESTED = "Requested", "the station asked for it, and it is to be signed"
    SIGNED = "Signed", "signed, and on its way to the station"
    ACCEPTED = "Accepted", "the station took it"
    REJECTED = "Rejected", "the request is no good, or the station refused the certificate"
    FAILED = "Failed", "it could not be signed, or not be brought to the station"
    INSTALLED = "Installed", "the station holds it"
    DELETED = "Deleted", "the station holds it no more"


class ContractStatus(TextChoices):
    """What a vehicle's contract certificate turned out to be (2.0.1 C07.FR.13 to C07.FR.17)."""

    VALID = "Valid"
    EXPIRED = "Expired"
    REVOKED = "Revoked"
    UNVERIFIED = "Unverified", "not valid, or not known to be"


class ChargingProfilePurpose(TextChoices):
    """What a charging profile limits (2.0.1 ChargingProfilePurposeEnumType)."""

    STATION_EXTERNAL = "ChargingStationExternalConstraints", "ChargingStationExternalConstraints"
    STATION_MAX = "ChargingStationMaxProfile", "ChargingStationMaxProfile"
    TX_DEFAULT = "TxDefaultProfile", "TxDefaultProfile"
    TX = "TxProfile", "TxProfile"


class ChargingProfileKind(TextChoices):
    """What the periods of a charging profile are relative to (1.6 section 7.9)."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


class RecurrencyKind(TextChoices):
    DAILY = "Daily"
    WEEKLY = "Weekly"


class ChargingRateUnit(TextChoices):
    """A is per phase, W the total of all phases (errata 3.69)."""

    A = "A"
    W = "W"


class ChargingLimitSource(TextChoices):
    """Who has set a limit (2.0.1 ChargingLimitSourceEnumType)."""

    CSO = "CSO", "the operator of the station"
    EMS = "EMS", "an energy management system"
    SO = "SO", "a system operator, of the grid"
    OTHER = "Other"


class ChargingNeedsStatus(TextChoices):
    """What a vehicle's needs were answered (2.0.1 NotifyEVChargingNeedsStatusEnumType)."""

    ACCEPTED = "Accepted", "a schedule follows at once"
    PROCESSING = "Processing", "a schedule follows later"
    REJECTED = "Rejected", "no schedule follows"


class ProfileState(TextChoices):
    """Where a charging profile stands that a station was given."""

    INSTALLED = "Installed", "the station has it"
    PENDING = "Pending", "the station has it, for a transaction that has not begun"
    DUE = "Due", "to be set when its transaction has begun"


class ParkingType(TextChoices):
    """Where the stations of a location stand (OCPI 2.2.1 ParkingType)."""

    ALONG_MOTORWAY = "ALONG_MOTORWAY"
    PARKING_GARAGE = "PARKING_GARAGE"
    PARKING_LOT = "PARKING_LOT"
    ON_DRIVEWAY = "ON_DRIVEWAY"
    ON_STREET = "ON_STREET"
    UNDERGROUND_GARAGE = "UNDERGROUND_GARAGE"


class PowerType(TextChoices):
    """How a connector delivers power (OCPI 2.2.1 PowerType)."""

    AC_1_PHASE = "AC_1_PHASE"
    AC_2_PHASE = "AC_2_PHASE"
    AC_2_PHASE_SPLIT = "AC_2_PHASE_SPLIT"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


class ConnectorFormat(TextChoices):
    """Whether the cable is attached (OCPI 2.2.1 ConnectorFormat)."""

    SOCKET = "SOCKET"
    CABLE = "CABLE"
