"""What stations are found unable to do, and the other facts that decide how they are asked."""

from collections.abc import Sequence

from django.db.models import F

from chargers.changes import Changes
from chargers.choices import PowerType
from chargers.models import ChargePoint, Connector, Limitation, Variable
from chargers.secrets import masked_url
from chargers.values import Facts, LimitationReport

TOPIC = "chargepoint"
SUBJECT_LENGTH = 100
REASON_LENGTH = 500


def record(values: Sequence[LimitationReport], changes: Changes) -> list[None]:
    """Remember what stations cannot do; a report without a reason says that one can, and is forgotten."""
    for value in values:
        if _count(value) if value.reason else _drop(value):
            changes.note(TOPIC, value.station)
    return [None] * len(values)


def _drop(value: LimitationReport) -> bool:
    known = Limitation.objects.filter(
        chargepoint=value.station, kind=value.kind, subject=value.subject[:SUBJECT_LENGTH]
    )
    return known.delete()[0] > 0


def _count(value: LimitationReport) -> bool:
    """Count one more time; a station that was deleted meanwhile has none."""
    if not ChargePoint.objects.filter(pk=value.station).exists():
        return False
    row, _ = Limitation.objects.get_or_create(
        chargepoint_id=value.station,
        kind=value.kind,
        subject=value.subject[:SUBJECT_LENGTH],
        defaults={"first_seen": value.at, "last_seen": value.at},
    )
    Limitation.objects.filter(pk=row.pk).update(
        count=F("count") + 1,
        reason=masked_url(value.reason)[:REASON_LENGTH],
        certain=row.certain or value.certain,
        last_seen=value.at,
    )
    return True


def forget(station: str, changes: Changes) -> None:
    """Forget all limitations of a station: what it is now may be able to do more."""
    if Limitation.objects.filter(chargepoint=station).delete()[0]:
        changes.note(TOPIC, station)


def facts(values: Sequence[str], changes: Changes) -> list[Facts]:
    """Tell what is known of stations that decides how they are asked."""
    return [_facts(station) for station in values]


def _facts(station: str) -> Facts:
    settings = Variable.objects.filter(chargepoint=station, component="", value__isnull=False)
    limits = Limitation.objects.certain().filter(chargepoint=station)
    power = list(Connector.objects.filter(chargepoint=station).order_by("evse_id").values_list("evse_id", "power_type"))
    return Facts(
        variables={name.casefold(): value or "" for name, value in settings.values_list("variable", "value")},
        limitations=frozenset(limits.values_list("kind", "subject")),
        evses=tuple(dict.fromkeys(evse for evse, _ in power)),
        direct_current=frozenset(evse for evse, kind in power if kind == PowerType.DC),
    )


def certain(station: str, needs: Sequence[tuple[str, str]]) -> Limitation | None:
    """Return what stands against a request that needs all of `needs`, kinds with their subjects."""
    known = Limitation.objects.certain().filter(chargepoint=station, kind__in={kind for kind, _ in needs})
    return next((row for row in known if (row.kind, row.subject) in needs), None)
