"""Security events, and the certificates of a station (blocks A and M)."""

from typing import Any

from tests.simulator.station import Answer, Payload
from tests.simulator.times import timestamp
from tests.simulator.v2.base import Base201
from tests.simulator.v16.certificates import CENTRAL, CertificateStore, hash_data

CSMS = "CSMSRootCertificate"
V2G = "V2GCertificate"


class Security(Base201):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Roots and the certificate for the CSMS in one store, what vehicles are shown in the other.
        self.certificates = CertificateStore()
        self.vehicle_certificates = CertificateStore()

    async def security_event(self, kind: str, tech_info: str | None = None) -> Payload:
        event = {"type": kind, "timestamp": timestamp(self.clock())}
        return await self.call("SecurityEventNotification", event | ({"techInfo": tech_info} if tech_info else {}))

    async def sign_certificate(
        self, kind: str | None = "ChargingStationCertificate", name: str | None = None, organization: str = ""
    ) -> Payload:
        """Make a key and ask for its certificate: one for both uses without a kind (A02.FR.13)."""
        csr = self._store(kind).request(name or self.charging_station.get("serialNumber", self.identity), organization)
        return await self.call("SignCertificate", {"csr": csr, **({"certificateType": kind} if kind else {})})

    def _store(self, kind: str | None) -> CertificateStore:
        return self.vehicle_certificates if kind == V2G else self.certificates

    # Answers to the CSMS

    def on_certificate_signed(self, payload: Payload) -> Answer:
        try:
            self._store(payload.get("certificateType")).accept(payload["certificateChain"], self.clock())
        except ValueError:
            return {"status": "Rejected"}
        return {"status": "Accepted"}

    async def refused_certificate_signed(self, _: Payload) -> None:
        # A02.FR.07
        await self.security_event("InvalidChargingStationCertificate")

    def on_install_certificate(self, payload: Payload) -> Answer:
        try:
            self.certificates.install(kept_as(payload["certificateType"]), payload["certificate"], self.clock())
        except ValueError:
            # M05.FR.07
            return {"status": "Rejected"}
        return {"status": "Accepted"}

    def on_get_installed_certificate_ids(self, payload: Payload) -> Answer:
        wanted = [kept_as(kind) for kind in payload.get("certificateType", ())]
        found = [
            {"certificateType": CSMS if root.use == CENTRAL else root.use, "certificateHashData": hash_data(root)}
            for root in self.certificates.roots
            if not wanted or root.use in wanted
        ]
        return {"status": "Accepted", "certificateHashDataChain": found} if found else {"status": "NotFound"}

    def on_delete_certificate(self, payload: Payload) -> Answer:
        root = self.certificates.find(payload["certificateHashData"])
        if root is None:
            return {"status": "NotFound"}
        self.certificates.roots.remove(root)
        return {"status": "Accepted"}


def kept_as(kind: str) -> str:
    """Name a use as the store does, which is older than 2.x."""
    return CENTRAL if kind == CSMS else kind
