"""Fuzz the REST API of the running platform by its own OpenAPI: ``python -m tests.fuzz.rest --seconds 60``.

Needs schemathesis (``pip install schemathesis``), which no other test does. The platform is one of
its own, with stations of either version that answer; the database is of the kind that the settings
name. Each role asks for its part of the time. Fails where an answer is not as documented, or is a
failure of the platform's, or takes too long, or where somebody who may only read, or not even that,
has changed something.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.e2e.launcher import BASE_DIR, Platform, wait_until
from tests.e2e.storage import own_storage
from tests.fuzz.access import READERS
from tests.fuzz.holdings import changes, held
from tests.simulator.station import Station
from tests.simulator.v2.station import Station201
from tests.simulator.v16 import Station16

STATIONS = {"1.6": "CP001", "2.0.1": "CP002"}
# What else there is, by the names of members and of variables in paths.
THINGS = {"id_token": "04A1B2C3D4E5F6", "id_tag": "04A1B2C3D4E5F6", "username": "operator1"}

# Those first who may change nothing: then nothing changes by itself either.
ROLES = (*READERS, "operators", "administrators")
# The variable that names the role to those who check answers.
ROLE = "FUZZING_ROLE"
PASSWORD = "correct horse battery staple"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "answers_are_for_the_role",
)
# Seconds: for a busy machine to start; how long a silent station is waited for; what takes much longer hangs.
START_TIMEOUT = 300
OCPP_TIMEOUT = 2
REQUEST_TIMEOUT = 15
# Of the two, a station may say what it likes, and need not be there.
CONFIGURATION = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 502, 504]
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.rest", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="of all roles together")
    parser.add_argument("--roles", nargs="*", default=ROLES, help="whose requests; an empty one is nobody's")
    parser.add_argument("more", nargs="*", help="options of `schemathesis run`, behind --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ov2xmp-fuzz-") as name, own_storage() as storage:
        platform = Platform(Path(name) / "var", storage | {"OV2XMP_OCPP_TIMEOUT": str(OCPP_TIMEOUT)})
        try:
            wait_until(lambda: "is running" in platform.text(), START_TIMEOUT, platform.text)
            codes = _fuzz(platform, storage, options.roles, options.seconds, options.more)
            text = platform.text()
        finally:
            platform.kill()
    tracebacks = text.count("Traceback")
    if tracebacks:
        Path("rest-fuzzing.log").write_text(text, encoding="utf-8")
        print(f"{tracebacks} tracebacks: rest-fuzzing.log has the platform's log.")
    return int(any(codes) or tracebacks > 0)


def _fuzz(
    platform: Platform, storage: dict[str, str], roles: Sequence[str], seconds: int, more: Sequence[str]
) -> list[int]:
    for identity in STATIONS.values():
        platform.client.post("/api/chargepoint/", json={"chargepoint_id": identity}).raise_for_status()
    _make_things(platform)
    with _stations(platform.ocpp):
        wait_until(lambda: _connected(platform) == len(STATIONS), START_TIMEOUT, platform.text)
    wait_until(lambda: _connected(platform) == 0, START_TIMEOUT, platform.text)
    codes = []
    for role in (each for each in roles if each in READERS):
        authorization = _authorization(platform, role)
        before = held(platform.data_dir, storage)
        codes.append(_run(platform, role, authorization, seconds // len(roles), more))
        if changed := changes(before, held(platform.data_dir, storage)):
            print(f"Changed by {role or 'nobody'}:", *changed, sep="\n")
            codes.append(1)
    with _stations(platform.ocpp):
        for role in (each for each in roles if each not in READERS):
            codes.append(_run(platform, role, _authorization(platform, role), seconds // len(roles), more))
    return codes


def _make_things(platform: Platform) -> None:
    """Make one thing of each kind, as the document's examples have it."""
    for path, operations in platform.client.get("/api/schema/").json()["paths"].items():
        body = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if "examples" in body and "{" not in path and "/ocpp" not in path and "/token" not in path:
            [example] = body["examples"].values()
            platform.client.post(path, json=example["value"])


def _connected(platform: Platform) -> int:
    return int(platform.client.get("/api/chargepoint/", params={"connected": "true"}).json()["count"])


def _run(platform: Platform, role: str, authorization: str, seconds: int, more: Sequence[str]) -> int:
    print(f"As {role or 'nobody'}:", flush=True)
    configuration = platform.data_dir.with_name("schemathesis.toml")
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
        *("run", f"{platform.web}/api/schema/", "--checks", ",".join(CHECKS)),
        *("--max-time", str(seconds), "--request-timeout", str(REQUEST_TIMEOUT)),
        *("--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all", "--warnings", "off"),
        *("--generation-database", "none", "--continue-on-failure", "--output-sanitize", "false"),
        *(("--header", f"Authorization: {authorization}") if authorization else ()),
        *more,
    ]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", ROLE: role}
    return subprocess.run(command, cwd=BASE_DIR, env=environment, check=False).returncode


def _authorization(platform: Platform, role: str) -> str:
    """Make a user of a role, who may be changed or deleted on the way, and log in; nobody has no name."""
    if not role:
        return ""
    user = {"username": f"fuzzing-{role}", "password": PASSWORD, "role": role}
    platform.client.post("/api/user/create/", json=user).raise_for_status()
    with platform.log_in(user["username"], PASSWORD) as client:
        return client.headers["Authorization"]


@contextlib.contextmanager
def _stations(url: str) -> Iterator[None]:
    """Keep stations connected that answer what they are asked."""
    loop = asyncio.new_event_loop()
    stations: list[Station] = [
        Station16(url, STATIONS["1.6"], autonomous=True),
        Station201(url, STATIONS["2.0.1"], autonomous=True),
    ]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    living = [asyncio.run_coroutine_threadsafe(_start(station), loop).result() for station in stations]
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_end(living), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _start(station: Station) -> "asyncio.Task[None]":
    return asyncio.create_task(_live(station))


async def _end(living: Sequence["asyncio.Task[None]"]) -> None:
    for each in living:
        each.cancel()
    await asyncio.wait(living)


async def _live(station: Station) -> None:
    """Stay connected, whatever happens to the connection."""
    while True:
        try:
            await station.connect()
            await station.start_up()  # type: ignore[attr-defined]
            await station.ended()
        except Exception as error:
            print(f"{station.identity}: {error!r}", file=sys.stderr)
        finally:
            await station.disconnect()
        await asyncio.sleep(1)


if __name__ == "__main__":
    raise SystemExit(main())
