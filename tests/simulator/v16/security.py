"""The security extensions but for firmware and logs: keys, certificates, profiles and events."""

import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any

import websockets

from tests.simulator.station import Answer, Payload
from tests.simulator.times import timestamp
from tests.simulator.v16.certificates import CENTRAL, CertificateStore, hash_data
from tests.simulator.v16.configuration import Configuration

# Bytes of an AuthorizationKey (A00.FR.205), which is told as hexadecimal digits.
KEY_LENGTH = range(16, 21)


class Security(Configuration):
    def __init__(
        self, *arguments: Any, security_profile: int = 0, secure_url: str | None = None, **options: Any
    ) -> None:
        """`secure_url` is the endpoint of security profiles 2 and 3; without it the same one with TLS.

        An address with TLS is trusted as the installed roots say, unless `options` bring an `ssl` context.
        """
        super().__init__(*arguments, **options)
        self.configuration["SecurityProfile"].value = str(security_profile)
        self.certificates = CertificateStore()
        self.security_log: list[Payload] = []
        self.secure_address = self.address_at(secure_url) if secure_url else self.address.replace("ws://", "wss://", 1)
        # The security profile and address that worked before an upgrade.
        self._before: tuple[str, str] | None = None

    @property
    def security_profile(self) -> int:
        return self.number("SecurityProfile")

    # Requests of the station

    async def security_event(self, kind: str, tech_info: str | None = None, *, at: datetime | None = None) -> Payload:
        """Report a security event; section 8 of the whitepaper names them."""
        return await self.call("SecurityEventNotification", self._logged(kind, tech_info, at))

    async def sign_certificate(self, common_name: str | None = None, organization: str | None = None) -> Payload:
        """Make a key and ask for its certificate: for the serial number and CpoName, if not told otherwise."""
        serial = self.boot_payload.get("chargePointSerialNumber", self.identity)
        csr = self.certificates.request(
            serial if common_name is None else common_name,
            self.value("CpoName") if organization is None else organization,
        )
        return await self.call("SignCertificate", {"csr": csr})

    # Answers to the CSMS

    def on_install_certificate(self, payload: Payload) -> Answer:
        if len(self.certificates.roots) >= self.number("CertificateStoreMaxLength"):
            return {"status": "Rejected"}
        try:
            self.certificates.install(payload["certificateType"], payload["certificate"], self.clock())
        except ValueError:
            return {"status": "Rejected"}
        return {"status": "Accepted"}

    def on_get_installed_certificate_ids(self, payload: Payload) -> Answer:
        found = [hash_data(root) for root in self.certificates.roots if root.use == payload["certificateType"]]
        return {"status": "Accepted", "certificateHashData": found} if found else {"status": "NotFound"}

    def on_delete_certificate(self, payload: Payload) -> Answer:
        root = self.certificates.find(payload["certificateHashData"])
        if root is None:
            return {"status": "NotFound"}
        # M04.FR.06: the station could not trust its CSMS any more.
        if self.security_profile >= 2 and self.certificates.of(CENTRAL) == [root.certificate]:
            return {"status": "Failed"}
        self.certificates.roots.remove(root)
        return {"status": "Accepted"}

    def on_certificate_signed(self, payload: Payload) -> Answer:
        chain = payload["certificateChain"]
        if len(chain) > self.number("CertificateSignedMaxChainSize"):
            return {"status": "Rejected"}
        try:
            self.certificates.accept(chain, self.clock())
        except ValueError:
            return {"status": "Rejected"}
        return {"status": "Accepted"}

    async def do_certificate_signed(self, _: Payload) -> None:
        """Use the new certificate at once where it is used at all (A02.FR.08)."""
        if self.security_profile == 3:
            await self.reconnect()

    async def refused_certificate_signed(self, _: Payload) -> None:
        await self.push_event("InvalidChargePointCertificate")

    # Settings

    def on_change_configuration(self, payload: Payload) -> Answer:
        before = self.value("SecurityProfile"), self.address
        if is_password(payload):
            return self._change_password(payload["value"])
        answer = super().on_change_configuration(payload)
        if answer == {"status": "Accepted"} and self.name_of(payload["key"]) == "SecurityProfile":
            self._before = before
            self.address = self.secure_address if self.security_profile >= 2 else self.address
            self._logged("ReconfigurationOfSecurityParameters", "SecurityProfile")
        return answer

    def do_change_configuration(self, payload: Payload) -> object:
        return self.reconnect() if is_password(payload) else super().do_change_configuration(payload)

    def may_change(self, key: str, value: str) -> bool:
        return super().may_change(key, value) and (key != "SecurityProfile" or self._may_upgrade(int(value)))

    def effects(self) -> dict[str, Callable[[], object]]:
        return {**super().effects(), "SecurityProfile": self.reconnect}

    def _change_password(self, value: str) -> Answer:
        """Take a new password for the next connection, in hexadecimal digits."""
        try:
            password = bytes.fromhex(value)
        except ValueError:
            return {"status": "Rejected"}
        if len(password) not in KEY_LENGTH:
            return {"status": "Rejected"}
        self.password = password
        # What it is now is nobody's business, not even that of the log (A01.FR.12).
        self._logged("ReconfigurationOfSecurityParameters", "AuthorizationKey")
        return {"status": "Accepted"}

    def _may_upgrade(self, profile: int) -> bool:
        """Check the prerequisites of a higher profile (A05.FR.01 to 04)."""
        if not self.security_profile < profile <= 3:
            return False
        if profile <= 2 and len(self.password or "") < KEY_LENGTH.start:
            return False
        if profile >= 2 and not self.certificates.of(CENTRAL):
            return False
        return profile < 3 or self.certificates.current(self.clock()) is not None

    # The connection

    def connect_options(self) -> dict[str, Any]:
        options = super().connect_options()
        if self.security_profile == 3:
            options["additional_headers"].pop("Authorization", None)
        if self.address.startswith("wss:") and "ssl" not in options:
            own = self.certificates.current(self.clock()) if self.security_profile == 3 else None
            options["ssl"] = self.certificates.tls(own)
        return options

    async def connect(self) -> None:
        await super().connect()
        self._before = None

    async def reconnect(self) -> None:
        """Close the connection and open it as the settings have it now, or as before if that fails (A05.FR.08)."""
        await self.disconnect()
        try:
            await self.come_back()
        except (OSError, TimeoutError, websockets.InvalidHandshake) as error:
            if not self.fall_back():
                raise
            await self.come_back()
            if isinstance(error, ssl.SSLCertVerificationError):
                await self.push_event("InvalidCentralSystemCertificate")

    async def come_back(self) -> None:
        """Connect again and do what is due then."""
        raise NotImplementedError

    def fall_back(self) -> bool:
        """Return to the security profile from which an upgrade failed; say whether there was one."""
        if self._before is None:
            return False
        (self.configuration["SecurityProfile"].value, self.address), self._before = self._before, None
        return True

    # Events

    async def push_event(self, kind: str, tech_info: str | None = None) -> None:
        """Report a security event, however long it takes (A04.FR.02)."""
        await self.deliver_again("SecurityEventNotification", self._logged(kind, tech_info))

    async def push_critical(self, kind: str, tech_info: str | None = None) -> None:
        """Report what a station with a security profile reports by itself; others only log it."""
        if self.security_profile:
            await self.push_event(kind, tech_info)
        else:
            self._logged(kind, tech_info)

    def _logged(self, kind: str, tech_info: str | None = None, at: datetime | None = None) -> Payload:
        """Keep an event in the security log, as each must be (A04.FR.04)."""
        event: Payload = {"type": kind, "timestamp": timestamp(at or self.clock())}
        if tech_info is not None:
            event["techInfo"] = tech_info
        self.security_log.append(event)
        return event


def is_password(change: Payload) -> bool:
    """Say whether a change of configuration is one of the password, which is written only (whitepaper 7.2)."""
    return bool(change["key"].casefold() == "authorizationkey")
