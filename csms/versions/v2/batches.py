"""Lists that go in as many messages as the station wants: it tells how long each may be."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from django.conf import settings

from csms import rpc
from csms.versions.base import CallFailed, Payload, Script, Step, Talk

# How stations refuse a message that is too long (B06.FR.16, B06.FR.17 and alike).
TOO_LONG = frozenset({"OccurrenceConstraintViolation", "OccurenceConstraintViolation", "FormatViolation"})
# As long as any message id is (part 4, section 4.1.4).
MESSAGE_ID = "x" * 36

Answers = Generator[Step, Payload, list[Any]]


def in_batches(action: str, member: str, result: str, *, controller: str = "DeviceDataCtrlr") -> Script:
    """Make the script of an action that carries a list in `member` and is answered with one in `result`.

    A controller of the station tells the most items of a message, and the most bytes. A tolerant
    platform halves what the station finds too long nevertheless.
    """

    def script(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
        items = talk.facts.number(f"{controller}.ItemsPerMessage[{action}]")
        size = talk.facts.number(f"{controller}.BytesPerMessage[{action}]")
        answers: list[Any] = []
        for batch in _batches(action, request, member, items, size):
            answers += yield from _ask({**request, member: batch})
        return {result: answers}

    def _ask(request: Payload) -> Answers:
        batch = request[member]
        try:
            answer = yield Step(action, request)
        except CallFailed as failure:
            if failure.code not in TOO_LONG or len(batch) == 1 or settings.OCPP_VALIDATION == "strict":
                raise
        else:
            return list(answer[result])
        half = len(batch) // 2
        first = yield from _ask({**request, member: batch[:half]})
        second = yield from _ask({**request, member: batch[half:]})
        return first + second

    return script


def _batches(
    action: str, request: Payload, member: str, items: int | None, size: int | None
) -> Iterator[Sequence[Any]]:
    """Cut a list into pieces of at most `items` items whose messages have at most `size` bytes, where that can be."""
    batch: list[Any] = []
    for item in request[member]:
        longer = [*batch, item]
        if batch and (
            (items and len(longer) > items)
            or (size and len(rpc.encode_call(MESSAGE_ID, action, {**request, member: longer})) > size)
        ):
            yield batch
            longer = [item]
        batch = longer
    yield batch
