"""What the OCPP versions translate their payloads into: one shape for all of them.

Times are aware datetimes in UTC. `at` is the moment the station speaks of, or the moment of
receipt where its own time was absent or absurd; `at_raw` then holds what it sent. Energy is in
Wh. EVSE 0 is the station as a whole; connector n of OCPP 1.6 is EVSE n, connector 1.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from chargers.choices import (
    AuthorizationStatus,
    CertificateUse,
    LimitationKind,
    OcppVersion,
    RegistrationStatus,
    SecurityProfile,
)

# Later than this after it happened, an event was stored on the station first.
OFFLINE_AFTER = timedelta(minutes=5)


class Sample(TypedDict, total=False):
    """One sampled value, with the members and defaults of OCPP's SampledValue (1.6 section 7.43)."""

    value: str
    context: str
    format: str
    measurand: str
    phase: str
    location: str
    unit: str
    signed_meter_value: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter showed at one moment."""

    at: datetime
    samples: Sequence[Sample]
    at_raw: str = ""


@dataclass(frozen=True, slots=True)
class TransactionRef:
    """How a station names a transaction: by our integer (1.6), by an id of its own, or not at all.

    `by_connector` asks for the one that runs on the connector, for stations that know they are
    in a transaction but not in which.
    """

    number: int | None = None
    uuid: str | None = None
    by_connector: bool = False


NO_TRANSACTION = TransactionRef()


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that was verified when a station connected: what its subject names, and which one it is.

    `serial_number` is hexadecimal, `fingerprint` that of SHA-256.
    """

    common_names: Sequence[str]
    organizations: Sequence[str]
    serial_number: str
    fingerprint: str

    def names(self, serial_number: str) -> bool:
        """Tell whether a common name contains a station's serial number (A00.FR.405).

        It must do so as a whole: CP1 is not CP12, nor A-CP1.
        """
        whole = re.compile(rf"(?<![\w.-]){re.escape(serial_number)}(?![\w.-])", re.IGNORECASE)
        return any(whole.search(name) for name in self.common_names)

    def belongs_to(self, operator: str) -> bool:
        """Tell whether an organization contains the operator's name (A00.FR.404)."""
        return any(operator.casefold() in name.casefold() for name in self.organizations)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A station that asks to connect, and what it proves its identity with: a key, TLS and a certificate.

    `certificate_flaw` says why the certificate that came through a proxy is no proof, and none at all.
    """

    identity: str
    password: bytes | None
    at: datetime
    address: str | None = None
    tls: bool = False
    certificate: ClientCertificate | None = None
    certificate_flaw: str = ""


@dataclass(frozen=True, slots=True)
class StationProfile:
    """What a connection needs to know of its station; `security_profile` is the one it has connected with.

    `certificate` is the one that proves it, with profile 3.
    """

    chargepoint_id: str
    registration_status: RegistrationStatus
    ocpp_version: str
    time_zone: str
    booted_before: bool
    security_profile: SecurityProfile = SecurityProfile.NONE
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A station that was not let in, or somebody who says to be it."""

    station: str
    reason: str
    address: str | None
    at: datetime
    count: int = 1


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that is now a station's only one."""

    station: str
    connection_id: UUID
    node_id: str
    ocpp_version: OcppVersion
    ip_address: str | None
    at: datetime
    security_profile: SecurityProfile = SecurityProfile.NONE


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The end of a connection; it changes nothing when another one has taken over."""

    station: str
    connection_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Boot:
    """A station that introduces itself.

    `certificate` is the one that its serial number must agree with, `address` where it connects from.
    """

    station: str
    at: datetime
    vendor: str
    model: str
    serial_number: str = ""
    box_serial_number: str = ""
    firmware_version: str = ""
    iccid: str = ""
    imsi: str = ""
    meter_type: str = ""
    meter_serial_number: str = ""
    triggered: bool = False
    certificate: ClientCertificate | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Booted:
    """What a station is answered that introduced itself.

    `changed` says that it is not known what the station has in it: it boots for the first time, or
    with another firmware, or has never told. `monitors` says that it may have monitors, whose numbers
    may be others since it booted.
    """

    registration: RegistrationStatus
    changed: bool = False
    monitors: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    station: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The status of a connector, or of the station when `evse_id` is 0."""

    station: str
    ocpp_version: OcppVersion
    evse_id: int
    connector_id: int
    status: str
    at: datetime
    received_at: datetime
    at_raw: str = ""
    error_code: str = ""
    info: str = ""
    vendor_id: str = ""
    vendor_error_code: str = ""

    @property
    def is_late(self) -> bool:
        return self.received_at - self.at > OFFLINE_AFTER


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A driver who presents a tag, or whose vehicle shows its contract.

    `token_type` is what the station says the tag is, empty where it says nothing.
    """

    station: str
    id_token: str
    at: datetime
    token_type: str = ""
    contract: "Contract | None" = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """Whether a tag may charge, and what the station may remember of it.

    `evses` are the only ones where it may, until `evses_until`; none stands for all of them.
    """

    status: AuthorizationStatus
    expiry_date: datetime | None = None
    parent: str | None = None
    evses: tuple[int, ...] = ()
    evses_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TransactionStart:
    """A charging session that began.

    `fingerprint` is the same for every repeat of this start and for no other; it is empty when
    the station's clock cannot tell two starts apart. `remote_start_id` names the remote start that
    it follows, in 2.x.
    """

    station: str
    ocpp_version: OcppVersion
    evse_id: int
    connector_id: int
    id_token: str
    meter_start: Decimal | None
    at: datetime
    received_at: datetime
    at_raw: str = ""
    fingerprint: str = ""
    reservation_id: int | None = None
    remote_start_id: int | None = None


class SchedulePeriod(TypedDict, total=False):
    """A limit from `start_period` on, in seconds from the start of its schedule (1.6 section 7.14)."""

    start_period: int
    limit: float
    number_phases: int
    phase_to_use: int


class Schedule(TypedDict, total=False):
    """Limits over time, as they are stored (1.6 section 7.13, 2.0.1 ChargingScheduleType).

    `start_schedule` is ISO 8601 with its zone. 1.6 knows no `id` and no `sales_tariff`.
    """

    id: int
    duration: int
    start_schedule: str
    charging_rate_unit: str
    charging_schedule_period: list[SchedulePeriod]
    min_charging_rate: float
    sales_tariff: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """A charging profile (1.6 section 7.8); its words are those of `ChargingProfilePurpose` and the like.

    `transaction_id` is our number, or the station's own id.
    """

    chargingprofile_id: int
    stack_level: int
    purpose: str
    kind: str
    schedules: Sequence[Schedule]
    recurrency_kind: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: int | str | None = None


@dataclass(frozen=True, slots=True)
class PlacedProfile:
    """A charging profile and the EVSE that it is for; 0 is the station."""

    evse_id: int
    profile: Profile


@dataclass(frozen=True, slots=True)
class Started:
    """The transaction a start led to, new or repeated, and the charging profile that is due for it, if any."""

    transaction_id: int
    authorization: Authorization
    repeated: bool = field(default=False, compare=False)
    due: PlacedProfile | None = None


@dataclass(frozen=True, slots=True)
class TransactionStop:
    """A charging session that ended."""

    station: str
    ocpp_version: OcppVersion
    ref: TransactionRef
    id_token: str
    meter_stop: Decimal | None
    at: datetime
    received_at: datetime
    fingerprint: str
    at_raw: str = ""
    reason: str = "Local"
    readings: Sequence[Reading] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The transaction a stop ended; `authorization` answers the tag the stop named, if any."""

    transaction_id: int
    authorization: Authorization | None


