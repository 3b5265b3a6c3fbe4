"""Settings of the HTTP file server; docs/settings.md explains each."""

from collections.abc import Sequence
from dataclasses import dataclass

from filestore import configuration
from filestore.account import HTTP, Account, require_account
from filestore.environment import env_int, env_number
from filestore.proxies import Network, read_trusted


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are seconds."""

    bind: str
    port: int
    account: Account
    files: configuration.Files
    logins: configuration.Logins
    trusted_proxies: Sequence[Network]
    max_connections: int
    timeout: float
    drain_timeout: float


def read() -> Settings:
    """Read the settings.

    Raises SettingError.
    """
    return Settings(
        bind=configuration.bind(),
        port=configuration.files_port(),
        account=require_account(HTTP),
        files=configuration.read_files(),
        logins=configuration.read_logins(),
        trusted_proxies=read_trusted(),
        max_connections=env_int("OV2XMP_HTTP_MAX_CONNECTIONS", 512, minimum=1),
        timeout=env_number("OV2XMP_HTTP_TIMEOUT", 60, minimum=0.1),
        drain_timeout=env_number("OV2XMP_HTTP_DRAIN_TIMEOUT", 10),
    )
