import asyncio

from chargers.models import IdTag, MeterValue, Transaction
from tests.csms.conftest import Query
from tests.csms.waiting import until
from tests.simulator import demo
from tests.simulator.v2.demo import DemoStation201


async def nowhere(_: str) -> None:
    """Place a station nowhere."""


async def test_the_station_of_the_demo_charges_until_the_demo_ends(no_inventory: None, url: str, query: Query) -> None:
    await query(lambda: IdTag.objects.create(id_token="DEMO-YELLOW"))
    told: list[str] = []
    station = DemoStation201(url, demo.DEMO_201, "DEMO-YELLOW", told.append, meter_interval=0.02)
    stopping = asyncio.Event()
    running = asyncio.create_task(demo.run_fleet([station], nowhere, stopping))
    await until(lambda: MeterValue.objects.filter(transaction__isnull=False).count() > 2)
    stopping.set()
    await running
    session = await query(lambda: Transaction.objects.get())
    assert (session.id_tag_id, session.reason_stopped, session.is_open) == ("DEMO-YELLOW", "Local", False)
    assert told[-1].endswith("transaction ended: Local")