@dataclass(frozen=True, slots=True)
class MeterReport:
    """Readings of one meter of a station."""

    station: str
    ocpp_version: OcppVersion
    evse_id: int
    connector_id: int
    ref: TransactionRef
    readings: Sequence[Reading]
    received_at: datetime


class VariableName(NamedTuple):
    """What names an attribute of a variable in a station; a configuration key has no component."""

    variable: str
    component: str = ""
    component_instance: str = ""
    evse_id: int = 0
    connector_id: int = 0
    variable_instance: str = ""
    attribute: str = "Actual"

    @property
    def folded(self) -> "VariableName":
        """The name as it is compared: case does not matter (1.6 section 7.17)."""
        return self._replace(
            variable=self.variable.casefold(),
            component=self.component.casefold(),
            component_instance=self.component_instance.casefold(),
            variable_instance=self.variable_instance.casefold(),
            attribute=self.attribute.casefold(),
        )


@dataclass(frozen=True, slots=True)
class VariableReport:
    """A variable as the station told it; what is None of it was not told.

    `value` is None where it is unset or write-only. `characteristics` are the members of
    VariableCharacteristicsType (2.0.1 part 2, section 2.51), in snake_case. `reboot_required` says
    that the station takes the value with its next boot.
    """

    variable: str
    value: str | None
    mutability: str | None
    component: str = ""
    component_instance: str = ""
    evse_id: int = 0
    connector_id: int = 0
    variable_instance: str = ""
    attribute: str = "Actual"
    persistent: bool | None = None
    constant: bool | None = None
    characteristics: Mapping[str, Any] | None = None
    reboot_required: bool = False

    @property
    def name(self) -> VariableName:
        return VariableName(
            self.variable,
            self.component,
            self.component_instance,
            self.evse_id,
            self.connector_id,
            self.variable_instance,
            self.attribute,
        )


