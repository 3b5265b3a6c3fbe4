"""Puts the FTP server together and runs it until it is told to end."""

import contextlib
import logging
import signal
import time
from typing import Any

from pyftpdlib.servers import FTPServer

from filestore.environment import SettingError
from filestore.folder import Folder
from ftp_server.filesystem import StationFiles
from ftp_server.session import CHANGES, PERMISSIONS, Authorizer, Session, TlsSession
from ftp_server.settings import Settings, Tls
from ftp_server.tls import Certificate
from ftp_server.transfer import PassivePorts, TlsTransfer, Transfer

logger = logging.getLogger(__name__)

# Seconds between two looks at whether to end, and between two at what interrupted uploads have left.
TICK = 0.1
SWEEP_INTERVAL = 300


def build(settings: Settings) -> FTPServer:
    """Return the server, which listens already.

    Raises SettingError: it cannot listen, its folder cannot be written to, or its certificate is no good.
    """
    folder = settings.files.open("ftp")
    try:
        server = FTPServer((settings.bind, settings.port), _session(settings, folder), backlog=128)
    except OSError as error:
        raise SettingError(
            f"OV2XMP_FTP_PORT: cannot listen on {settings.bind} port {settings.port}: {error.strerror}"
        ) from error
    server.max_cons = settings.max_connections
    server.max_cons_per_ip = settings.max_per_address
    _sweep(folder, settings.resume_timeout)
    server.ioloop.call_every(SWEEP_INTERVAL, _sweep, folder, settings.resume_timeout)
    return server


def _session(settings: Settings, folder: Folder) -> Any:
    """Return the class of sessions; pyftpdlib takes its settings from class attributes."""
    permissions = PERMISSIONS + (CHANGES if settings.allow_changes else "")
    attributes = {
        "abstracted_fs": type("Files", (StationFiles,), {"folder": folder, "resumable": settings.resume_timeout > 0}),
        "authorizer": Authorizer(settings.account, settings.logins, str(folder.root), permissions),
        "passive_dtp": type("Passive", (PassivePorts,), {"timeout": settings.connect_timeout}),
        "passive_ports": settings.passive_ports,
        "masquerade_address": settings.masquerade_address or None,
        "timeout": settings.idle_timeout,
        "auth_failed_timeout": settings.logins.delay,
        "max_login_attempts": settings.login_attempts,
    }
    transfer = {"timeout": settings.data_timeout}
    if settings.tls is None:
        return type("Connection", (Session,), {**attributes, "dtp_handler": type("Data", (Transfer,), transfer)})
    attributes |= _tls(settings.tls)
    return type("Connection", (TlsSession,), {**attributes, "dtp_handler": type("Data", (TlsTransfer,), transfer)})


def _tls(tls: Tls) -> dict[str, Any]:
    return {
        "certificate": Certificate(tls.certificate, tls.key),
        "hello_timeout": tls.hello_timeout,
        "tls_control_required": tls.required,
        "tls_data_required": tls.required,
    }


def _sweep(folder: Folder, keep: float) -> None:
    try:
        swept = folder.sweep(keep)
    except OSError:
        logger.exception("Interrupted uploads cannot be swept away")
    else:
        if swept:
            logger.info("Interrupted uploads swept away: %d", swept)


def run(server: FTPServer, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let transfers end for a while."""
    asked_to_stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: asked_to_stop.append(received))
    logger.info("Serving %s on %s port %d", settings.files.directory, *server.address)
    soonest: float | None = None
    while not asked_to_stop:
        soonest = server.ioloop.loop(TICK if soonest is None else min(TICK, soonest), blocking=False)
    _drain(server, settings.drain_timeout)
    server.close_all()
    logger.info("Ended.")


def _drain(server: FTPServer, timeout: float) -> None:
    """Take no more clients, say goodbye to those that do nothing, and wait for the transfers of the others."""
    ioloop = server.ioloop
    server.close()
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        sessions = [each for each in list(ioloop.socket_map.values()) if isinstance(each, Session)]
        if not sessions:
            break
        for session in sessions:
            if not session.transferring and not session.leaving:
                session.leave()
        ioloop.loop(TICK, blocking=False)
    with contextlib.suppress(OSError):
        ioloop.loop(0, blocking=False)
