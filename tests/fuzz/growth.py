"""How the time to serve a text grows with its length: ``python -m tests.fuzz.growth``.

What takes the square of a text's length holds up a node for as long as a station likes. Each piece
is repeated behind each head, to one length and to several times that; the exit code is 1 where the
time grows much more than the text.
"""

import logging
import os
import sys
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")

import django

django.setup()

from tests.fuzz.lane import Ends, Lane, Manner

SHORT = 8 * 1024
GROWTH = 8
MOST_OF_GROWTH = 4
# Seconds below which everything is noise.
NOISE = 0.01

HEADS = (
    b"",
    b'[2,"',
    b'[2,"1","MeterValues",{"connectorId":1,"meterValue":[',
    b'[2,"1","DataTransfer",{"data":"',
)
PIECES = (
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
)


def main() -> int:
    logging.disable(logging.WARNING)
    lane = Lane(Manner.of(0), Ends(stores=False))
    found = 0
    for head in HEADS:
        for piece in PIECES:
            short = min(took(lane, head, piece, SHORT) for _ in range(2))
            long = took(lane, head, piece, SHORT * GROWTH)
            if long >= max(short, NOISE) * GROWTH * MOST_OF_GROWTH:
                found += 1
                print(
                    f"{head!r} and {piece!r}: {short:.3f} s for {SHORT} bytes, {long:.3f} s for {GROWTH} times as many"
                )
    print(f"{len(HEADS) * len(PIECES)} texts, {found} of which take more than their length")
    return min(found, 1)


def took(lane: Lane, head: bytes, piece: bytes, size: int) -> float:
    """Return the seconds of a core that a text takes."""
    started = time.thread_time()
    lane.take(head + piece * (size // len(piece)))
    return time.thread_time() - started


if __name__ == "__main__":
    sys.exit(main())
