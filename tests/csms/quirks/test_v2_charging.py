"""Habits of stations of OCPP 2.0.1 that concern smart charging."""

import pytest
from pytest_django.fixtures import Settings

from chargers.models import InstalledProfile, Limitation
from tasks.errors import StationUnable
from tests.csms import operator
from tests.csms.conftest import Query
from tests.simulator.station import CallError
from tests.simulator.v2 import Station201

REQUEST = {
    "evseId": 1,
    "chargingProfile": {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}]}
        ],
    },
}


async def test_v2_02_a_station_that_expects_profiles_of_1_6_is_sent_none_any_more(
    url: str, query: Query, settings: Settings
) -> None:
    settings.OCPP_INVENTORY = False
    async with Station201(url, "CP1") as station:
        await station.start_up()
        station.answers["SetChargingProfile"] = CallError("FormatViolation", "csChargingProfiles validation failed")
        assert (await operator.perform("SetChargingProfile", REQUEST)).status == "error"
        row = await query(lambda: Limitation.objects.get(kind="action"))
        assert (row.subject, row.certain) == ("SetChargingProfile", True)
        assert "csChargingProfiles" in row.reason
        with pytest.raises(StationUnable):
            await operator.perform("SetChargingProfile", REQUEST)
        # An operator who forces it finds out when a new firmware can do it.
        station.answers["SetChargingProfile"] = {"status": "Accepted"}
        assert (await operator.perform("SetChargingProfile", REQUEST, force=True)).status == "answered"
        assert await query(lambda: not Limitation.objects.exists() and InstalledProfile.objects.exists())
