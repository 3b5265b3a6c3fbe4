"""Certificates: what stations want signed, and what they are believed to hold.

A good signing request is answered at once and signed later by the worker, since an authority may
be slow or away. What the worker does next stands in `due_at` of the row; a worker that is killed
leaves the row due again.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.x509.oid import NameOID
from django.conf import settings
from django.db.models import F, Max, Q

from chargers import authority, pem
from chargers.changes import Changes
from chargers.choices import CertificateStatus, CertificateUse
from chargers.errors import CertificateRefused
from chargers.models import Certificate, ChargePoint, Variable
from chargers.models.station import identity_key
from chargers.values import (
    CertificateGone,
    CertificateHash,
    CertificateInstalled,
    CertificatesTold,
    ChainAnswer,
    SigningRequest,
)

logger = logging.getLogger(__name__)

# What CertificateSigned holds (whitepaper section 5.1).
MAX_CHAIN = 10_000
# What SignCertificate holds (section 5.17); no more is kept of what is no request.
MAX_CSR = 5500
# How many roots for one use a station is believed to hold; real ones hold a handful.
MAX_ROOTS = 100
# In which a station holds a certificate.
HELD = (CertificateStatus.ACCEPTED, CertificateStatus.INSTALLED)
# The settings in which stations tell how long a chain may be, in 1.6 and in 2.x.
CHAIN_LIMITS = ("CertificateSignedMaxChainSize", "MaxCertificateChainSize")
# How often something is tried that fails for a passing cause: over half an hour.
ATTEMPTS = 6
FIRST_PAUSE = timedelta(minutes=1)
REASON_LENGTH = 500
# How long before its end a certificate should be replaced (A03.FR.02).
SOON = timedelta(days=30)


class Expiry(NamedTuple):
    """When the last certificate that a station holds for one use expires."""

    station: str
    use: CertificateUse
    at: datetime


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: twice as long each time."""
    return FIRST_PAUSE * (1 << max(attempts - 1, 0))


# What stations say.


def request(values: Sequence[SigningRequest], changes: Changes) -> list[bool]:
    """Take signing requests that are good, and keep the others with what is wrong; say for each which it is."""
    return [_request(value) for value in values]


def _request(value: SigningRequest) -> bool:
    try:
        csr = _checked(value)
    except CertificateRefused as error:
        _keep_rejected(value, error)
        return False
    own = Certificate.objects.filter(chargepoint=value.station, use=value.use)
    if own.filter(csr=csr, status__in=(CertificateStatus.REQUESTED, CertificateStatus.SIGNED)).exists():
        return True
    # The newest request counts: with another key the station can no longer use what it asked for before.
    own.filter(status=CertificateStatus.SIGNED).update(
        status=CertificateStatus.FAILED, reason="the station sent another request", due_at=None, updated_at=value.at
    )
    fields = {"csr": csr, "reason": "", "attempts": 0, "due_at": value.at, "updated_at": value.at}
    if not own.filter(status=CertificateStatus.REQUESTED).update(**fields):
        Certificate.objects.create(
            chargepoint_id=value.station,
            use=value.use,
            status=CertificateStatus.REQUESTED,
            created_at=value.at,
            **fields,
        )
    return True


def _checked(value: SigningRequest) -> str:
    """Check a request and return it in PEM. Raises CertificateRefused."""
    if not authority.signs(value.use):
        raise CertificateRefused("NO_SIGNER", "this platform signs no certificates")
    station = ChargePoint.objects.filter(pk=value.station).first()
    if station is None:
        raise CertificateRefused("NO_STATION", "the station was deleted")
    # A vehicle does not know a station by the names that the platform does.
    free = value.use == CertificateUse.V2G
    names = (station.chargepoint_serial_number, station.chargebox_serial_number, station.chargepoint_id)
    csr = pem.check_request(value.csr, names=None if free else names, organization=settings.CPO_NAME)
    for name in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        _check_unique(str(name.value).strip(), station)
    return pem.write(csr)