@dataclass(frozen=True, slots=True)
class VariablesReport:
    """Variables that a station told, and the ones it said it does not know.

    `asked` marks values that the station was given and took; whether it kept them is seen when it
    tells them next.
    """

    station: str
    variables: Sequence[VariableReport]
    unknown: Sequence[VariableName]
    at: datetime
    asked: bool = False


@dataclass(frozen=True, slots=True)
class EventReport:
    """Something that a station noticed of a variable; `number` and `cause` are its own numbers of events."""

    number: int
    name: VariableName
    trigger: str
    notification: str
    actual_value: str
    at: datetime
    at_raw: str = ""
    monitor_id: int | None = None
    cause: int | None = None
    tech_code: str = ""
    tech_info: str = ""
    transaction_uuid: str = ""
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class EventsReport:
    """Events that a station told together."""

    station: str
    ocpp_version: OcppVersion
    events: Sequence[EventReport]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor of a variable; `severity` goes from 0, which is danger, to 9."""

    number: int
    name: VariableName
    type: str
    value: float
    severity: int
    transaction: bool


@dataclass(frozen=True, slots=True)
class MonitorsReport:
    """Monitors that a station has, and the numbers of those that it does not have."""

    station: str
    monitors: Sequence[Monitor]
    gone: Sequence[int]
    at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A message for a display; `evse_id` is 0 where it is the station's, `display` the component that shows it."""

    number: int
    priority: str
    format: str
    content: str
    language: str = ""
    state: str = ""
    start: datetime | None = None
    end: datetime | None = None
    transaction_uuid: str = ""
    display: str = ""
    evse_id: int = 0


@dataclass(frozen=True, slots=True)
class MessagesReport:
    """Messages that a station displays, and the numbers of those that it has not."""

    station: str
    messages: Sequence[Message]
    gone: Sequence[int]
    at: datetime


@dataclass(frozen=True, slots=True)
class AvailabilityChange:
    """Connectors that an operator put in or out of service; EVSE 0 means all of the station's.

    Connector 0 means all of the EVSE's.
    """

    station: str
    evse_id: int
    operative: bool
    at: datetime
    connector_id: int = 0


@dataclass(frozen=True, slots=True)
class ReservationAnswer:
    """What a station made of a reservation it was asked for; without a reason it holds it."""

    station: str
    command_id: UUID
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CancellationAnswer:
    """Whether a station has cancelled a reservation; if not, it has none under that number."""

    station: str
    number: int
    accepted: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class ReservationEnd:
    """A station tells that it holds a reservation no longer: its time is over, or it gave it up."""

    station: str
    number: int
    expired: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class RemoteStartAnswer:
    """A station took a remote start; `uuid` is its own id of the transaction, where that had begun before."""

    station: str
    remote_start_id: int
    uuid: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CostTold:
    """A station was told what a transaction, by its own id, costs so far."""

    station: str
    uuid: str
    cost: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class TransactionGone:
    """A station tells that a transaction, by its own id, is over and that it has nothing more to tell of it."""

    station: str
    uuid: str
    at: datetime


class ListEntry(TypedDict, total=False):
    """What a station's local list tells of a tag: a status of the domain, an expiry in whole seconds, a parent.

    The type of the token is told to 2.x stations only.
    """

    status: str
    expiry_date: str
    parent: str
    token_type: str


