"""Stations: who may connect, who is connected, what they say of themselves."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, OuterRef

from chargers.changes import Changes
from chargers.choices import RegistrationStatus, SecurityProfile, TransactionFlag
from chargers.errors import ChargersError, ConnectionTooWeak, NotAuthenticated, UnknownStation, WrongCredentials
from chargers.models import ChargePoint, CsmsNode, Deviation, Transaction, Variable
from chargers.models.station import identity_key
from chargers.services import firmware, limitations, security
from chargers.sql import update_rows
from chargers.values import (
    Boot,
    Booted,
    ClientCertificate,
    Connected,
    DeviationNote,
    Disconnected,
    Heartbeat,
    KeyChange,
    Lookup,
    NodeReport,
    Refusal,
    SecurityEventReport,
    StationProfile,
)

logger = logging.getLogger(__name__)

TOPIC = "chargepoint"

# 20 random bytes as hexadecimal text: what AuthorizationKey holds (OCPP-J 1.6 section 6.2.2).
KEY_BYTES = 20
# The name in 2.0.1 (part 2 appendix 1) for a change of what authenticates.
KEY_RENEWED = "ReconfigurationOfSecurityParameters"
EXAMPLE_LENGTH = 500
CONNECT_FIELDS = (
    "node",
    "connection_id",
    "connected_since",
    "last_seen",
    "ip_address",
    "ocpp_version",
    "security_profile",
    "proposed_security_profile",
    "profile_change_id",
)
BOOT_FIELDS = (
    "chargepoint_vendor",
    "chargepoint_model",
    "chargepoint_serial_number",
    "chargebox_serial_number",
    "firmware_version",
    "iccid",
    "imsi",
    "meter_type",
    "meter_serial_number",
    "last_boot",
    "last_seen",
)
FORGET_NODES_AFTER = timedelta(days=1)


def new_key(station: ChargePoint) -> str:
    """Give the station a new random key, its only one, and return it; only its hash is kept."""
    key = secrets.token_hex(KEY_BYTES)
    station.key_hash, station.proposed_key_hash, station.key_change_id = hash_key(key.encode()), "", None
    station.save(update_fields=["key_hash", "proposed_key_hash", "key_change_id"])
    return key


def renew_key(station: ChargePoint, *, by: str, at: datetime, changes: Changes) -> str:
    """Give a station another key, and keep who did it; see `new_key`."""
    key = new_key(station)
    logger.info("%s made a new key for station %s", by, station, extra={"chargepoint_id": station.pk})
    security.record([SecurityEventReport(station.pk, KEY_RENEWED, f"a new key was made by {by}", at, at)], changes)
    changes.note(TOPIC, station.pk)
    return key


def propose_key(station: ChargePoint, key: bytes, change_id: UUID, *, instead: bool = False) -> bool:
    """Accept another key beside the station's own until it is known which of them the station uses.

    False while there is such a key already, which the station may have taken: without it the
    station could be locked out. `instead` gives that one up. A connection with the old key is no
    proof against it, since the station may have put off the change to its next boot.
    """
    rows = ChargePoint.objects.filter(pk=station.pk)
    if not instead:
        rows = rows.filter(key_change_id=None)
    return rows.update(proposed_key_hash=hash_key(key), key_change_id=change_id) > 0


def settle_key(values: Sequence[KeyChange], changes: Changes) -> list[None]:
    """Let the key a station has accepted be its only one, or drop the one it refused (whitepaper A01.FR.03, .04)."""
    for value in values:
        if value.accepted:
            ChargePoint.objects.filter(key_change_id=value.change_id).update(
                key_hash=F("proposed_key_hash"), proposed_key_hash="", key_change_id=None
            )
        else:
            drop_proposed_key(value.change_id)
        changes.note(TOPIC, value.station)
    return [None] * len(values)


def drop_proposed_key(change_id: UUID) -> None:
    """Forget a key that its station does not use."""
    ChargePoint.objects.filter(key_change_id=change_id).update(proposed_key_hash="", key_change_id=None)


def propose_profile(station: ChargePoint, profile: int, change_id: UUID) -> None:
    """Remember the higher security profile that a station is told to use: its own once it connects with it.

    Until then the old one is good as well, since a station falls back that could not connect (A05.FR.08).
    """
    ChargePoint.objects.filter(pk=station.pk).update(proposed_security_profile=profile, profile_change_id=change_id)


def drop_proposed_profiles(values: Sequence[UUID], changes: Changes) -> list[None]:
    """Forget security profiles that stations were never told, or refused."""
    ChargePoint.objects.filter(profile_change_id__in=values).update(
        proposed_security_profile=None, profile_change_id=None
    )
    return [None] * len(values)


def hash_key(key: bytes) -> str:
    """Hash a key with a salt of its own.

    The key is random and long, so a fast hash keeps it safe, and a reconnect of ten thousand
    stations takes no hour.
    """
    salt = secrets.token_hex(8)
    return f"sha256${salt}${hashlib.sha256(salt.encode() + key).hexdigest()}"


def key_matches(presented: bytes, key_hash: str) -> bool:
    """Compare a presented key; stations send the hexadecimal text or the bytes it stands for (TR-12)."""
    _, salt, digest = key_hash.split("$")
    forms = (presented, presented.hex().encode(), presented.lower())
    return any(hmac.compare_digest(hashlib.sha256(salt.encode() + form).hexdigest(), digest) for form in forms)


def lookup(values: Sequence[Lookup], changes: Changes) -> list[StationProfile | ChargersError]:
    """Identify stations that ask to connect and check how they prove it.

    An unknown one is registered, where that is allowed. That a known one was turned away is kept
    as a security event (A00.FR.323, A00.FR.408).
    """
    keys = {identity_key(value.identity) for value in values}
    found = {row.lookup_key: row for row in ChargePoint.objects.select_related("location").filter(lookup_key__in=keys)}
    answers = [_admit(value, found, changes) for value in values]
    refused = [
        Refusal(answer.identity, answer.reason, value.address, value.at)
        for value, answer in zip(values, answers, strict=True)
        if isinstance(answer, NotAuthenticated) and identity_key(answer.identity) in found
    ]
    if refused:
        security.record_refusals(refused, changes)
    return answers


def note_refusals(values: Sequence[Refusal], changes: Changes) -> list[None]:
    """Keep that stations were refused without a look; `station` is the identity that was told."""
    rows = ChargePoint.objects.filter(lookup_key__in={identity_key(value.station) for value in values})
    known = dict(rows.values_list("lookup_key", "pk"))
    found = [replace(value, station=known[key]) for value in values if (key := identity_key(value.station)) in known]
    if found:
        security.record_refusals(found, changes)
    return [None] * len(values)


def _admit(value: Lookup, found: dict[str, ChargePoint], changes: Changes) -> StationProfile | ChargersError:
    key = identity_key(value.identity)
    station = found.get(key)
    if station is None and settings.OCPP_PREREGISTRATION:
        return UnknownStation(value.identity)
    known = station or ChargePoint(chargepoint_id=value.identity)
    proved = _prove(known, value)
    if isinstance(proved, NotAuthenticated):
        return proved
    if station is None:
        known.save(force_insert=True)
        found[key] = known
        changes.note(TOPIC, known.pk, "created")
    return StationProfile(
        chargepoint_id=known.chargepoint_id,
        registration_status=RegistrationStatus(known.registration_status),
        ocpp_version=known.ocpp_version,
        time_zone=known.location.time_zone if known.location else "",
        booted_before=known.last_boot is not None,
        security_profile=proved,
    )


def _prove(station: ChargePoint, value: Lookup) -> SecurityProfile | NotAuthenticated:
    """Return the security profile that a station connects with, at least the one that is demanded of it (A00.FR.002).

    Without a demand a key may be left out, and must not be wrong.
    """
    if value.certificate_flaw:
        # As in a TLS handshake, whatever is demanded.
        return ConnectionTooWeak(station.chargepoint_id, value.certificate_flaw)
    demanded = max(station.security_profile, settings.OCPP_MIN_SECURITY_PROFILE)
    foreign = _why_foreign(station, value.certificate)
    if not foreign:
        return SecurityProfile.TLS_CERTIFICATE
    if demanded == SecurityProfile.TLS_CERTIFICATE:
        return ConnectionTooWeak(station.chargepoint_id, f"security profile 3 is demanded, and {foreign}")
    if demanded == SecurityProfile.TLS_BASIC and not value.tls:
        return ConnectionTooWeak(
            station.chargepoint_id, "security profile 2 is demanded, and this is no TLS connection"
        )
    right = _is_own_key(station, value.password)
    if right:
        return SecurityProfile.TLS_BASIC if value.tls else SecurityProfile.BASIC
    if right is None and demanded == SecurityProfile.NONE:
        return SecurityProfile.NONE
    if right is not None:
        return WrongCredentials(station.chargepoint_id, "the key is wrong")
    missing = "there is none on record to compare the key with" if value.password else "the key is missing"
    return WrongCredentials(station.chargepoint_id, missing)


def _why_foreign(station: ChargePoint, certificate: ClientCertificate | None) -> str:
    """Say why a client certificate is not the station's own; nothing where it is."""
    if certificate is None:
        return "there is no client certificate"
    if settings.CPO_NAME and not certificate.belongs_to(settings.CPO_NAME):
        return f"the organization (O) of client certificate {certificate.serial_number} is not {settings.CPO_NAME!r}"
    if identity_key(station.chargepoint_id) in map(identity_key, certificate.common_names):
        return ""
    serials = (station.chargepoint_serial_number.strip(), station.chargebox_serial_number.strip())
    if any(serial and certificate.names(serial) for serial in serials):
        return ""
    names = ", ".join(map(repr, certificate.common_names)) or "nobody"
    return (
        f"client certificate {certificate.serial_number} is of {names} (CN), "
        "which is neither the identity nor the serial number of the station"
    )