def _check_unique(name: str, station: ChargePoint) -> None:
    """Refuse a name that is another station's too: a certificate must not let one pose as the other (A00.FR.427).

    Serial numbers are what stations say of themselves; the identity is what they have proved.
    """
    if identity_key(name) == station.lookup_key:
        return
    same = (
        Q(lookup_key=identity_key(name))
        | Q(chargepoint_serial_number__iexact=name)
        | Q(chargebox_serial_number__iexact=name)
    )
    if other := ChargePoint.objects.filter(same).exclude(pk=station.pk).first():
        raise CertificateRefused("CSR_COMMON_NAME", f"the common name (CN) {name!r} is a name of station {other} too")


def _keep_rejected(value: SigningRequest, error: CertificateRefused) -> None:
    """Keep a rejected request; one row a kind of reason, since stations ask again and again."""
    csr, reason = value.csr[:MAX_CSR], f"{error.code}: {error}"[:REASON_LENGTH]
    extra = {"chargepoint_id": value.station}
    logger.warning("%s: the signing request is rejected: %s", value.station, reason, extra=extra)
    known = Certificate.objects.filter(
        chargepoint=value.station,
        use=value.use,
        status=CertificateStatus.REJECTED,
        # The rest may quote what is another each time.
        reason__startswith=f"{error.code}: ",
        pem="",
    )
    if not known.update(csr=csr, reason=reason, updated_at=value.at):
        Certificate.objects.create(
            chargepoint_id=value.station,
            use=value.use,
            status=CertificateStatus.REJECTED,
            reason=reason,
            csr=csr,
            created_at=value.at,
            updated_at=value.at,
        )


def settle(values: Sequence[ChainAnswer], changes: Changes) -> list[None]:
    """Keep what stations answered to signed chains; one that an operator sent by hand is known from now on."""
    for value in values:
        status = CertificateStatus.ACCEPTED if value.accepted else CertificateStatus.REJECTED
        reason = "" if value.accepted else "the station refused it"
        asked = Certificate.objects.filter(command_id=value.command_id)
        settled = asked.update(status=status, reason=reason, due_at=None, updated_at=value.at)
        if not settled and value.accepted:
            Certificate.objects.create(
                chargepoint_id=value.station,
                use=value.use,
                status=status,
                command_id=value.command_id,
                created_at=value.at,
                updated_at=value.at,
                **_described(value.chain),
            )
    return [None] * len(values)


def _described(chain: str) -> dict[str, Any]:
    """Return the columns that tell of a chain's first certificate. Raises CertificateRefused."""
    certificate, *issuers = pem.read_chain(chain)
    facts = pem.facts(certificate)
    columns = {
        "pem": chain,
        "subject": facts.subject,
        "serial_number": facts.serial_number,
        "not_after": facts.not_after,
    }
    try:
        named = pem.hash_data(certificate, issuers[0] if issuers else None)
    except CertificateRefused:
        # Its issuer is not here.
        return columns
    return {**columns, **_columns(named)}


def longest_chain(station: str) -> int | None:
    """Return how many characters of a signed chain a station takes, where it told that."""
    named = Q()
    for name in CHAIN_LIMITS:
        named |= Q(variable__iexact=name)
    told = Variable.objects.filter(named, chargepoint=station, attribute="Actual").values_list("value", flat=True)
    limits = [int(text) for value in told if (text := (value or "").strip()).isascii() and text.isdecimal()]
    return min((limit for limit in limits if limit), default=None)


def _columns(named: CertificateHash) -> dict[str, str]:
    return {
        "hash_algorithm": named.algorithm,
        "issuer_name_hash": named.issuer_name_hash,
        "issuer_key_hash": named.issuer_key_hash,
        "serial_number": named.serial_number,
    }


def install(values: Sequence[CertificateInstalled], changes: Changes) -> list[None]:
    """Keep roots that stations have taken."""
    for value in values:
        columns = {
            **_described(value.pem),
            "status": CertificateStatus.INSTALLED,
            "reason": "",
            "updated_at": value.at,
        }
        roots = Certificate.objects.filter(chargepoint=value.station, use=value.use)
        known = roots.filter(pem=value.pem).first()
        if known is None and "issuer_key_hash" in columns:
            # The station may have told of it by any algorithm.
            root = pem.read_certificate(value.pem)
            names = (pem.hash_data(root, algorithm=algorithm) for algorithm in pem.HASHES)
            known = next((found for named in names if (found := _known(roots, named))), None)
        if known is not None:
            roots.filter(pk=known.pk).update(**columns)
        else:
            Certificate.objects.create(chargepoint_id=value.station, use=value.use, created_at=value.at, **columns)
    return [None] * len(values)