@dataclass(frozen=True, slots=True)
class ListChange:
    """What a station's local list is to become: all of it, or changes of it, where None takes a tag out.

    `types` are those under which a 2.x station holds tags by now.
    """

    version: int
    full: bool
    entries: Mapping[str, ListEntry | None]
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListUpdate:
    """A change of its local list that a station has taken."""

    station: str
    version: int
    full: bool
    entries: Mapping[str, ListEntry | None]
    at: datetime
    # In 2.x, by token: the types that it is put in as, and those that it is taken out as.
    put: Mapping[str, frozenset[str]] = field(default_factory=dict)
    out: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListRefusal:
    """A change of its local list that a station did not take, and why."""

    station: str
    reason: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A customer whom a station has cleared from all but its local list, named by a token of a type (2.0.1 N10)."""

    station: str
    id_token: str
    token_type: str


@dataclass(frozen=True, slots=True)
class ListVersion:
    """The version that a station told of its local list; 0 is an empty one, -1 none at all."""

    station: str
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class ListLimits:
    """How much of a local list one message may bring: entries, and bytes of all of it; None is any number."""

    entries: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class ListWish:
    """Asks what a station's local list should hold at a moment."""

    station: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SecurityEventReport:
    station: str
    type: str
    tech_info: str
    at: datetime
    received_at: datetime
    at_raw: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class DeviationNote:
    """A station broke a rule `count` times since the last note of this kind."""

    station: str
    kind: str
    example: str
    at: datetime
    count: int = 1


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A station's answer to a new key; `change_id` names the proposal."""

    station: str
    change_id: UUID
    accepted: bool


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A firmware update or a log upload that a station is about to be asked for.

    `location` is a URL, which is used as it is, a path on the platform's own file server, or empty
    for a place there that is the job's own. `numbered` says whether the station is told a request
    id; without one the platform chooses.
    """

    station: str
    command_id: UUID
    asked_by: int | None
    at: datetime
    location: str
    numbered: bool
    request_id: int | None = None
    retries: int | None = None
    retry_interval: int | None = None


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """What a station answered to the command that asked for a job; `cancels` says that it gave up the one before."""

    station: str
    command_id: UUID
    status: str
    at: datetime
    cancels: bool = False
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class JobReport:
    """How far a station says that a job is.

    `numbered` says whether the message is of those that name the request, though this one may not;
    `signed` whether it is of those that only signed firmware has. `locations` are the URLs of a
    firmware that is published.
    """

    station: str
    status: str
    received_at: datetime
    numbered: bool
    request_id: int | None = None
    signed: bool = False
    locations: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A local controller offers the firmware of a checksum (MD5, in hexadecimal) no more."""

    station: str
    checksum: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProfileInstalled:
    """A station took a charging profile.

    It takes the place of others of its purpose and level there; where it `stands_beside` them, only
    of those that are valid at the same time.
    """

    station: str
    evse_id: int
    profile: Profile
    at: datetime
    command_id: UUID | None = None
    stands_beside: bool = False


@dataclass(frozen=True, slots=True)
class ProfileExpected:
    """A charging profile that belongs to a transaction which a remote start is to begin.

    `evse_id` is 0 where the station chooses. The station has it, or, where it is `due`, is given
    it when the transaction has begun. A 2.x station names the start by its `remote_start_id`.
    """

    station: str
    evse_id: int
    id_token: str
    profile: Profile
    at: datetime
    command_id: UUID | None = None
    due: bool = False
    remote_start_id: int | None = None


@dataclass(frozen=True, slots=True)
class ProfilesCleared:
    """Charging profiles that a station no longer has: one by its id, else all that are as told."""

    station: str
    chargingprofile_id: int | None = None
    evse_id: int | None = None
    purpose: str | None = None
    stack_level: int | None = None


@dataclass(frozen=True, slots=True)
class ProfilesTold:
    """Charging profiles that a station says it has at an EVSE, and who has set them."""

    station: str
    evse_id: int
    source: str
    profiles: Sequence[Profile]
    at: datetime