def _is_own_key(station: ChargePoint, password: bytes | None) -> bool | None:
    """Tell whether a key is the station's; None where none was presented, or there is none to compare with."""
    if password and station.proposed_key_hash and key_matches(password, station.proposed_key_hash):
        # It had taken the key, though its answer was lost; now it is known.
        station.key_hash, station.proposed_key_hash, station.key_change_id = station.proposed_key_hash, "", None
        station.save(update_fields=["key_hash", "proposed_key_hash", "key_change_id"])
        return True
    if password and station.key_hash:
        return key_matches(password, station.key_hash)
    return None


def connect(values: Sequence[Connected], changes: Changes) -> list[tuple[str, UUID] | None]:
    """Make each connection its station's only one; return node and id of the one before, if there is one.

    It takes a fixed number of statements a batch: after an outage all stations come back at once.
    """
    stations = ChargePoint.objects.select_for_update(of=("self",)).in_bulk([value.station for value in values])
    held_by: list[tuple[str, UUID] | None] = []
    for value in values:
        station = stations.get(value.station)
        if station is None:
            # Deleted since its handshake.
            held_by.append(None)
            continue
        if station.node_id is not None and station.connection_id is not None:
            held_by.append((station.node_id, station.connection_id))
        else:
            held_by.append(None)
        station.node_id, station.connection_id = value.node_id, value.connection_id
        station.connected_since = station.last_seen = value.at
        station.ip_address, station.ocpp_version = value.ip_address, value.ocpp_version
        _take_profile(station, value.security_profile)
        changes.note(TOPIC, value.station)
    update_rows(stations.values(), CONNECT_FIELDS)
    return held_by