def forget(values: Sequence[CertificateGone], changes: Changes) -> list[None]:
    """Note that stations hold a certificate no more."""
    for value in values:
        held = Certificate.objects.filter(chargepoint=value.station, status__in=HELD)
        if known := _known(held, value.hash):
            held.filter(pk=known.pk).update(status=CertificateStatus.DELETED, updated_at=value.at)
    return [None] * len(values)


def tell(values: Sequence[CertificatesTold], changes: Changes) -> list[None]:
    """Believe what stations tell of their certificates for one use, and nothing else for that use any more."""
    for value in values:
        _tell(value)
    return [None] * len(values)


def _tell(value: CertificatesTold) -> None:
    uses = (value.use, CertificateUse.COMBINED) if value.use == CertificateUse.V2G else (value.use,)
    rows = list(Certificate.objects.filter(chargepoint=value.station, use__in=uses))
    told: set[int] = set()
    for named in dict.fromkeys(value.hashes[:MAX_ROOTS]):
        children = [_columns(each) for each in value.children.get(named, ())]
        columns = {**_columns(named), "status": CertificateStatus.INSTALLED, "children": children}
        known = _known(rows, named)
        if known is None:
            known = Certificate.objects.create(
                chargepoint_id=value.station, use=value.use, created_at=value.at, updated_at=value.at, **columns
            )
            rows.append(known)
        elif (known.status, known.children, _name_of(known)) != (CertificateStatus.INSTALLED, children, named):
            Certificate.objects.filter(pk=known.pk).update(**columns, due_at=None, updated_at=value.at)
        told.add(known.pk)
    gone = [row.pk for row in rows if row.use == value.use and row.status in HELD and row.pk not in told]
    Certificate.objects.filter(pk__in=gone).update(status=CertificateStatus.DELETED, updated_at=value.at)


def _known(rows: Iterable[Certificate], named: CertificateHash) -> Certificate | None:
    """Find the certificate that OCPP names so."""
    return next((row for row in rows if _is_named(row, named)), None)


def _name_of(row: Certificate) -> CertificateHash:
    return CertificateHash(row.hash_algorithm, row.issuer_name_hash, row.issuer_key_hash, row.serial_number)


def _is_named(row: Certificate, named: CertificateHash) -> bool:
    """Tell whether a row's certificate is named so, by whatever algorithm; the issuer's key may not be known."""
    own = _name_of(row)
    if row.pem and named.algorithm in pem.HASHES and named.algorithm != own.algorithm:
        try:
            own = pem.hash_data(pem.read_chain(row.pem)[0], algorithm=named.algorithm)
        except CertificateRefused:
            own = CertificateHash("", "", "", own.serial_number)
    if _folded(own.serial_number) != _folded(named.serial_number):
        return False
    if not own.issuer_key_hash or not named.issuer_key_hash:
        return bool(row.pem)
    return (
        own.issuer_key_hash.casefold() == named.issuer_key_hash.casefold()
        and own.issuer_name_hash.casefold() == named.issuer_name_hash.casefold()
    )


def _folded(serial_number: str) -> str:
    """Fold a serial number for comparison; stations write leading zeros, which they should not."""
    return serial_number.casefold().lstrip("0")


# What the worker does.


def sign_next(*, now: datetime) -> bool:
    """Have the request signed that is due first; False when none is. What goes wrong is kept, and tried again."""
    row = _claim(now)
    if row is None:
        return False
    asked = Certificate.objects.filter(pk=row.pk, status=CertificateStatus.REQUESTED, csr=row.csr)
    try:
        signed = _sign(row)
    except Exception as error:
        # Whatever a signer raises.
        reason = f"{getattr(error, 'code', type(error).__name__)}: {error}"
        _warn(row, "the certificate was not signed", reason)
        asked.update(**_tried(row.attempts, reason, now))
    else:
        asked.update(**signed, status=CertificateStatus.SIGNED, reason="", attempts=0, due_at=now, updated_at=now)
    return True


