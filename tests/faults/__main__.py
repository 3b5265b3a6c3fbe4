"""Do everything that `faults.py` knows to a platform under load, at random, for a given time: ``make soak``.

Prints what was done, how often, and what was lost. Ends with 1 if anything was wrong.
"""

import argparse
import asyncio
import logging
import random
import sys
import time
from collections import Counter
from pathlib import Path

from tests.faults import network
from tests.faults.audit import Audit
from tests.faults.faults import BY_NAME, FAULTS, Fault, Scene
from tests.faults.load import Load
from tests.faults.platform import LEASE, Platform, made
from tests.faults.servers import postgres_hindrance

STATIONS = 24
SHARE_OF_PAIRS = 0.25


def say(text: str) -> None:
    print(text, flush=True)


class Soak:
    """One run: a platform, its load, and what is done to it."""

    def __init__(self, platform: Platform, load: Load, way: network.Network) -> None:
        self.scene = Scene(platform, load, way)
        self.audit = Audit(platform, load, way)
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def go_on(self, minutes: float, names: list[str]) -> None:
        chosen = [BY_NAME[name] for name in names] or list(FAULTS)
        for fault in chosen:
            if why := fault.hindrance(self.scene):
                say(f"left out: {fault.name} ({why})")
        chosen = [fault for fault in chosen if not fault.hindrance(self.scene)]
        await self._look("at the start")
        until = time.monotonic() + minutes * 60
        # Each once, then at random, now and then two at once.
        waiting = list(chosen)
        while time.monotonic() < until:
            await asyncio.sleep(0.5 + random.random())
            if waiting:
                faults = [waiting.pop(0)]
            else:
                faults = random.sample(chosen, 2 if random.random() < SHARE_OF_PAIRS and len(chosen) > 1 else 1)
            await self._do(faults)

    async def _do(self, faults: list[Fault]) -> None:
        name = " and ".join(fault.name for fault in faults)
        started = time.monotonic()
        results = await asyncio.gather(*(fault.happen(self.scene) for fault in faults), return_exceptions=True)
        self.done.update(fault.name for fault in faults)
        for result in results:
            # What a fault says of others' waiting is true for it alone.
            if isinstance(result, BaseException) and not (len(faults) > 1 and isinstance(result, AssertionError)):
                self.wrong.append(f"{name}: {result!r}")
                say(f"  WRONG {result!r}")
        await self._look(name, started)

    async def _look(self, name: str, started: float = 0.0) -> None:
        wrong = await self.audit.look()
        ledger = self.scene.load.ledger
        took = f"{time.monotonic() - started:.1f} s" if started else ""
        say(f"{name}: {len(ledger.acknowledged)} acknowledged, {ledger.repeated} repeats, {took}")
        for each in wrong:
            say(f"  WRONG {each}")
        self.wrong += [f"{name}: {each}" for each in wrong]

    def report(self, seconds: float) -> None:
        ledger, audit = self.scene.load.ledger, self.audit
        ends = Counter(status for status, _ in audit.ended.values())
        say(f"\n{seconds / 60:.1f} minutes, {len(self.scene.load.stations)} stations, {audit.looks} audits")
        for name in BY_NAME:
            say(f"  {self.done[name]:4} x {name}")
        say(f"messages: {ledger.sent} sent, {ledger.repeated} repeats; not acknowledged: {dict(ledger.refused)}")
        say(f"ledger: {len(ledger.acknowledged)} acknowledged, {audit.stored} stored")
        say(
            f"commands: {len(audit.ended)}, of which {dict(ends)}; REST answered {dict(self.scene.load.operator.outcomes)}"
        )
        say(f"processes ended on purpose: {dict(self.scene.platform.ended)}")
        say(
            f"longest until at rest: {audit.longest_rest:.1f} s; until online states were true: {audit.longest_wrong:.1f} s"
        )
        say(f"most that memory grew, MiB: { ({name: grown >> 20 for name, grown in audit.growth.items()}) }")
        say(f"wrong: {len(self.wrong)}")
        for each in self.wrong:
            say(f"  {each}")


async def run(database: str, minutes: float, names: list[str], stations: int, keep: Path | None) -> int:
    way = network.make()
    try:
        host = "0.0.0.0" if isinstance(way, network.Namespace) else "127.0.0.1"
        with made(database, host) as platform:
            async with platform:
                say(
                    f"{database}, the network is cut by {way.kind}, leases of {LEASE} s, output in {platform.parts.output}"
                )
                nodes = list(platform.ocpp.values())
                async with Load(platform.parts.web, platform.parts.log_in, nodes, way, stations) as load:
                    soak = Soak(platform, load, way)
                    started = time.monotonic()
                    try:
                        await soak.go_on(minutes, names)
                    finally:
                        soak.report(time.monotonic() - started)
                        if keep is not None:
                            keep.write_text(platform.parts.text(), "utf-8")
                    return int(bool(soak.wrong))
    finally:
        way.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--stations", type=int, default=STATIONS)
    parser.add_argument("--output", type=Path, help="file for what the platform's processes wrote")
    parser.add_argument(
        "faults", nargs="*", metavar="fault", help=f"any of: {', '.join(BY_NAME)}; all if none is named"
    )
    given = parser.parse_args()
    if why := given.database == "postgresql" and postgres_hindrance():
        parser.error(why)
    if unknown := set(given.faults) - BY_NAME.keys():
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    return asyncio.run(run(given.database, given.minutes, given.faults, given.stations, given.output))


if __name__ == "__main__":
    sys.exit(main())
