"""What stations are found unable to do, and the other facts that decide how they are asked."""

from collections.abc import Sequence

from django.db.models import F, Q

from chargers.changes import Changes
from chargers.choices import PowerType
from chargers.models import ChargePoint, Connector, Limitation, Variable
from chargers.secrets import masked_url
from chargers.values import Facts, LimitationReport

TOPIC = "chargepoint"
SUBJECT_LENGTH = 100
REASON_LENGTH = 500
# How the components that configure a station are named (2.0.1 part 1, section 4.2).
CONTROLLER = "Ctrlr"
# The variable that counts what a controller holds; how much that can be is its maxLimit.
ENTRIES = "Entries"


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
    limits = Limitation.objects.certain().filter(chargepoint=station)
    places = list(
        Connector.objects.filter(chargepoint=station)
        .order_by("evse_id", "connectorid")
        .values_list("evse_id", "connectorid", "power_type")
    )
    return Facts(
        variables=_settings(station),
        limitations=frozenset(limits.values_list("kind", "subject")),
        evses=tuple(dict.fromkeys(evse for evse, _, _ in places)),
        direct_current=frozenset(evse for evse, _, kind in places if kind == PowerType.DC),
        connectors=tuple((evse, connector) for evse, connector, _ in places),
    )


def _settings(station: str) -> dict[str, str]:
    """Return a station's configuration keys and the variables of its controllers; the rest may be thousands."""
    rows = Variable.objects.filter(
        Q(component="") | Q(component__endswith=CONTROLLER),
        Q(value__isnull=False) | Q(variable=ENTRIES),
        chargepoint=station,
        evse_id=0,
        attribute="Actual",
    )
    found = {}
    for *names, value, characteristics in rows.values_list(
        "component", "variable", "variable_instance", "value", "characteristics"
    ):
        key = _key(*names)
        if value is not None:
            found[key.casefold()] = value
        if names[1] == ENTRIES and isinstance(most := (characteristics or {}).get("max_limit"), int | float):
            # A whole number, which stations tell as a decimal.
            found[f"{key}.maxLimit".casefold()] = format(most, ".0f")
    return found


def _key(component: str, variable: str, instance: str) -> str:
    of = f"{component}." if component else ""
    return f"{of}{variable}[{instance}]" if instance else f"{of}{variable}"


def certain(station: str, needs: Sequence[tuple[str, str]]) -> Limitation | None:
    """Return what stands against a request that needs all of `needs`, kinds with their subjects."""
    known = Limitation.objects.certain().filter(chargepoint=station, kind__in={kind for kind, _ in needs})
    return next((row for row in known if (row.kind, row.subject) in needs), None)
