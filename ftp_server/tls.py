"""The certificate of FTPS."""

import logging
import os

from OpenSSL import SSL

from filestore.environment import SettingError

logger = logging.getLogger(__name__)


class Certificate:
    """A certificate and its key in PEM files, which are read again when they have changed."""

    def __init__(self, certificate: str, key: str) -> None:
        """Read both.

        Raises SettingError: one cannot be read, or they do not belong together.
        """
        self._certificate = certificate
        self._key = key
        self._stamps = self._look()
        self._context = self._load()

    @property
    def context(self) -> SSL.Context:
        """The files' present content; what came before while that cannot be read."""
        try:
            if (stamps := self._look()) != self._stamps:
                self._context = self._load()
                self._stamps = stamps
        except SettingError as error:
            logger.warning("The changed certificate is not used: %s", error)
        return self._context

    def _look(self) -> list[tuple[int, int]]:
        return [(stat.st_mtime_ns, stat.st_ino) for stat in (self._stat(*each) for each in self._files())]

    def _files(self) -> list[tuple[str, str]]:
        return [("OV2XMP_FTP_TLS_CERTIFICATE", self._certificate), ("OV2XMP_FTP_TLS_KEY", self._key)]

    def _stat(self, setting: str, path: str) -> os.stat_result:
        try:
            return os.stat(path)
        except OSError as error:
            raise SettingError(f"{setting}: cannot read {path}: {error.strerror}") from error

    def _load(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        # Else OpenSSL asks for the password of an encrypted key on the terminal.
        context.set_passwd_cb(lambda *_: b"")
        try:
            setting, path = self._files()[0]
            context.use_certificate_chain_file(path)
            setting, path = self._files()[1]
            context.use_privatekey_file(path)
        except SSL.Error as error:
            raise SettingError(
                f"{setting}: {path} cannot be used; it must be PEM, not encrypted, and key and certificate "
                "must belong together"
            ) from error
        return context
