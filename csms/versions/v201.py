"""OCPP 2.0.1."""

from chargers.choices import OcppVersion
from csms.versions import v2
from csms.versions.base import Version

VERSION = Version(
    name=OcppVersion.V201,
    handlers=v2.handlers(OcppVersion.V201),
    effects={},
    scripts={},
    before_accepted=v2.BEFORE_ACCEPTED,
    error_codes={},
)
