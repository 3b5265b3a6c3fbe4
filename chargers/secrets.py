"""What nobody is shown: keys and passwords that stand in stations' settings and in URLs."""

import re
from typing import Any

MASK = "********"

# Whoever knows a value of these can pose as the station or enter the operator's network; some
# stations tell them all (CF-03).
_SECRET = re.compile(r"authorizationkey|passw|pwd|passphrase|\bpuk\b|puk$|secret|privatekey|psk|ssid", re.IGNORECASE)
# Members of SetNetworkProfile, folded (2.0.1 APNType and VPNType).
_SECRET_MEMBERS = frozenset({"apnpassword", "password", "simpin"})
# Members that hold the value of a variable of the device model, folded.
_VALUE_MEMBERS = frozenset({"attributevalue", "actualvalue", "value"})
_CREDENTIALS = re.compile(r"(?<=://)([^/?#\s:@]*):[^/?#\s]*@")


def is_station_password(component: str, variable: str) -> bool:
    """Tell whether a variable of the 2.x device model holds the station's own password (2.0.1 A01.FR.01)."""
    return (component.casefold(), variable.casefold()) == ("securityctrlr", "basicauthpassword")


def is_station_key(name: str) -> bool:
    """Tell whether a configuration key holds the station's own key, in whatever case it is written (1.6 section 7.17)."""
    return name.casefold() == "authorizationkey"


def is_secret(name: str) -> bool:
    """Tell whether a setting's value is for nobody's eyes."""
    return _SECRET.search(name) is not None


def masked(value: Any) -> Any:
    """Hide the values of secret settings, and the passwords of URLs, in an OCPP request or answer."""
    if isinstance(value, str):
        return masked_url(value) if "://" in value else value
    if isinstance(value, list):
        return [masked(each) for each in value]
    if not isinstance(value, dict):
        return value
    shown = {name: masked(each) for name, each in value.items()}
    names = {str(name).casefold().replace("_", ""): name for name in value}
    if "value" in names and is_secret(str(value.get(names.get("key"), ""))):
        shown[names["value"]] = MASK
    hidden = _SECRET_MEMBERS & names.keys()
    if {"server", "key"} <= names.keys():
        hidden |= {"key"}
    variable = value.get(names.get("variable"))
    if isinstance(variable, dict) and is_secret(str(variable.get("name", ""))):
        hidden |= _VALUE_MEMBERS & names.keys()
        attributes = shown.get(names.get("variableattribute"))
        for attribute in attributes if isinstance(attributes, list) else ():
            if isinstance(attribute, dict) and "value" in attribute:
                attribute["value"] = MASK
    return shown | {names[name]: MASK for name in hidden if isinstance(value[names[name]], str | int)}


def holds_secret(value: Any) -> bool:
    """Tell whether an OCPP request or answer holds something to be hidden; what is too deep to be searched may."""
    try:
        return bool(masked(value) != value)
    except RecursionError:
        return True


def without_secrets(text: str) -> str:
    """Leave what may be secret out of a text that begins like a frame, and of which no more is known."""
    return text.partition("{")[0] if _SECRET.search(text) else masked_url(text)


def masked_url(url: str) -> str:
    """Hide the password in a URL; the user's name stays."""
    return _CREDENTIALS.sub(rf"\1:{MASK}@", url)
