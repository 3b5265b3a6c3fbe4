"""Frames that are odd in any place: none is answered by a failure, or has something stored that cannot be."""

import random

import pytest
from pytest_django.fixtures import Settings

from tests.fuzz import mutations
from tests.fuzz.lane import Ends, Lane, Manner

SEED = 1
TIMES = 3


@pytest.fixture
def lanes(settings: Settings) -> dict[int, Lane]:
    """A lane of each manner."""
    # They change these; what stands here now is what the fixture of settings takes back.
    settings.OCPP_VALIDATION, settings.OCPP_REPAIR_JSON = "tolerant", True
    ends = Ends(stores=False)
    return {number: Lane(Manner.of(number), ends) for number in range(32)}


def test_frames_and_what_is_near_them_are_served(lanes: dict[int, Lane]) -> None:
    chance = random.Random(SEED)
    for frame in mutations.seeds():
        for number in (0, 1):
            lanes[number].take(frame)
        for _ in range(TIMES):
            lanes[chance.randrange(32)].take(mutations.changed(frame, chance))


@pytest.mark.parametrize(
    "frame",
    [
        # What a fuzzer found: control characters in what answers leave behind, and numbers that no column holds.
        b'[4,"Reset","NotSupported","not here\\u0000",{}]',
        b'[4,"Reset","NotSupported","\\ud800"]',
        b'[3,"Reset",{"status":"\x7f"}]',
        b'[2,"1","BootNotification",{"chargePointModel":"\x7f","chargePointVendor":"A","meterType":"\x7f"}]',
        b'[3,"GetVariables",{"getVariableResult":[{"attributeStatus":"Accepted","component":'
        b'{"name":"A","evse":{"id":1e308}},"variable":{"name":"B"}}]}]',
        b'[3,"ClearVariableMonitoring",{"clearMonitoringResult":[{"status":"Accepted","id":9223372036854775808}]}]',
        # Blanks that strip() takes and int() does not.
        b'["2\\u001d","1","Heartbeat",{}]',
        b'[2,"1","StatusNotification",{"connectorId":"1\\u001f","errorCode":"NoError","status":"Available"}]',
    ],
)
def test_what_was_found_is_served(frame: bytes, lanes: dict[int, Lane]) -> None:
    for each in lanes.values():
        each.take(frame)
