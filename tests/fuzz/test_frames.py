"""Frames that are odd in any place: none is answered by a failure, takes long, or has something stored that cannot be."""

import random
import time

import pytest
from pytest_django.fixtures import Settings

from tests.fuzz import lane, mutations
from tests.fuzz.lane import Ends, Lane, Manner

SEED = 1
TIMES = 3
# Of each size, of which the second is this many times the first; what takes the square of it is found.
GROWTH = 8
SHORT = 8 * 1024
MOST_OF_GROWTH = 4


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
            lane.timed(lanes[number], frame)
        for _ in range(TIMES):
            lane.timed(lanes[chance.randrange(32)], mutations.changed(frame, chance))


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
    ],
)
def test_what_was_found_is_served(frame: bytes, lanes: dict[int, Lane]) -> None:
    for each in lanes.values():
        lane.timed(each, frame)


@pytest.mark.parametrize(
    "piece",
    [
        b" ",
        b",",
        b'"',
        b"\\",
        b"[",
        b"{",
        b'":',
        b"[,",
        b'"a":,',
        b"\x00",
        b"\xff",
        b"9",
        b'{"a":1},',
        b'\\"',
        b"\\u0000",
    ],
    ids=repr,
)
def test_time_grows_with_the_text_and_no_faster(piece: bytes, lanes: dict[int, Lane]) -> None:
    for head in (
        b"",
        b'[2,"',
        b'[2,"1","MeterValues",{"connectorId":1,"meterValue":[',
        b'[2,"1","DataTransfer",{"data":"',
    ):

        def took(size: int, head: bytes = head) -> float:
            started = time.thread_time()
            lanes[0].take(head + piece * (size // len(piece)))
            return time.thread_time() - started

        short = min(took(SHORT) for _ in range(2))
        # Below a hundredth of a second everything is noise.
        assert took(SHORT * GROWTH) < max(short, 0.01) * GROWTH * MOST_OF_GROWTH
