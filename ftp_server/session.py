"""A client's session: what it may do, and what it is told."""

import logging
import socket
from pathlib import PurePath
from typing import Any

from pyftpdlib.exceptions import AuthenticationFailed
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler

from filestore.account import Account
from filestore.addresses import network
from filestore.configuration import Logins
from filestore.errors import FileError
from filestore.names import unique
from ftp_server.filesystem import StationFiles
from ftp_server.tls import Certificate
from ftp_server.transfer import NoPassivePort, PassivePorts, TlsTransfer, Transfer, UploadFile, reply

logger = logging.getLogger(__name__)

# pyftpdlib's letters: change folder, list, read, append, write, make folders; and delete, rename.
PERMISSIONS = "elrawm"
CHANGES = "df"
TRANSFERS = frozenset({"APPE", "LIST", "MLSD", "NLST", "RETR", "STOR", "STOU"})
TLS_HANDSHAKE = b"\x16"


class Authorizer:
    """Checks logins against the account that all stations share."""

    def __init__(self, account: Account, logins: Logins, root: str, permissions: str) -> None:
        self._account = account
        self._failed = logins.failed()
        self._root = root
        self._permissions = permissions

    def validate_authentication(self, username: str, password: str, session: Any) -> None:
        given = (username.encode("utf-8", "replace"), password.encode("utf-8", "replace"))
        client = network(session.remote_ip)
        if wait := self._failed.blocked(client):
            raise AuthenticationFailed(f"too many failed logins, try again in {wait:.0f} seconds.")
        if not self._account.matches(*given):
            self._failed.add(client, *given)
            logger.warning("Login failed from %s", session.remote_ip)
            raise AuthenticationFailed("authentication failed.")

    def get_home_dir(self, username: str) -> str:
        return self._root

    def has_perm(self, username: str, perm: str, path: str | None = None) -> bool:
        return perm in self._permissions

    def get_perms(self, username: str) -> str:
        return self._permissions

    def get_msg_login(self, username: str) -> str:
        return "Login successful."

    def get_msg_quit(self, username: str) -> str:
        return "Goodbye."

    def impersonate_user(self, username: str, password: str) -> None:
        """pyftpdlib's hook; all files belong to the server."""

    def terminate_impersonation(self, username: str) -> None:
        """pyftpdlib's hook; all files belong to the server."""