def _claim(now: datetime) -> Certificate | None:
    """Take the request that is due first, for longer than any signer may take."""
    row = Certificate.objects.filter(status=CertificateStatus.REQUESTED, due_at__lte=now).order_by("due_at").first()
    if row is None:
        return None
    again = now + timedelta(seconds=3 * settings.CERTIFICATE_TIMEOUT)
    untaken = Certificate.objects.filter(pk=row.pk, status=CertificateStatus.REQUESTED, due_at=row.due_at)
    if not untaken.update(due_at=again, attempts=F("attempts") + 1):
        return None
    row.attempts += 1
    return row


def _sign(row: Certificate) -> dict[str, Any]:
    """Return the columns of a signed request. Raises whatever the signer raises, and CertificateRefused."""
    signer = authority.signer(CertificateUse(row.use))
    if signer is None:
        raise CertificateRefused("NO_SIGNER", "this platform signs no certificates")
    if row.chargepoint_id is None or not ChargePoint.objects.filter(pk=row.chargepoint_id).exists():
        raise CertificateRefused("NO_STATION", "the station was deleted")
    chain = pem.read_chain(signer.sign(row.csr, row.chargepoint_id))
    if chain[0].public_key() != pem.read_request(row.csr).public_key():
        raise CertificateRefused("SIGNER_OTHER_KEY", "the signer's first certificate is not for the key of the request")
    text = pem.write(*chain)
    if len(text) > MAX_CHAIN:
        raise CertificateRefused("SIGNER_CHAIN_TOO_LONG", f"the chain has {len(text)} characters, over {MAX_CHAIN}")
    return _described(text)


def begin_delivery(row: Certificate, *, now: datetime, failure: str = "", counts: bool = True) -> bool:
    """Begin another attempt to bring a signed chain to its station; False after the last, or where nobody wants it.

    `failure` says why the attempt before came to nothing, `counts` whether it was one at all.
    """
    wanted = Certificate.objects.filter(pk=row.pk, status=CertificateStatus.SIGNED, due_at=row.due_at)
    tried = row.attempts if counts else max(row.attempts - 1, 0)
    if tried >= ATTEMPTS:
        _warn(row, "the signed certificate could not be brought to it", failure)
        wanted.update(status=CertificateStatus.FAILED, reason=failure, due_at=None, updated_at=now)
        return False
    begun = {"attempts": tried + 1, "reason": failure, "due_at": now + pause_after(tried + 1), "updated_at": now}
    return bool(wanted.update(**begun))


def put_off(row: Certificate, *, now: datetime) -> None:
    """Leave a signed chain for later that its station cannot get now."""
    unchanged = Certificate.objects.filter(pk=row.pk, status=CertificateStatus.SIGNED, due_at=row.due_at)
    unchanged.update(due_at=now + FIRST_PAUSE)


def brought_by(row: Certificate, command_id: UUID) -> None:
    """Note which command brings a chain to its station."""
    Certificate.objects.filter(pk=row.pk).update(command_id=command_id)


def give_up(row: Certificate, *, now: datetime, reason: str) -> None:
    """Note that a station cannot get its chain."""
    _warn(row, "the signed certificate cannot be brought to it", reason)
    Certificate.objects.filter(pk=row.pk).update(
        status=CertificateStatus.FAILED, reason=reason[:REASON_LENGTH], due_at=None, updated_at=now
    )


def _tried(attempts: int, reason: str, now: datetime) -> dict[str, Any]:
    """Return the columns of something that went wrong, and may be tried again."""
    tried: dict[str, Any] = {"reason": reason[:REASON_LENGTH], "updated_at": now}
    if attempts >= ATTEMPTS:
        return {**tried, "status": CertificateStatus.FAILED, "due_at": None}
    return {**tried, "due_at": now + pause_after(attempts)}


def expiring(*, now: datetime) -> list[Expiry]:
    """List what stations hold that expires within a month, and is the last of its kind to do so."""
    stations = ChargePoint.objects.all()
    known = Certificate.objects.filter(status__in=HELD, chargepoint__in=stations, not_after__isnull=False)
    last = known.order_by().values("chargepoint_id", "use").annotate(last=Max("not_after"))
    return [
        Expiry(row["chargepoint_id"], CertificateUse(row["use"]), row["last"])
        for row in last.filter(last__lt=now + SOON).order_by("last", "chargepoint_id", "use")
    ]


def _warn(row: Certificate, what: str, reason: str) -> None:
    logger.warning("%s: %s: %s", row.chargepoint_id, what, reason, extra={"chargepoint_id": row.chargepoint_id})
