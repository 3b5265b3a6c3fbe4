"""The reusable states of the test cases (part 6, section 2), as far as a station brings them about by itself."""

from typing import Any

from tests.conformance.central import Central
from tests.simulator.station import Payload
from tests.simulator.v2 import Station201, token
from tests.simulator.v2.members import energy

ACCEPTED = {"status": "Accepted"}


async def driver(central: Central, name: str = "VALID", **fields: Any) -> Payload:
    """Register a driver's token; return it as stations show it."""
    return token(await central.tag(name, **fields))


async def family(central: Central) -> tuple[str, Payload, Payload]:
    """Register two drivers of one group; return the group and their tokens."""
    group = await central.tag("GROUP")
    return group, await driver(central, "ONE", parent=group), await driver(central, "TWO", parent=group)


async def authorized(station: Station201, id_token: Payload, evse: int = 1) -> None:
    """Authorized: the token is shown, and named by the transaction if there is one, which begins else."""
    assert (await station.authorize(id_token))["status"] == "Accepted"
    if station.evses[evse].running is None:
        answer = await station.started(evse, id_token, trigger="Authorized", charging_state="Idle")
    else:
        answer = await station.updated("Authorized", evse, id_token)
    assert answer["idTokenInfo"]["status"] == "Accepted"


async def ev_connected(station: Station201, evse: int = 1) -> None:
    """EVConnectedPreSession."""
    await station.status(evse, "Occupied")
    if station.evses[evse].running is None:
        assert await station.started(evse) == {}
    else:
        assert await station.updated("CablePluggedIn", evse, charging_state="EVConnected") == {}


async def energy_transfer_started(station: Station201, id_token: Payload, evse: int = 1) -> str:
    """EnergyTransferStarted: the cable first; return the transaction's id."""
    if station.evses[evse].running is None:
        await ev_connected(station, evse)
    if station.running(evse).id_token is None:
        await authorized(station, id_token, evse)
    assert await station.updated("ChargingStateChanged", evse, charging_state="Charging") == {}
    return station.running(evse).id


async def energy_transfer_suspended(station: Station201, evse: int = 1) -> None:
    """EnergyTransferSuspended, by the vehicle."""
    assert await station.updated("ChargingStateChanged", evse, charging_state="SuspendedEV") == {}


async def stop_authorized(station: Station201, id_token: Payload, evse: int = 1) -> Payload:
    """StopAuthorized; return the idTokenInfo."""
    answer = await station.updated("StopAuthorized", evse, id_token)
    return dict(answer["idTokenInfo"])


async def ev_connected_post_session(station: Station201, evse: int = 1) -> None:
    """EVConnectedPostSession."""
    assert await station.updated("ChargingStateChanged", evse, charging_state="EVConnected") == {}


async def ev_disconnected(station: Station201, evse: int = 1) -> None:
    """EVDisconnected, which ends the transaction."""
    station.evses[evse].energy += 1000
    assert await station.ended("EVCommunicationLost", evse, charging_state="Idle") == {}
    await station.status(evse, "Available")


async def metered(station: Station201, evse: int = 1, times: int = 3, trigger: str = "MeterValuePeriodic") -> None:
    """Tell so many samples of a running transaction, 100 Wh apart."""
    context = "Sample.Clock" if trigger == "MeterValueClock" else "Sample.Periodic"
    for _ in range(times):
        station.evses[evse].energy += 100
        samples = [energy(station.evses[evse].energy, context)]
        assert await station.updated(trigger, evse, samples=samples) == {}


async def the_transaction(central: Central) -> Any:
    [shown] = await central.rows("transaction")
    return shown
