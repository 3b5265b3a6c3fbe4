"""Fuzz what serves stations' frames, guided by coverage: ``python -m tests.fuzz.frames --seconds 60``.

Needs atheris (``pip install atheris``), which no other test does. The first byte of an input says
how the rest is read (`lane.Manner`). With ``--store`` what a frame tells is stored in a test
database as well, of the kind that the settings name, and taken back. What is found is kept in
``--corpus`` as ``crash-*``; naming such files reads them again without fuzzing.
"""

import argparse
import hashlib
import logging
import os
import random
import sys
from pathlib import Path
from typing import Any

import atheris

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")

with atheris.instrument_imports(include=["csms", "chargers", "tasks"]):
    import django

    django.setup()

    from tests.fuzz import lane, mutations

# Beyond what stretches a text to its full length.
MAX_LENGTH = 2 * mutations.STRETCHED


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.frames", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--store", action="store_true", help="store what is told in a test database")
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz/frames"), help="a folder that grows")
    parser.add_argument("inputs", nargs="*", type=Path, help="inputs to try once, in place of fuzzing")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    logging.getLogger().handlers.clear()
    lanes = _lanes(options.store)
    if options.inputs:
        for path in options.inputs:
            _serve(lanes, path.read_bytes())
        return
    options.corpus.mkdir(parents=True, exist_ok=True)
    _plant(options.corpus)
    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        f"-max_len={MAX_LENGTH}",
        f"-artifact_prefix={options.corpus}/",
        f"-dict={_dictionary(options.corpus)}",
        # A hang of all kinds; what is slow is found by `lane.timed`, which counts the time of this process only.
        "-timeout=30",
        "-rss_limit_mb=1500",
        "-print_final_stats=1",
        str(options.corpus),
    ]
    atheris.Setup(arguments, lambda data: _serve(lanes, data), custom_mutator=_mutate)
    atheris.Fuzz()


def _lanes(store: bool) -> dict[int, lane.Lane]:
    if store:
        _prepare_database()
    ends = lane.Ends(stores=store)
    return {number: lane.Lane(lane.Manner.of(number), ends) for number in range(32)}


def _prepare_database() -> None:
    from django.test.runner import DiscoverRunner

    from chargers.models import ChargePoint

    # A crash leaves it behind; the next run makes it anew.
    DiscoverRunner(verbosity=0, interactive=False).setup_databases()
    ChargePoint.objects.create(chargepoint_id=lane.STATION)


def _serve(lanes: dict[int, lane.Lane], data: bytes) -> None:
    if data:
        lane.timed(lanes[data[0] % len(lanes)], data[1:])


def _mutate(data: bytes, max_size: int, seed: int) -> bytes:
    chance = random.Random(seed)
    if not data or chance.random() < 0.4:
        return bytes(atheris.Mutate(data, max_size))
    manner = bytes([chance.randrange(32)]) if chance.random() < 0.1 else data[:1]
    return (manner + mutations.changed(data[1:], chance))[:max_size]


def _plant(corpus: Path) -> None:
    """Put what to begin with into the corpus."""
    for seed in mutations.seeds():
        for manner in (b"\x00", b"\x01"):
            (corpus / hashlib.sha1(manner + seed).hexdigest()).write_bytes(manner + seed)


def _dictionary(corpus: Path) -> Path:
    path = corpus.with_suffix(".dict")
    words: list[Any] = [*mutations.words(), "\\ud800", "\\u0000", "2026-01-01T00:00:00Z"]
    path.write_text("".join(f'"{_quoted(word)}"\n' for word in words))
    return path


def _quoted(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    main()