def _take_profile(station: ChargePoint, profile: SecurityProfile) -> None:
    """Demand from now on the profile that a station was told to use, once it has connected with it (A05.FR.09)."""
    proposed = station.proposed_security_profile
    if proposed is None or profile < proposed:
        return
    extra = {"chargepoint_id": station.pk}
    logger.info("%s has connected with security profile %d, and must from now on", station, proposed, extra=extra)
    station.security_profile, station.proposed_security_profile, station.profile_change_id = proposed, None, None


def disconnect(values: Sequence[Disconnected], changes: Changes) -> list[bool]:
    """End connections; say for each whether it was still its station's own.

    The connection's id fences: when another connection has taken over, nothing matches.
    """
    ids = [value.connection_id for value in values]
    current = set(ChargePoint.objects.filter(connection_id__in=ids).values_list("pk", flat=True))
    ChargePoint.objects.filter(connection_id__in=ids).update(node=None, connection_id=None)
    for station in current:
        changes.note(TOPIC, station)
    return [value.station in current for value in values]


def boot(values: Sequence[Boot], changes: Changes) -> list[Booted]:
    """Keep what stations say of themselves and answer their registration status.

    A transaction that is open meanwhile stays open, since a station may boot without ending it
    (BO-04); it is flagged. What is the same firmware as before takes a fixed number of statements
    a batch.
    """
    rows = ChargePoint.objects.filter(pk__in=[value.station for value in values])
    known = rows.in_bulk()
    # A range, which the index finds at once however many variables there are.
    variables = Variable.objects.filter(chargepoint=OuterRef("pk"), component__gt="")
    told = set(rows.filter(Exists(variables)).values_list("pk", flat=True))
    answers = []
    for value in values:
        station = known.get(value.station)
        if station is None:
            # Deleted since it connected.
            answers.append(Booted(RegistrationStatus.REJECTED, True))
            continue
        changed = station.firmware_version != value.firmware_version
        if changed:
            limitations.forget(value.station, changes)
            firmware.note_version(value.station, value.firmware_version, changes)
        station.chargepoint_vendor, station.chargepoint_model = value.vendor, value.model
        station.chargepoint_serial_number = value.serial_number
        station.chargebox_serial_number = value.box_serial_number
        station.firmware_version = value.firmware_version
        station.iccid, station.imsi = value.iccid, value.imsi
        station.meter_type, station.meter_serial_number = value.meter_type, value.meter_serial_number
        station.last_boot = station.last_seen = value.at
        changes.note(TOPIC, value.station)
        answers.append(Booted(RegistrationStatus(station.registration_status), changed or value.station not in told))
    update_rows(known.values(), BOOT_FIELDS)
    booted = [value.station for value in values if not value.triggered]
    _flag_open_transactions(booted, changes)
    Variable.objects.filter(chargepoint__in=booted, reboot_required=True).update(reboot_required=False)
    return answers


