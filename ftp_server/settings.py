"""Settings of the FTP server; docs/settings.md explains each."""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address

from filestore import configuration
from filestore.account import FTP, Account, require_account
from filestore.environment import SettingError, env, env_bool, env_int, env_number


@dataclass(frozen=True, slots=True)
class Tls:
    """FTPS: PEM files, and how it begins; `hello_timeout` is seconds."""

    certificate: str
    key: str
    required: bool
    hello_timeout: float


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are seconds."""

    bind: str
    port: int
    account: Account
    files: configuration.Files
    logins: configuration.Logins
    passive_ports: range | None
    masquerade_address: str
    tls: Tls | None
    allow_changes: bool
    max_connections: int
    max_per_address: int
    login_attempts: int
    idle_timeout: float
    data_timeout: float
    connect_timeout: float
    resume_timeout: float
    drain_timeout: float


def read() -> Settings:
    """Read the settings.

    Raises SettingError.
    """
    return Settings(
        bind=configuration.bind(),
        port=configuration.ftp_port(),
        account=require_account(FTP),
        files=configuration.read_files(),
        logins=configuration.read_logins(),
        passive_ports=_passive_ports(),
        masquerade_address=_masquerade_address(),
        tls=_tls(),
        allow_changes=env_bool("OV2XMP_FTP_ALLOW_CHANGES"),
        max_connections=env_int("OV2XMP_FTP_MAX_CONNECTIONS", 256, minimum=1),
        max_per_address=env_int("OV2XMP_FTP_MAX_PER_ADDRESS", 64, minimum=1),
        login_attempts=env_int("OV2XMP_FTP_LOGIN_ATTEMPTS", 3, minimum=1),
        idle_timeout=env_number("OV2XMP_FTP_IDLE_TIMEOUT", 300, minimum=0.1),
        data_timeout=env_number("OV2XMP_FTP_DATA_TIMEOUT", 60, minimum=0.1),
        connect_timeout=env_number("OV2XMP_FTP_CONNECT_TIMEOUT", 30, minimum=0.1),
        resume_timeout=env_number("OV2XMP_FTP_RESUME_TIMEOUT", 3600),
        drain_timeout=env_number("OV2XMP_FTP_DRAIN_TIMEOUT", 10),
    )


def _passive_ports() -> range | None:
    name = "OV2XMP_FTP_PASSIVE_PORTS"
    text = env(name).strip()
    if not text:
        return None
    first, _, last = text.partition("-")
    try:
        ports = range(int(first), int(last or first) + 1)
    except ValueError:
        ports = range(0)
    if not ports or ports[0] < 1 or ports[-1] > 65535:
        raise SettingError(f"{name} must be a range of ports such as 49152-49155, not {text!r}")
    return ports


def _masquerade_address() -> str:
    """Return the IPv4 address that PASV tells; a name is looked up once."""
    name = "OV2XMP_FTP_MASQUERADE_ADDRESS"
    host = env(name).strip()
    if not host:
        return ""
    try:
        return str(IPv4Address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])
    except (OSError, UnicodeError) as error:
        raise SettingError(f"{name} must be an IPv4 address or a name that has one, not {host!r}") from error


def _tls() -> Tls | None:
    certificate = env("OV2XMP_FTP_TLS_CERTIFICATE").strip()
    key = env("OV2XMP_FTP_TLS_KEY").strip()
    required = env_bool("OV2XMP_FTP_TLS_REQUIRED")
    if bool(certificate) != bool(key):
        raise SettingError("OV2XMP_FTP_TLS_KEY and OV2XMP_FTP_TLS_CERTIFICATE must be set both or not at all")
    if required and not certificate:
        raise SettingError("OV2XMP_FTP_TLS_REQUIRED demands TLS: set OV2XMP_FTP_TLS_CERTIFICATE")
    hello_timeout = env_number("OV2XMP_FTP_TLS_HELLO_TIMEOUT", 1)
    return Tls(certificate, key, required, hello_timeout) if certificate else None
