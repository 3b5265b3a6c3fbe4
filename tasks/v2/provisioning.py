"""What is checked before a station is told how to connect, or to send a message (B09, F06)."""

from urllib.parse import urlsplit

from chargers.choices import SecurityProfile
from tasks import credentials
from tasks.action import Draft, Payload
from tasks.schemas import InvalidBody

PROFILE = "connection_data.security_profile"
URL = "connection_data.ocpp_csms_url"


def prepare_network_profile(draft: Draft) -> Payload:
    """Check how a station is to connect; a higher security profile is its own once it connects with it (A05)."""
    data = draft.payload["connectionData"]
    profile, current = data["securityProfile"], draft.station.security_profile
    if profile not in SecurityProfile.values:
        raise InvalidBody({PROFILE: ["A security profile is 0, 1, 2 or 3."]})
    if profile < current:
        raise InvalidBody({PROFILE: [f"The station's security profile is {current}, and OCPP can only raise it."]})
    scheme = "wss" if profile >= SecurityProfile.TLS_BASIC else "ws"
    if _scheme(data["ocppCsmsUrl"]) != scheme:
        raise InvalidBody({URL: [f"Must begin with {scheme}:// and name a host, for security profile {profile}."]})
    if profile > current and (reason := credentials.propose_profile(draft, profile)):
        raise InvalidBody({PROFILE: [reason]})
    return draft.payload


def _scheme(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.scheme if parts.hostname else ""


def prepare_trigger(draft: Draft) -> Payload:
    """Check that a status is asked for of one connector: the others have none (F06.FR.13)."""
    if draft.payload["requestedMessage"] == "StatusNotification" and "connectorId" not in draft.payload.get("evse", {}):
        raise InvalidBody({"evse.connector_id": ["Is required: a status is that of a connector."]})
    return draft.payload