@dataclass(frozen=True, slots=True)
class ProfileCriteria:
    """Which charging profiles a station is asked for: those that match all that is told (2.0.1 K09.FR.03)."""

    chargingprofile_ids: Sequence[int] | None = None
    evse_id: int | None = None
    purpose: str | None = None
    stack_level: int | None = None
    sources: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class ProfilesListed:
    """A station has told all its profiles that match, since `since`; it has no others."""

    station: str
    criteria: ProfileCriteria
    since: datetime


@dataclass(frozen=True, slots=True)
class ChargingLimitReport:
    """A limit that somebody else than the platform has set; `schedules` are empty where it is not told how much."""

    station: str
    evse_id: int
    source: str
    at: datetime
    is_grid_critical: bool | None = None
    schedules: Sequence[Schedule] = ()


@dataclass(frozen=True, slots=True)
class ChargingLimitCleared:
    """A limit that is no more: at one EVSE, or wherever its source has set one."""

    station: str
    source: str
    evse_id: int | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a vehicle says that it needs (2.0.1 ChargingNeedsType).

    `parameters` has the members of ACChargingParameters, in A, V and Wh, or of
    DCChargingParameters, in A, V, W and Wh, in snake_case.
    """

    requested_energy_transfer: str
    departure_time: datetime | None = None
    max_schedule_tuples: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NeedsReport:
    """The needs of the vehicle at an EVSE."""

    station: str
    evse_id: int
    needs: Needs
    at: datetime


@dataclass(frozen=True, slots=True)
class EVScheduleReport:
    """The schedule by which the vehicle at an EVSE will charge; its periods count from `time_base`."""

    station: str
    evse_id: int
    time_base: datetime
    schedule: Schedule
    at: datetime


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What is answered to a vehicle, and the profile that it is sent then, if any; `reason` is OCPP's reasonCode."""

    status: str
    reason: str = ""
    profile: PlacedProfile | None = None


@dataclass(frozen=True, slots=True)
class CompositeReport:
    """The limits that a station reckons with; None and empty where it did not tell.

    `unit` is the one told, else the one asked for.
    """

    station: str
    evse_id: int
    unit: str
    at: datetime
    schedule_start: datetime | None = None
    duration: int | None = None
    min_charging_rate: float | None = None
    periods: Sequence[SchedulePeriod] = ()


@dataclass(frozen=True, slots=True)
class LimitationReport:
    """A station turned out unable to do something, or without a reason able.

    `certain` says that it told so itself; a mere refusal may have had a passing cause.
    """

    station: str
    kind: LimitationKind
    subject: str
    reason: str
    at: datetime
    certain: bool = False