class Session(FTPHandler):
    """A control connection."""

    banner = "O-V2X-MP file server ready."
    abstracted_fs = StationFiles
    dtp_handler = Transfer
    passive_dtp = PassivePorts
    leaving = False
    # pyftpdlib's, which have no types.
    _closed: bool
    _restart_position: int
    _in_dtp_queue: tuple[UploadFile, str] | None
    _out_dtp_queue: tuple[Any, bool, Any, str] | None

    @property
    def _current_type(self) -> str:
        """Transfers are binary, whatever the client says: ASCII is FTP's default, and would damage archives."""
        return "i"

    @_current_type.setter
    def _current_type(self, value: str) -> None:
        pass

    def decode(self, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        if self._closed:
            # What the client sent behind the command that ended its session.
            return
        if cmd in TRANSFERS and self.authenticated and not self._data_connection_is_possible():
            self.respond("425 Use PASV, EPSV, PORT or EPRT first.")
            return
        try:
            super().pre_process_command(line, cmd, arg)
        except FileError as error:
            self.respond(reply(error))

    def _data_connection_is_possible(self) -> bool:
        """Tell whether there is a data connection, or will be one: a transfer would wait for ever without."""
        ways = (self.data_channel, self._dtp_acceptor, self._dtp_connector)
        return any(way is not None for way in ways)

    def give_up_waiting(self, told: str) -> None:
        """End a transfer that waits for a data connection which will not come."""
        if self.data_channel is not None or (self._in_dtp_queue is None and self._out_dtp_queue is None):
            return
        for file in (self._in_dtp_queue and self._in_dtp_queue[0], self._out_dtp_queue and self._out_dtp_queue[2]):
            if file is not None:
                file.close()
        self._in_dtp_queue = self._out_dtp_queue = None
        self.respond_w_warning(told)

    def _make_epasv(self, extmode: bool = False) -> None:
        try:
            super()._make_epasv(extmode)
        except NoPassivePort:
            self.respond_w_warning("425 Every passive port is in use, try again.")

    # The server's end

    @property
    def transferring(self) -> bool:
        return self.data_channel is not None or self._in_dtp_queue is not None or self._out_dtp_queue is not None

    def leave(self) -> None:
        """Tell the client that the server ends."""
        self.leaving = True
        self.respond("421 The server is shutting down.")
        self.close_when_done()

    # Uploads

    def ftp_STOR(self, file: str, mode: str = "w") -> str | None:
        position, self._restart_position = self._restart_position, 0
        return self._receive(file, "APPE" if "a" in mode else "STOR", position)

    def ftp_STOU(self, line: str) -> str | None:
        file = PurePath(self.fs.ftp2fs(line or "upload"))
        if file == self.fs.folder.root:
            # Beside it would be outside.
            file /= "upload"
        return self._receive(str(file.with_name(unique(file.name))), "STOU", 0)

    def _receive(self, file: str, command: str, position: int) -> str | None:
        """Begin an upload; return its path, or None where it is refused."""
        try:
            upload = self.fs.receive(file, append=command == "APPE", position=position)
        except FileError as error:
            self.respond_w_warning(reply(error))
            return None
        except OSError as error:
            logger.exception("An upload cannot begin")
            self.respond_w_warning(f"451 The file cannot be stored: {error.strerror}.")
            return None
        received = UploadFile(upload)
        # RFC 1123, section 4.1.2.9, has the reply to STOU tell the name.
        told = f"FILE: {PurePath(file).name}" if command == "STOU" else "Ready for the file."
        if self.data_channel is not None:
            self.respond(f"125 {told}")
            self.data_channel.file_obj = received
            self.data_channel.enable_receiving(self._current_type, command)
        else:
            self.respond(f"150 {told}")
            self._in_dtp_queue = (received, command)
        return file

    def ftp_SIZE(self, path: str) -> None:
        """Tell the size of a file, or how much of it has come: that is where a client goes on."""
        if not self.fs.isfile(path) and (size := self.fs.interrupted_size(path)) is not None:
            self.respond(f"213 {size}")
        else:
            super().ftp_SIZE(path)

    # What the log tells

    def on_login(self, username: str) -> None:
        logger.info("Login from %s", self.remote_ip)

    def log_transfer(self, cmd: str, filename: str, receive: bool, completed: bool, elapsed: float, bytes: int) -> None:
        path = filename if receive else self.fs.fs2ftp(filename)
        # A name may not write a line of its own.
        shown = path if path.isprintable() else repr(path)
        what = f"{cmd} {shown} {'complete' if completed else 'incomplete'}"
        logger.info("%s from %s: %d bytes in %g seconds", what, self.remote_ip, bytes, elapsed)


class TlsSession(TLS_FTPHandler, Session):
    """A control connection that TLS protects: after AUTH TLS (RFC 4217), or from its first byte on.

    What a station means by ``ftps://`` is not told by OCPP. A client that begins with TLS says so at
    once, one that does not waits for the greeting; so the greeting waits for `hello_timeout` seconds.
    """

    dtp_handler = TlsTransfer
    certificate: Certificate
    hello_timeout: float
    _waits_for: Any = None

    @classmethod
    def get_ssl_context(cls) -> Any:
        return cls.certificate.context

    def handle(self) -> None:
        if not self.hello_timeout:
            super().handle()
        else:
            self._waits_for = self.ioloop.call_later(self.hello_timeout, self._greet, _errback=self.handle_error)

    def handle_read_event(self) -> None:
        if self._waits_for is None:
            super().handle_read_event()
        elif self._begins_with_tls():
            self._stop_waiting()
            self.secure_connection(self.ssl_context)
            super().handle_read_event()
        else:
            self._greet()
            super().handle_read_event()

    def handle_ssl_established(self) -> None:
        """Greet a client that began with TLS; its data connections have it too, as it need not ask for that."""
        if not self._last_response:
            self._pbsz = self._prot = True
            super().handle()

    def _begins_with_tls(self) -> bool:
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE)
        except OSError:
            return False

    def _greet(self) -> None:
        self._stop_waiting()
        super().handle()

    def _stop_waiting(self) -> None:
        if self._waits_for is not None and not self._waits_for.cancelled:
            self._waits_for.cancel()
        self._waits_for = None

    def close(self) -> None:
        self._stop_waiting()
        super().close()
