"""Id tags: whether a driver may charge."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.conf import settings

from chargers.changes import Changes
from chargers.choices import AuthorizationStatus, TransactionStatus
from chargers.models import ChargePoint, IdTag, Reservation, Transaction
from chargers.models.idtag import tag_key
from chargers.services import registrations, reservations
from chargers.values import Authorization, AuthorizationRequest

INVALID = Authorization(AuthorizationStatus.INVALID)

# The longest tag OCPP 1.6 allows; some stations send one back with bytes behind it (ID-01).
TAG_LENGTH_16 = 20
# And the longest that 2.x allows (IdTokenType).
TAG_LENGTH_2 = 36
# How many bytes that may be.
MAX_TAIL = 2
# What stations send when charging is free (ID-03).
NO_TAGS = frozenset({"", "noauthorization"})


def authorize(values: Sequence[AuthorizationRequest], changes: Changes) -> list[Authorization]:
    """Judge the tags that drivers present."""
    tags = find([value.id_token for value in values])
    held = reservations.held_by(value.station for value in values)
    return [_authorize(value, tags[value.id_token], held.get(value.station, ())) for value in values]


def _authorize(value: AuthorizationRequest, tag: IdTag | None, held: Sequence[Reservation]) -> Authorization:
    return reservations.guard(judge(value, tag), held, tag.pk if tag else value.id_token, value.at)


def find(id_tokens: Sequence[str]) -> dict[str, IdTag | None]:
    """Find tags as stations spell them, in one query: case, separators and a tail do not matter."""
    keys = {key for token in id_tokens for key in _keys(token)}
    rows = {row.lookup_key: row for row in IdTag.objects.select_related("parent").filter(lookup_key__in=keys)}
    return {token: next((rows[key] for key in _keys(token) if key in rows), None) for token in id_tokens}


def same(one: str, other: str) -> bool:
    """Tell whether two spellings mean the same tag."""
    return not set(_keys(one)).isdisjoint(_keys(other))


def echoes(sent: str, known: str) -> bool:
    """Tell whether a station sends back a tag it knows, perhaps with bytes behind it (ID-01)."""
    tail = len(sent) - len(known)
    return same(sent, known) or (0 < tail <= MAX_TAIL < len(known) and tag_key(sent).startswith(tag_key(known)))


def _keys(id_token: str) -> tuple[str, ...]:
    whole = tag_key(id_token)
    if len(id_token) > TAG_LENGTH_16:
        return whole, tag_key(id_token[:TAG_LENGTH_16])
    return (whole,)


def judge(request: AuthorizationRequest, tag: IdTag | None) -> Authorization:
    """Judge one tag, its running transactions left aside.

    One that is presented as another type than its own is somebody else's (2.0.1 section C, IdTokenType).
    """
    if tag is None:
        return _judge_unknown(request)
    if request.token_type and tag.token_type and request.token_type.casefold() != tag.token_type.casefold():
        return INVALID
    status = tag.own_status(request.at)
    if status == AuthorizationStatus.ACCEPTED and tag.parent:
        status = tag.parent.own_status(request.at)
    expiries = [each.expiry_date for each in (tag, tag.parent) if each and each.expiry_date]
    return Authorization(status, expiry_date=min(expiries, default=None), parent=tag.parent_id)


def _judge_unknown(request: AuthorizationRequest) -> Authorization:
    if _means_no_tag(request):
        accepted = settings.OCPP_ACCEPT_NO_TAG
    elif accepted := settings.OCPP_AUTHORIZE_UNKNOWN and registrations.has_room(IdTag, settings.OCPP_MAX_ID_TAGS):
        # Another station of the batch may just have shown it.
        IdTag.objects.get_or_create(lookup_key=tag_key(request.id_token), defaults={"id_token": request.id_token})
    return Authorization(AuthorizationStatus.ACCEPTED) if accepted else INVALID


def _means_no_tag(request: AuthorizationRequest) -> bool:
    """Tell whether the station charges for free: it sends no tag, or its own number as one."""
    if tag_key(request.id_token.strip()) in NO_TAGS:
        return True
    numbers = ChargePoint.objects.filter(pk=request.station).values_list(
        "chargepoint_id", "chargepoint_serial_number", "chargebox_serial_number"
    )
    # Serial numbers may be longer than tags, which are cut then.
    return any(number and same(request.id_token, number) for row in numbers for number in row)


class Running:
    """What runs on tags that may have only so many transactions at once, read once for any number of starts."""

    def __init__(self, tags: Iterable[IdTag | None]) -> None:
        """Read it with the tags locked: two nodes that serve one tag must not both find the last free place."""
        self._begun: dict[str, dict[int, datetime | None]] = defaultdict(dict)
        limited = sorted({tag.pk for tag in tags if tag is not None and tag.max_active_transactions is not None})
        if not limited:
            return
        list(IdTag.objects.select_for_update().filter(pk__in=limited).order_by("pk").values_list("pk"))
        running = Transaction.objects.filter(
            id_tag__in=limited,
            # What a deleted station left open can never end.
            chargepoint__lookup_key__isnull=False,
            stop_transaction_timestamp__isnull=True,
            transaction_status=TransactionStatus.STARTED,
        )
        for id_tag, key, started in running.values_list("id_tag", "pk", "start_transaction_timestamp"):
            self._begun[id_tag][key] = started

    def judge(
        self, request: AuthorizationRequest, tag: IdTag | None, *, at: datetime, besides: Collection[int] = ()
    ) -> Authorization:
        """Judge a tag that starts a transaction at `at`; those named `besides` do not count, as it ends them or is it."""
        authorization = judge(request, tag)
        if tag is None or tag.max_active_transactions is None or authorization.status != AuthorizationStatus.ACCEPTED:
            return authorization
        others = [
            started for key, started in self._begun[tag.pk].items() if key not in besides and started and started <= at
        ]
        if len(others) < tag.max_active_transactions:
            return authorization
        return Authorization(AuthorizationStatus.CONCURRENT_TX, authorization.expiry_date, authorization.parent)

    def note(self, transaction: Transaction) -> None:
        """Count a transaction as it is after the batch that is being served has come to it."""
        begun = self._begun[transaction.id_tag_id or ""]
        # One that is not stored yet has no number.
        key = transaction.pk or -id(transaction)
        if transaction.is_open and transaction.transaction_status == TransactionStatus.STARTED:
            begun[key] = transaction.start_transaction_timestamp
        else:
            begun.pop(key, None)
