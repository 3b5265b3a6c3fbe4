"""Configuration keys: reading, changing, and the station's own key."""

from collections.abc import Generator, Mapping, Sequence

from chargers.choices import LimitationKind, Mutability
from chargers.secrets import is_secret, is_station_key
from chargers.services import stations, variables
from chargers.values import KEY_ALIASES, YES, Facts, KeyChange, VariableName, VariableReport, VariablesReport
from csms.intake import Work
from csms.versions.base import CallFailed, Context, Effect, Payload, Script, Step, Talk
from tasks.v16.configuration import is_security_profile

MAX_KEY = 255
# Stations that know no filter refuse one in these words (CF-11).
MALFORMED = frozenset(
    {"FormationViolation", "FormatViolation", "PropertyConstraintViolation", "TypeConstraintViolation"}
)


def configuration_key(told: Payload) -> VariableReport:
    key = told["key"][:MAX_KEY]
    if is_secret(key):
        # Stations must not tell it, and some do.
        return VariableReport(key, None, Mutability.WRITE_ONLY)
    return VariableReport(
        key, told.get("value"), Mutability.READ_ONLY if told.get("readonly") else Mutability.READ_WRITE
    )


def keep_configuration(request: Payload, answer: Payload, context: Context) -> list[Work]:
    """Keep what was told; a key that was asked for and is in neither list is not known either (CF-04)."""
    told = [configuration_key(each) for each in answer.get("configurationKey", ()) if each.get("key")]
    known = {each.variable.casefold() for each in told}
    asked = [key for key in request.get("key", ()) if key.casefold() not in known]
    unknown = [VariableName(key) for key in (*answer.get("unknownKey", ()), *asked)]
    return [(variables.record, VariablesReport(context.station, told, unknown, context.received_at))]


def keep_changed_key(request: Payload, answer: Payload, context: Context) -> list[Work]:
    status = answer.get("status")
    accepted = status in ("Accepted", "RebootRequired")
    if is_station_key(request["key"]):
        assert context.command_id is not None
        if status == "RebootRequired":
            # Until then it presents the old one; which it has, its connections tell.
            return []
        return [(stations.settle_key, KeyChange(context.station, context.command_id, accepted))]
    if not accepted and is_security_profile(request["key"]):
        assert context.command_id is not None
        return [(stations.drop_proposed_profiles, context.command_id)]
    if not accepted or is_secret(request["key"]):
        return []
    told = VariableReport(request["key"], request["value"], Mutability.READ_WRITE)
    return [(variables.record, VariablesReport(context.station, [told], (), context.received_at, asked=True))]


def get_configuration(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    """Ask for no more keys at once than the station takes (CF-06), or for all where it knows no filter (CF-11)."""
    keys: list[str] = request.get("key", [])
    if not keys:
        return (yield Step("GetConfiguration", request))
    if not talk.facts.cannot(LimitationKind.CONFIGURATION_FILTER):
        try:
            return (yield from _in_parts(keys, talk.facts.number("GetConfigurationMaxKeys") or len(keys)))
        except CallFailed as failure:
            if failure.code not in MALFORMED:
                raise
            talk.cannot(LimitationKind.CONFIGURATION_FILTER, "", str(failure))
    return _picked(keys, (yield Step("GetConfiguration", {})))


def _in_parts(keys: list[str], size: int) -> Generator[Step, Payload, Payload]:
    if len(keys) <= size:
        return (yield Step("GetConfiguration", {"key": keys}))
    whole: Payload = {"configurationKey": [], "unknownKey": []}
    for start in range(0, len(keys), size):
        part = yield Step("GetConfiguration", {"key": keys[start : start + size]})
        for name, members in whole.items():
            members += part.get(name, [])
    return whole


def _picked(keys: Sequence[str], answer: Payload) -> Payload:
    """Answer as if only `keys` had been asked for."""
    told = {each["key"].casefold(): each for each in answer.get("configurationKey", ()) if each.get("key")}
    return {
        "configurationKey": [told[key.casefold()] for key in keys if key.casefold() in told],
        "unknownKey": [key for key in keys if key.casefold() not in told],
    }


def change_configuration(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    """Change a key, once more in the station's own spelling of the key or of a switch (CF-06)."""
    answer = yield Step("ChangeConfiguration", request)
    if answer["status"] == "NotSupported" and (alias := KEY_ALIASES.get(request["key"].casefold())):
        return (yield Step("ChangeConfiguration", {**request, "key": alias}))
    if answer["status"] == "Rejected" and (value := _own_spelling(request, talk.facts)):
        return (yield Step("ChangeConfiguration", {**request, "value": value}))
    return answer


# How stations write a switch, on and off.
_SWITCHES = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"), ("1", "0"))


def _own_spelling(request: Payload, facts: Facts) -> str | None:
    """Spell a switch as the station spells that key; None where it does so already, or it is no switch."""
    value, known = request["value"], facts.text(request["key"])
    for pair in _SWITCHES:
        if known in pair and value not in pair and value.casefold() in ("true", "false", "1", "0"):
            return pair[0] if value.casefold() in YES else pair[1]
    return None


EFFECTS: Mapping[str, Effect] = {
    "ChangeConfiguration": keep_changed_key,
    "GetConfiguration": keep_configuration,
}
SCRIPTS: Mapping[str, Script] = {
    "ChangeConfiguration": change_configuration,
    "GetConfiguration": get_configuration,
}
