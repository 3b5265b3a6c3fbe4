"""A station that is none of ours, of the `ocpp` package, and an operator who asks it for all there is, as Swagger says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import websockets
from ocpp.messages import Call, unpack
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result

from chargers import pem
from chargers.choices import OcppVersion
from tasks.actions import ACTIONS
from tasks.schemas import actions
from tests import pki
from tests.e2e.frontend import listening
from tests.e2e.launcher import Platform

IDENTITY = "FOREIGN"
TAG = "04A1B2C3D4E5F6"
TIMEOUT = 15
CONFIGURATION = {
    "AuthorizeRemoteTxRequests": "true",
    "HeartbeatInterval": "300",
    "LocalAuthListEnabled": "true",
    "LocalAuthListMaxLength": "100",
    "MeterValueSampleInterval": "60",
    "NumberOfConnectors": "1",
    "SendLocalListMaxLength": "20",
    "SupportedFeatureProfiles": "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger",
}
READ_ONLY = {"LocalAuthListMaxLength", "NumberOfConnectors", "SendLocalListMaxLength", "SupportedFeatureProfiles"}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Station(ChargePoint):  # type: ignore[misc]
    """A station that can do all of 1.6 and the security extensions, and does it by the book."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        super().__init__(IDENTITY, socket, response_timeout=TIMEOUT)
        self.asked: Counter[str] = Counter()
        self.told: set[str] = set()
        self.configuration = dict(CONFIGURATION)
        self.list: dict[str, Any] = {}
        self.list_version = 0
        self.reservations: dict[int, int] = {}
        self.profiles: dict[int, dict[str, Any]] = {}
        self.roots: list[dict[str, Any]] = []
        self.transaction: int | None = None
        self.chain = asyncio.get_running_loop().create_future()
        self.reports: list[asyncio.Task[None]] = []

    async def route_message(self, raw: str) -> None:
        message = unpack(raw)
        if isinstance(message, Call):
            self.asked[message.action] += 1
        await super().route_message(raw)

    async def tell(self, message: Any) -> Any:
        self.told.add(type(message).__name__)
        return await self.call(message, suppress=False)

    def report(self, *reports: Any) -> None:
        """Send messages one after the other, while the station goes on."""

        async def send() -> None:
            for each in reports:
                await self.tell(each)

        self.reports.append(asyncio.create_task(send()))

    async def reported(self) -> None:
        """Wait until it has sent what it had to send."""
        await asyncio.gather(*self.reports)

    # What it tells.

    def boot(self) -> Any:
        return call.BootNotification(
            charge_point_vendor="Acme",
            charge_point_model="Wall One",
            charge_point_serial_number="WALL1-0042",
            firmware_version="1.0",
            meter_type="Acme Meter",
        )

    def status(self, status: str, connector_id: int = 1) -> Any:
        return call.StatusNotification(
            connector_id=connector_id, error_code="NoError", status=status, timestamp=now(), info="", vendor_id="Acme"
        )

    def reading(self, value: str, context: str) -> dict[str, Any]:
        sample = {"value": value, "context": context, "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        return {"timestamp": now(), "sampled_value": [sample]}

    async def charge(self) -> None:
        """Do what a station does by itself, up to the midst of a charging session."""
        assert (await self.tell(self.boot())).status == "Accepted"
        await self.tell(self.status("Available", 0))
        await self.tell(self.status("Available"))
        await self.tell(call.Heartbeat())
        event = call.SecurityEventNotification(type="StartupOfTheDevice", timestamp=now(), tech_info="firmware 1.0")
        await self.tell(event)
        await self.tell(call.DataTransfer(vendor_id="com.acme", message_id="Hello", data="world"))
        assert (await self.tell(call.Authorize(id_tag=TAG))).id_tag_info["status"] == "Accepted"
        await self.tell(self.status("Preparing"))
        start = call.StartTransaction(connector_id=1, id_tag=TAG, meter_start=1000, timestamp=now())
        self.transaction = (await self.tell(start)).transaction_id
        await self.tell(self.status("Charging"))
        reading = self.reading("1200", "Sample.Periodic")
        await self.tell(call.MeterValues(connector_id=1, transaction_id=self.transaction, meter_value=[reading]))

    async def stop(self) -> None:
        transaction, self.transaction = self.transaction, None
        message = call.StopTransaction(
            transaction_id=transaction,
            id_tag=TAG,
            meter_stop=1500,
            timestamp=now(),
            reason="Remote",
            transaction_data=[self.reading("1500", "Transaction.End")],
        )
        await self.tell(message)
        await self.tell(self.status("Available"))

    async def ask_for_a_certificate(self) -> None:
        csr = pki.request_pem(IDENTITY)
        assert (await self.tell(call.SignCertificate(csr=csr))).status == "Accepted"

    # What it does when it is asked.

    @on("CancelReservation")
    def on_cancel_reservation(self, reservation_id: int) -> Any:
        known = self.reservations.pop(reservation_id, None)
        return call_result.CancelReservation(status="Rejected" if known is None else "Accepted")

    @on("CertificateSigned")
    def on_certificate_signed(self, certificate_chain: str) -> Any:
        own = pem.read_chain(certificate_chain)[0].public_key() == pki.ec_key().public_key()
        if own and not self.chain.done():
            self.chain.set_result(certificate_chain)
        return call_result.CertificateSigned(status="Accepted" if own else "Rejected")

    @on("ChangeAvailability")
    def on_change_availability(self, connector_id: int, type: str) -> Any:
        return call_result.ChangeAvailability(status="Accepted")

    @on("ChangeConfiguration")
    def on_change_configuration(self, key: str, value: str) -> Any:
        if key not in self.configuration:
            return call_result.ChangeConfiguration(status="NotSupported")
        if key in READ_ONLY:
            return call_result.ChangeConfiguration(status="Rejected")
        self.configuration[key] = value
        return call_result.ChangeConfiguration(status="Accepted")

    @on("ClearCache")
    def on_clear_cache(self) -> Any:
        return call_result.ClearCache(status="Accepted")

    @on("ClearChargingProfile")
    def on_clear_charging_profile(self, **criteria: Any) -> Any:
        known = bool(self.profiles.pop(criteria.get("connector_id", 0), None))
        return call_result.ClearChargingProfile(status="Accepted" if known else "Unknown")

    @on("DataTransfer")
    def on_data_transfer(self, vendor_id: str, **rest: Any) -> Any:
        return call_result.DataTransfer(status="Accepted", data="hello to you")

    @on("DeleteCertificate")
    def on_delete_certificate(self, certificate_hash_data: dict[str, Any]) -> Any:
        if certificate_hash_data not in self.roots:
            return call_result.DeleteCertificate(status="NotFound")
        self.roots.remove(certificate_hash_data)
        return call_result.DeleteCertificate(status="Accepted")

    @on("ExtendedTriggerMessage")
    def on_extended_trigger(self, requested_message: str, connector_id: int = 0) -> Any:
        return call_result.ExtendedTriggerMessage(status="Accepted")

    @after("ExtendedTriggerMessage")
    def after_extended_trigger(self, requested_message: str, connector_id: int = 0) -> None:
        self.send_triggered(requested_message, connector_id)

    @on("GetCompositeSchedule")
    def on_get_composite_schedule(self, connector_id: int, duration: int, charging_rate_unit: str = "A") -> Any:
        limit = {"start_period": 0, "limit": 16.0}
        schedule = {"duration": duration, "charging_rate_unit": "A", "charging_schedule_period": [limit]}
        return call_result.GetCompositeSchedule(
            status="Accepted", connector_id=connector_id, schedule_start=now(), charging_schedule=schedule
        )

    @on("GetConfiguration")
    def on_get_configuration(self, key: list[str] | None = None) -> Any:
        asked = key or list(self.configuration)
        known = [
            {"key": each, "readonly": each in READ_ONLY, "value": self.configuration[each]}
            for each in asked
            if each in self.configuration
        ]
        unknown = [each for each in asked if each not in self.configuration]
        return call_result.GetConfiguration(configuration_key=known, unknown_key=unknown)

    @on("GetDiagnostics")
    def on_get_diagnostics(self, location: str, **rest: Any) -> Any:
        return call_result.GetDiagnostics(file_name="diagnostics.zip")

    @after("GetDiagnostics")
    def after_get_diagnostics(self, location: str, **rest: Any) -> None:
        self.report(*(call.DiagnosticsStatusNotification(status=each) for each in ("Uploading", "Uploaded")))

    @on("GetInstalledCertificateIds")
    def on_get_installed_certificate_ids(self, certificate_type: str) -> Any:
        if not self.roots:
            return call_result.GetInstalledCertificateIds(status="NotFound")
        return call_result.GetInstalledCertificateIds(status="Accepted", certificate_hash_data=self.roots)

    @on("GetLocalListVersion")
    def on_get_local_list_version(self) -> Any:
        return call_result.GetLocalListVersion(list_version=self.list_version)

    @on("GetLog")
    def on_get_log(self, request_id: int, **rest: Any) -> Any:
        return call_result.GetLog(status="Accepted", filename="log.zip")

    @after("GetLog")
    def after_get_log(self, request_id: int, **rest: Any) -> None:
        told = ("Uploading", "Uploaded")
        self.report(*(call.LogStatusNotification(status=each, request_id=request_id) for each in told))

    @on("InstallCertificate")
    def on_install_certificate(self, certificate_type: str, certificate: str) -> Any:
        named = pem.hash_data(pem.read_certificate(certificate))
        self.roots = [
            {
                "hash_algorithm": named.algorithm,
                "issuer_name_hash": named.issuer_name_hash,
                "issuer_key_hash": named.issuer_key_hash,
                "serial_number": named.serial_number,
            }
        ]
        return call_result.InstallCertificate(status="Accepted")

    @on("RemoteStartTransaction")
    def on_remote_start(self, id_tag: str, **rest: Any) -> Any:
        return call_result.RemoteStartTransaction(status="Rejected" if self.transaction else "Accepted")

    @on("RemoteStopTransaction")
    def on_remote_stop(self, transaction_id: int) -> Any:
        running = transaction_id == self.transaction
        return call_result.RemoteStopTransaction(status="Accepted" if running else "Rejected")

    @after("RemoteStopTransaction")
    def after_remote_stop(self, transaction_id: int) -> None:
        if transaction_id == self.transaction:
            self.reports.append(asyncio.create_task(self.stop()))

    @on("ReserveNow")
    def on_reserve_now(self, connector_id: int, reservation_id: int, **rest: Any) -> Any:
        taken = self.transaction or connector_id in self.reservations.values()
        if not taken:
            self.reservations[reservation_id] = connector_id
        return call_result.ReserveNow(status="Occupied" if taken else "Accepted")

    @on("Reset")
    def on_reset(self, type: str) -> Any:
        return call_result.Reset(status="Accepted")

    @after("Reset")
    def after_reset(self, type: str) -> None:
        self.report(self.boot(), self.status("Available", 0), self.status("Available"))

    @on("SendLocalList")
    def on_send_local_list(self, list_version: int, update_type: str, local_authorization_list: Any = ()) -> Any:
        if update_type == "Differential" and list_version <= self.list_version:
            return call_result.SendLocalList(status="VersionMismatch")
        told = {each["id_tag"]: each.get("id_tag_info") for each in local_authorization_list}
        merged = told if update_type == "Full" else {**self.list, **told}
        self.list = {tag: info for tag, info in merged.items() if info}
        self.list_version = list_version
        return call_result.SendLocalList(status="Accepted")

    @on("SetChargingProfile")
    def on_set_charging_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        self.profiles[connector_id] = cs_charging_profiles
        return call_result.SetChargingProfile(status="Accepted")

    @on("SignedUpdateFirmware")
    def on_signed_update_firmware(self, request_id: int, **rest: Any) -> Any:
        return call_result.SignedUpdateFirmware(status="Accepted")

    @after("SignedUpdateFirmware")
    def after_signed_update_firmware(self, request_id: int, **rest: Any) -> None:
        told = ("Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed")
        self.report(*(call.SignedFirmwareStatusNotification(status=each, request_id=request_id) for each in told))

    @on("TriggerMessage")
    def on_trigger_message(self, requested_message: str, connector_id: int = 0) -> Any:
        return call_result.TriggerMessage(status="Accepted")

    @after("TriggerMessage")
    def send_triggered(self, requested_message: str, connector_id: int = 0) -> None:
        assert requested_message == "StatusNotification"
        self.report(self.status("Available", connector_id))

    @on("UnlockConnector")
    def on_unlock_connector(self, connector_id: int) -> Any:
        return call_result.UnlockConnector(status="Unlocked")

    @on("UpdateFirmware")
    def on_update_firmware(self, location: str, retrieve_date: str, **rest: Any) -> Any:
        return call_result.UpdateFirmware()

    @after("UpdateFirmware")
    def after_update_firmware(self, location: str, retrieve_date: str, **rest: Any) -> None:
        told = ("Downloading", "Downloaded", "Installing", "Installed")
        self.report(*(call.FirmwareStatusNotification(status=each) for each in told))


@asynccontextmanager
async def connected(platform: Platform) -> AsyncIterator[Station]:
    address = f"{platform.ocpp}/{IDENTITY}"
    async with websockets.connect(address, subprotocols=[websockets.Subprotocol("ocpp1.6")], proxy=None) as socket:
        station = Station(socket)
        listening = asyncio.create_task(station.start())
        try:
            yield station
        finally:
            listening.cancel()


async def answer(request: Awaitable[httpx.Response], status: int = 200) -> Any:
    response = await request
    assert response.status_code == status, (str(response.request.url), response.text)
    return response.json()


async def rows(operator: httpx.AsyncClient, resource: str) -> list[dict[str, Any]]:
    """Read what REST has of the station, newest first."""
    parameters = {"chargepoint_id": IDENTITY, "limit": 1000}
    return list((await answer(operator.get(f"/api/{resource}/", params=parameters)))["results"])


async def examples(operator: httpx.AsyncClient) -> dict[str, tuple[str, dict[str, Any]]]:
    """Read what Swagger shows of each command: its path, and the body of its example, for our station."""
    document = await answer(operator.get("/api/schema/"))
    found = {}
    for path, operations in document["paths"].items():
        if path.startswith("/api/ocpp16/"):
            content = operations["post"]["requestBody"]["content"]["application/json"]
            ((name, example),) = content["examples"].items()
            found[name] = (path, {**example["value"], "chargepoint_id": IDENTITY})
    return found


async def test_a_foreign_station_and_the_examples_of_swagger_get_along(
    platform: Platform, operator: httpx.AsyncClient
) -> None:
    await operator.post("/api/idtag/", json={"idToken": TAG})
    commands = await examples(operator)
    assert commands.keys() == {row.name for row in ACTIONS if row.version == OcppVersion.V16}
    async with connected(platform) as station:
        await station.charge()
        await station.ask_for_a_certificate()
        # The one number that no example can know.
        commands["RemoteStopTransaction"][1]["transaction_id"] = station.transaction
        answers = {}
        for name, (path, body) in commands.items():
            answers[name] = (await answer(operator.post(path, json=body)))["message"]
            await station.reported()
        async with asyncio.timeout(TIMEOUT):
            await station.chain

        statuses = {name: answer["status"] for name, answer in answers.items() if "status" in answer}
        odd = {name: status for name, status in statuses.items() if status != "Accepted"}
        assert odd == {
            # These come before what they end, in the order of the alphabet.
            "CancelReservation": "Rejected",
            "ClearChargingProfile": "Unknown",
            "DeleteCertificate": "NotFound",
            "GetInstalledCertificateIds": "NotFound",
            # The example is for a key of another station.
            "CertificateSigned": "Rejected",
            "RemoteStartTransaction": "Rejected",
            "UnlockConnector": "Unlocked",
        }
        assert station.asked.keys() == commands.keys()

        (transaction,) = await rows(operator, "transaction")
        assert (transaction["energy_wh"], transaction["reason_stopped"], transaction["flags"]) == (500, "Remote", [])
        (reservation,) = await rows(operator, "reservation")
        assert (reservation["status"], reservation["evse_id"], reservation["id_tag"]) == ("Accepted", 1, TAG)
        (profile,) = await rows(operator, "installedprofile")
        assert (profile["profile_state"], profile["evse_id"]) == ("Installed", 1)
        (schedule,) = await rows(operator, "compositeschedule")
        assert schedule["chargingschedule_period"][0]["limit"] == 16
        (local_list,) = await rows(operator, "locallist")
        assert (local_list["version"], local_list["last_outcome"]) == (1, "Accepted")
        for resource, end in (("firmwareupdate", "Installed"), ("logupload", "Uploaded")):
            assert [each["status"] for each in await rows(operator, resource)] == [end, end], resource
        assert [each["type"] for each in await rows(operator, "securityevent")] == ["StartupOfTheDevice"]
        variables = {each["variable"]: each["value"] for each in await rows(operator, "variable")}
        assert variables == station.configuration

        async with listening(platform, IDENTITY) as frontend:
            tasks = set()
            for path, body in commands.values():
                submitted = await answer(operator.post(path, json={**body, "sync": False}), 202)
                tasks.add(submitted["task_id"])
            while tasks:
                task = await frontend.until("tasks", status="answered")
                tasks.discard(task["task_id"])
        await station.reported()
        assert station.told >= actions(OcppVersion.V16) - commands.keys()

        held = {each["use"]: each["status"] for each in await rows(operator, "certificate")}
        assert held == {"ChargingStationCertificate": "Accepted", "CSMSRootCertificate": "Installed"}
        read = await answer(operator.get(f"/api/chargepoint/{IDENTITY}/"))
        assert (read["deviations"], read["limitations"]) == ([], [])
        assert {each["status"] for each in await rows(operator, "task")} == {"answered"}
