"""Data connections: uploads get their name when they are whole."""

import logging
import socket
from typing import Any

from pyftpdlib.handlers import DTPHandler
from pyftpdlib.handlers.ftp.dispatchers import PassiveDTP
from pyftpdlib.handlers.ftps.data import TLS_DTPHandler

from filestore.errors import FileError, InTheWay, NoSpace, NotResumable, PathTooDeep, TooLarge
from filestore.folder import Upload

logger = logging.getLogger(__name__)

# RFC 959, section 4.2, and for a restart RFC 1123, section 4.1.3.4.
REPLIES: dict[type[FileError], str] = {
    NoSpace: "452",
    TooLarge: "552",
    InTheWay: "553",
    PathTooDeep: "553",
    NotResumable: "554",
}


def reply(error: FileError) -> str:
    """Tell an FTP client why not."""
    return f"{REPLIES.get(type(error), '550')} {error}"


class UploadFile:
    """An upload as the file that pyftpdlib writes to.

    It raises nothing: what pyftpdlib does with an error is to log it as one of its own. `refusal`
    is what the client is to be told instead.
    """

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.name = f"/{upload.path}"
        self.refusal = ""

    @property
    def closed(self) -> bool:
        return self.upload.closed

    def write(self, data: bytes) -> None:
        if not self.refusal:
            self._try(lambda: self.upload.write(data))

    def finish(self) -> bool:
        """Give the file its name; False where it could not be kept."""
        if not self.refusal:
            self._try(self._commit)
        return not self.refusal

    def _commit(self) -> None:
        self.name = f"/{self.upload.commit()}"

    def _try(self, action: Any) -> None:
        try:
            action()
        except FileError as error:
            self.refusal = reply(error)
        except OSError as error:
            logger.exception("An upload cannot be stored")
            self.refusal = f"451 The file cannot be stored: {error.strerror}."

    def close(self) -> None:
        """End an upload that is not whole."""
        if self.refusal:
            self.upload.discard()
        else:
            self.upload.keep()


class Transfer(DTPHandler):
    """A data connection."""

    def handle_read(self) -> None:
        super().handle_read()
        if isinstance(self.file_obj, UploadFile) and self.file_obj.refusal and not self._closed:
            self._resp = (self.file_obj.refusal, logger.warning)
            self.close()

    handle_read_event = handle_read

    def handle_close(self) -> None:
        """End a transfer because the client has closed its side, which it does at the end of a file, or with its death."""
        if self._closed or not isinstance(self.file_obj, UploadFile):
            super().handle_close()
        elif not self.receive or self._is_broken() or self._client_has_gone():
            self._resp = ("426 Transfer aborted.", logger.debug)
            self.close()
        elif self.file_obj.finish():
            self.transfer_finished = True
            self._resp = (f"226 Transfer complete, stored as {self.file_obj.name}.", logger.debug)
            self.close()
        else:
            self.transfer_finished = False
            self._resp = (self.file_obj.refusal, logger.warning)
            self.close()

    def _is_broken(self) -> bool:
        """Tell whether the connection was lost: only one that was ended in order still has another end.

        A client that ends TLS without saying so has ended in order: some do at the end of each file.
        """
        try:
            self.socket.getpeername()
        except OSError:
            return True
        return False

    def _client_has_gone(self) -> bool:
        """Tell whether the control connection has ended too, which means ABOR (RFC 959, section 4.1.1, QUIT).

        The system of a client that dies ends both.
        """
        control = self.cmd_channel.socket
        try:
            descriptor = socket.socket(fileno=control.fileno())
        except OSError:
            return True
        try:
            return descriptor.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            descriptor.detach()

    def close(self) -> None:
        # pyftpdlib calls a transfer finished at the client's end of file, before the file has its name.
        if isinstance(self.file_obj, UploadFile) and not self.file_obj.closed:
            self.transfer_finished = False
        super().close()


class TlsTransfer(TLS_DTPHandler, Transfer):
    """A data connection that TLS may protect."""


class NoPassivePort(Exception):
    """Every passive port waits for a client."""


class PassivePorts(PassiveDTP):
    """Listens on one of the passive ports, and on no other: nobody could reach that."""

    _taken = False

    def bind(self, address: tuple[str, int]) -> None:
        if address[1] == 0 and self._taken:
            self.close()
            raise NoPassivePort
        try:
            super().bind(address)
        except OSError:
            self._taken = address[1] != 0
            raise

    def handle_accepted(self, connection: socket.socket, address: tuple[str, int]) -> None:
        super().handle_accepted(connection, address)
        if self._closed:
            self.cmd_channel.give_up_waiting("425 The data connection was lost.")

    def handle_timeout(self) -> None:
        """Let a transfer go whose client never opened its data connection."""
        self.close()
        self.cmd_channel.give_up_waiting("425 No data connection was opened.")
