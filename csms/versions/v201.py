"""OCPP 2.0.1."""

from chargers.choices import OcppVersion
from csms.versions import v2

VERSION = v2.version(OcppVersion.V201)
