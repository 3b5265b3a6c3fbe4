"""Block J: meter values."""

from typing import Any

from tests.conformance.central import Central
from tests.conformance.ocpp201 import states
from tests.conformance.ocpp201.states import driver, the_transaction
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201
from tests.simulator.v2.members import energy, sample

SIGNED = {
    "signedMeterData": "T0NNRnx7fQ==",
    "signingMethod": "ECDSA-secp256r1-SHA256",
    "encodingMethod": "OCMF",
    "publicKey": "",
}


def signed(wh: float, context: str) -> Payload:
    return sample(wh, "Energy.Active.Import.Register", "Wh", context=context, signedMeterValue=SIGNED)


async def signatures(central: Central) -> list[Any]:
    """Return what is kept of signed samples of the transaction."""
    samples = await central.rows(f"sampledvalue/{(await the_transaction(central))['transaction_id']}")
    return [each["signed_meter_value"] for each in samples if "signed_meter_value" in each]


async def test_tc_j_01_csms_clock_aligned_no_transaction(central: Central, station: Station201) -> None:
    for evse in (0, 1, 2):
        assert await station.meter_values(evse, [energy(1000, "Sample.Clock")]) == {}
    assert await central.rows("transaction") == []


async def test_tc_j_02_csms_clock_aligned_transaction_ongoing(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    assert await station.meter_values(2, [energy(500, "Sample.Clock")]) == {}
    await states.metered(station, trigger="MeterValueClock")
    assert (await the_transaction(central))["energy_wh"] == 300


async def test_tc_j_03_csms_clock_aligned_ended(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    await states.metered(station, trigger="MeterValueClock")
    await station.ended(samples=[energy(400, "Transaction.End")])
    assert (await the_transaction(central))["energy_wh"] == 400


async def test_tc_j_04_csms_clock_aligned_signed(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    await station.ended(samples=[signed(400, "Transaction.End")])
    assert await signatures(central) == [SIGNED]


async def test_tc_j_07_csms_sampled_started_evse_known(central: Central, station: Station201) -> None:
    station.evses[1].energy = 5000
    await states.ev_connected(station)
    assert (await the_transaction(central))["wh_meter_start"] == 5000


async def test_tc_j_08_csms_sampled_begin_evse_not_known(central: Central, station: Station201) -> None:
    id_token = await driver(central)
    assert (await station.authorize(id_token))["status"] == "Accepted"
    await station.started(None, id_token, trigger="Authorized", charging_state="Idle")
    station.place(1)
    await station.status(1, "Occupied")
    begin = [energy(700, "Transaction.Begin")]
    assert await station.updated("CablePluggedIn", charging_state="EVConnected", samples=begin) == {}
    await states.energy_transfer_started(station, id_token)
    shown = await the_transaction(central)
    assert (shown["wh_meter_start"], shown["connector"]["evse_id"]) == (700, 1)


async def test_tc_j_09_csms_sampled_updated(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    await states.metered(station)
    assert (await the_transaction(central))["energy_wh"] == 300


async def test_tc_j_10_csms_sampled_ended(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    await states.metered(station)
    await states.ev_disconnected(station)
    shown = await the_transaction(central)
    assert (shown["wh_meter_stop"], shown["energy_wh"]) == (1300, 1300)


async def test_tc_j_11_csms_sampled_signed(central: Central, station: Station201) -> None:
    await states.energy_transfer_started(station, await driver(central))
    await station.ended(samples=[signed(100, "Sample.Periodic"), signed(200, "Transaction.End")])
    shown = await the_transaction(central)
    assert (shown["energy_wh"], shown["transaction_status"]) == (200, "Finished")
    assert await signatures(central) == [SIGNED, SIGNED]