def _flag_open_transactions(stations: Sequence[str], changes: Changes) -> None:
    running = Transaction.objects.filter(chargepoint__in=stations, stop_transaction_timestamp__isnull=True)
    for row in running.select_for_update().order_by("pk"):
        row.flag(TransactionFlag.BOOTED_DURING)
        row.save(update_fields=["flags"])
        changes.note("transaction", row.pk)


def heartbeat(values: Sequence[Heartbeat], changes: Changes) -> list[None]:
    """Note when stations last gave a heartbeat, in one statement for all."""
    at = max(value.at for value in values)
    stations = [value.station for value in values]
    ChargePoint.objects.filter(pk__in=stations).update(last_heartbeat=at, last_seen=at)
    return [None] * len(values)


def note_deviations(values: Sequence[DeviationNote], changes: Changes) -> list[None]:
    """Count the ways in which stations break the rules; one that was deleted meanwhile has none."""
    known = set(ChargePoint.objects.filter(pk__in=[value.station for value in values]).values_list("pk", flat=True))
    for value in values:
        if value.station not in known:
            continue
        example = value.example[:EXAMPLE_LENGTH]
        counted = Deviation.objects.filter(chargepoint=value.station, kind=value.kind).update(
            count=F("count") + value.count, last_seen=value.at, example=example
        )
        if not counted:
            Deviation.objects.create(
                chargepoint_id=value.station,
                kind=value.kind,
                count=value.count,
                first_seen=value.at,
                last_seen=value.at,
                example=example,
            )
        changes.note(TOPIC, value.station)
    return [None] * len(values)


def report_node(values: Sequence[NodeReport], changes: Changes) -> list[int]:
    """Renew the leases of csms nodes and note which stations they heard from; return how many each holds."""
    held = []
    for value in values:
        CsmsNode.objects.update_or_create(
            node_id=value.node_id,
            defaults={"name": value.name, "lease_until": value.lease_until},
            create_defaults={"name": value.name, "started_at": value.at, "lease_until": value.lease_until},
        )
        ChargePoint.objects.filter(pk__in=value.seen).update(last_seen=value.at)
        held.append(ChargePoint.objects.filter(node=value.node_id).count())
    return held


def current_connections(values: Sequence[Sequence[str]], changes: Changes) -> list[dict[str, UUID | None]]:
    """Tell by station which connection is its own, None where it has none; unknown stations are left out."""
    return [dict(ChargePoint.objects.filter(pk__in=stations).values_list("pk", "connection_id")) for stations in values]


def leave_node(values: Sequence[str], changes: Changes) -> list[None]:
    """Forget csms nodes that have stopped; their stations are offline."""
    for node_id in values:
        _release(node_id, changes)
        CsmsNode.objects.filter(pk=node_id).delete()
    return [None] * len(values)


def sweep_nodes(*, now: datetime, changes: Changes) -> None:
    """Mark the stations of nodes whose lease has run out as offline, and forget old nodes."""
    for node in CsmsNode.objects.filter(lease_until__lte=now, chargepoints__isnull=False).distinct():
        logger.warning("csms node %s stopped without a word; its stations are offline", node)
        _release(node.node_id, changes)
    CsmsNode.objects.filter(lease_until__lte=now - FORGET_NODES_AFTER).delete()


def _release(node_id: str, changes: Changes) -> None:
    for station in ChargePoint.objects.filter(node_id=node_id).values_list("pk", flat=True):
        changes.note(TOPIC, station)
    ChargePoint.objects.filter(node_id=node_id).update(node=None, connection_id=None)