# Other names under which stations know a configuration key, folded: of some stations (CF-06), and of 2.x.
KEY_ALIASES: Mapping[str, str] = {
    "stoptransactiononinvalidid": "StopTransactionOnInvalid",
    "chargeprofilemaxstacklevel": "SmartChargingCtrlr.ProfileStackLevel",
    "chargingscheduleallowedchargingrateunit": "SmartChargingCtrlr.RateUnit",
    "chargingschedulemaxperiods": "SmartChargingCtrlr.PeriodsPerSchedule",
    "connectorswitch3to1phasesupported": "SmartChargingCtrlr.Phases3to1",
    "maxchargingprofilesinstalled": "SmartChargingCtrlr.Entries[ChargingProfiles].maxLimit",
}
YES = frozenset({"true", "1", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a station that decides how it is asked.

    `variables` are its configuration keys, folded, with the values it told, and in 2.x the
    variables of its controllers, as ``Component.Variable[Instance]``, with the most that its
    ``Entries`` can be as their ``.maxLimit``; `limitations` kinds with
    their subjects, the certain ones; `evses` the EVSEs it has reported, `direct_current` those of
    them that are known to deliver it; `connectors` its connectors, each with its EVSE before it.
    """

    variables: Mapping[str, str]
    limitations: frozenset[tuple[str, str]]
    evses: Sequence[int] = ()
    direct_current: frozenset[int] = frozenset()
    connectors: Sequence[tuple[int, int]] = ()

    def text(self, key: str) -> str | None:
        folded = key.casefold()
        return self.variables.get(folded, self.variables.get(KEY_ALIASES.get(folded, "").casefold()))

    def number(self, key: str, least: int = 1) -> int | None:
        """Return the whole number that a key holds, `least` or more; None where it holds none."""
        value = (self.text(key) or "").strip()
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 and int(value) >= least else None

    def words(self, key: str) -> Sequence[str]:
        """Return the list that a key holds, separated by commas, nothing where it holds none."""
        return [word.strip() for word in (self.text(key) or "").split(",") if word.strip()]

    def flag(self, key: str) -> bool | None:
        """Return a switch; stations write true in many ways (CF-06)."""
        value = self.text(key)
        return None if value is None else value.strip().casefold() in YES

    def cannot(self, kind: LimitationKind, subject: str = "") -> bool:
        return (kind, subject) in self.limitations


NO_FACTS = Facts({}, frozenset())


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A csms process says that it lives, and which stations it heard from when."""

    node_id: str
    name: str
    at: datetime
    lease_until: datetime
    seen: Sequence[str]


@dataclass(frozen=True, slots=True)
class TransactionEvent:
    """A step of a charging session, as 2.x stations tell it: numbered, under an id of their own.

    `evse_id` and `connector_id` are 0 while unknown. `id_token` is None where the event names no
    tag. `free` marks a token that stands for no driver, such as a start button's. `stops` says that
    the token is shown to end the session. `remote_start_id` is that of the command it follows.
    `time_spent_charging` is in s, `cable_max_current` in A.
    """

    station: str
    ocpp_version: OcppVersion
    uuid: str
    kind: str
    seq_no: int
    trigger: str
    at: datetime
    received_at: datetime
    at_raw: str = ""
    offline: bool = False
    evse_id: int = 0
    connector_id: int = 0
    charging_state: str = ""
    id_token: str | None = None
    token_type: str = ""
    free: bool = False
    stops: bool = False
    reason: str = ""
    reservation_id: int | None = None
    remote_start_id: int | None = None
    time_spent_charging: int | None = None
    number_of_phases_used: int | None = None
    cable_max_current: int | None = None
    readings: Sequence[Reading] = ()


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """What a station is told of an event: of the token that it names, and of the cost once the session has ended."""

    authorization: Authorization | None
    total_cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A station wants its public key signed; `csr` is the request as it sent it."""

    station: str
    csr: str
    at: datetime
    use: CertificateUse = CertificateUse.STATION


@dataclass(frozen=True, slots=True)
class ChainAnswer:
    """A station's answer to the signed chain that a command brought it."""

    station: str
    command_id: UUID
    chain: str
    accepted: bool
    at: datetime
    use: CertificateUse = CertificateUse.STATION


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """How OCPP names an installed certificate (1.6 whitepaper section 6.1 CertificateHashDataType).

    The hashes and the serial number are hexadecimal text; case does not matter.
    """

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str


@dataclass(frozen=True, slots=True)
class CertificateInstalled:
    """A station took a root, in PEM."""

    station: str
    use: CertificateUse
    pem: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CertificateGone:
    """A station deleted a root, or never had it."""

    station: str
    hash: CertificateHash
    at: datetime


@dataclass(frozen=True, slots=True)
class CertificatesTold:
    """All certificates for one use that a station holds.

    `children` names those between one and its root, by the one they belong to.
    """

    station: str
    use: CertificateUse
    hashes: Sequence[CertificateHash]
    at: datetime
    children: Mapping[CertificateHash, Sequence[CertificateHash]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Which certificate's status is asked for, and the URL of its OCSP responder."""

    station: str
    hash: CertificateHash
    responder: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What a vehicle shows of its contract: its eMAID, and its certificate as far as the station tells it.

    `chain` is in PEM, the contract's certificate first; `hashes` names the certificates of the chain.
    """

    station: str
    emaid: str
    chain: str = ""
    hashes: Sequence[StatusRequest] = ()


@dataclass(frozen=True, slots=True)
class ContractRequest:
    """What a vehicle asks of those who issue contracts (ISO 15118 CertificateInstallationReq, CertificateUpdateReq).

    `exi` is its request in base64, by the schema that `schema_version` names; `update` says that
    it has a contract certificate already.
    """

    station: str
    schema_version: str
    exi: str
    update: bool


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What an operator wants to know of a certificate; names as RFC 4514 writes them, numbers in hexadecimal."""

    subject: str
    issuer: str
    serial_number: str
    not_before: datetime
    not_after: datetime
    fingerprint: str
