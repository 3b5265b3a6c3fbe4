"""MeterValues and TransactionEvents in a closed loop, and the memory of idle stations, next to a bare server.

The targets take turns, round after round, so that whatever else the machine does hits all of them.
"""

import contextlib

from tests.bench import measure, report
from tests.bench.bench import Bench, Outcome, say
from tests.bench.measure import LoadOptions, Result
from tests.bench.targets import Bare, In201, Target

# The share of all cores beyond which the machine is too busy; network and database need some of it.
QUIET = 0.2
ROUNDS, STATIONS, IDLE_STATIONS, WARM_UP, SECONDS = 3, 500, 2000, 3, 10


def run(bench: Bench) -> Outcome:
    idle = bench.option("idle_stations", IDLE_STATIONS)
    load = LoadOptions(
        bench.option("stations", STATIONS), bench.option("warm_up", WARM_UP), bench.option("seconds", SECONDS)
    )
    bench.allow_files(max(idle, load.stations))
    outcome = Outcome()
    with contextlib.ExitStack() as stack:
        built = build(bench, stack)
        results = {name: Result() for name in built}
        measure_memory(built, results, idle, bench)
        measure_rounds(bench, built, results, bench.option("rounds", ROUNDS), load)
        outcome.tables.append(report.figures({built[name].name: result for name, result in results.items()}))
        own = next((results[name] for name in ("postgres", "sqlite") if name in results), None)
        if own is not None and "bare" in results:
            outcome.goals = report.targets(own, results["bare"])
        if bench.options.profile:
            outcome.tables.append(profile(built, load, bench))
    outcome.problems = problems(results)
    return outcome


def build(bench: Bench, stack: contextlib.ExitStack) -> dict[str, Target]:
    """Start what is to be measured, all side by side."""
    built: dict[str, Target] = {}
    available = bench.databases()
    wants_201 = bench.wants("postgres-201")
    if "postgres" in available or (wants_201 and not bench.wants("postgres")):
        on_postgres = stack.enter_context(bench.platform("postgres"))
        built |= {"postgres": on_postgres} if bench.wants("postgres") else {}
        built |= {"postgres-201": In201(on_postgres)} if wants_201 else {}
    if "sqlite" in available:
        built["sqlite"] = stack.enter_context(bench.platform("sqlite"))
    if bench.wants("bare"):
        built["bare"] = Bare(bench.directory, uvloop=bench.options.bare_uvloop)
    return built


def measure_memory(built: dict[str, Target], results: dict[str, Result], stations: int, bench: Bench) -> None:
    """Measure idle stations, for one database only: they are all in the OCPP server."""
    if not stations:
        return
    for name, target in built.items():
        if (name == "sqlite" and "postgres" in built) or target.speaks != "ocpp1.6":
            continue
        say(f"{target.name}: {stations} idle stations")
        results[name].bytes_per_station = measure.measure_memory(target, stations, bench.log)


def measure_rounds(
    bench: Bench, built: dict[str, Target], results: dict[str, Result], rounds: int, load: LoadOptions
) -> None:
    for number in range(1, rounds + 1):
        for name, target in built.items():
            round_ = measure.measure_round(target, load, f"BENCH-{name}-{number}-", bench.log)
            results[name].rounds.append(round_)
            say(
                f"{target.name}: round {number} of {rounds}, {round_.messages / round_.seconds:,.0f} messages "
                f"a second, median {round_.p50:.0f} ms"
            )
            if round_.elsewhere > QUIET:
                say(f"{round_.elsewhere:.0%} of the machine was busy with something else: rates and latencies suffer.")


def profile(built: dict[str, Target], load: LoadOptions, bench: Bench) -> str:
    name = next((name for name in ("postgres", "sqlite", "bare") if name in built), None)
    if name is None:
        return ""
    say(f"{built[name].name}: profile")
    return report.hot_functions(measure.profile(built[name], load, bench.directory))


def problems(results: dict[str, Result]) -> list[str]:
    """List wrong answers and lost values."""
    found = []
    for name, result in results.items():
        for round_ in result.rounds:
            found += [
                f"{name}: {count} times {kind}, such as {round_.examples.get(kind, '')}"
                for kind, count in round_.errors.items()
            ]
        if result.stored is not None and result.stored != result.acknowledged:
            found.append(f"{name}: {result.acknowledged} readings were acknowledged, {result.stored} are stored")
    return found
