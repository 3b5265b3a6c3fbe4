"""Whole charging sessions in a closed loop: authorize, start, five readings, stop, and two statuses."""

import contextlib

from tests.bench import messages, report
from tests.bench.bench import Bench, Outcome
from tests.bench.load import READINGS_PER_SESSION
from tests.bench.measure import LoadOptions, Result
from tests.bench.targets import Platform

ROUNDS, STATIONS, WARM_UP, SECONDS = 2, 500, 5, 10
# Authorize, two StatusNotifications, the start, the readings and the stop.
MESSAGES = READINGS_PER_SESSION + 5
MIN_RATE_RATIO = 1.0
MAX_CPU_RATIO = 1.0


def run(bench: Bench) -> Outcome:
    load = LoadOptions(
        bench.option("stations", STATIONS),
        bench.option("warm_up", WARM_UP),
        bench.option("seconds", SECONDS),
        "sessions",
    )
    bench.allow_files(load.stations)
    with contextlib.ExitStack() as stack:
        built = messages.build(bench, stack)
        results = {name: Result() for name in built}
        messages.measure_rounds(bench, built, results, bench.option("rounds", ROUNDS), load)
        stopped = {
            name: target.database.count_stopped_transactions()
            for name, target in built.items()
            if isinstance(target, Platform)
        }
    names = {name: target.name for name, target in built.items()}
    outcome = Outcome([figures(names, results)], problems=messages.problems(results))
    for name, count in stopped.items():
        readings = sum(results[each].acknowledged for each in results if each.startswith(name))
        # A session that was under way at the end was finished, too.
        if count != readings // READINGS_PER_SESSION:
            sessions = readings // READINGS_PER_SESSION
            outcome.problems.append(f"{name}: {sessions} sessions came to an end, {count} are stored as stopped")
    own = next((results[name] for name in ("postgres", "sqlite") if name in results), None)
    if own is not None and "bare" in results:
        outcome.goals = goals(own, results["bare"])
    return outcome


def figures(names: dict[str, str], results: dict[str, Result]) -> str:
    columns = list(results.values())
    rows = [
        ["sessions a second", *(report.number(each.rate / MESSAGES, 1) for each in columns)],
        ["messages a second", *(report.number(each.rate) for each in columns)],
        ["latency of a message, median (ms)", *(report.number(each.p50) for each in columns)],
        ["latency, 99th percentile of the worst round (ms)", *(report.number(each.worst_p99) for each in columns)],
        *(
            [
                label.replace("(µs a message)", "(ms a session)"),
                *(report.number(cpu_ms(each, process), 2) for each in columns),
            ]
            for process, label in report.PROCESSES.items()
            if any(each.cpu_us(process) is not None for each in columns)
        ),
        ["CPU, everything else on the machine (worst round)", *(f"{each.elsewhere:.0%}" for each in columns)],
        ["readings acknowledged", *(report.number(each.acknowledged) for each in columns)],
        ["meter values stored", *(report.number(each.stored) for each in columns)],
        ["errors", *(report.number(sum(each.errors.values())) for each in columns)],
    ]
    return report.table(["", *names.values()], rows)


def cpu_ms(result: Result, process: str) -> float | None:
    """Return the CPU time of a process per session in ms; None where it took no part."""
    spent = result.cpu_us(process)
    return None if spent is None else spent * MESSAGES / 1000


def goals(own: Result, bare: Result) -> list[report.Goal]:
    cpu = (own.cpu_us("server") or 0) / (bare.cpu_us("server") or 1)
    return [
        report.at_most("CPU per session against the bare server's", MAX_CPU_RATIO, cpu),
        report.at_least("sessions a second against the bare server's", MIN_RATE_RATIO, own.rate / bare.rate),
        report.none("acknowledged readings that are not stored", own.acknowledged - (own.stored or 0)),
    ]
