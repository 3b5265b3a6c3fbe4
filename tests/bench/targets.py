"""What is measured: this platform on a database, and the bare server."""

import contextlib
import json
import os
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import redis
import websockets
from websockets.sync.client import connect

from ov2xmp import redis_server
from tests import daphne
from tests.bench.databases import Database
from tests.bench.processes import (
    BenchError,
    Process,
    accepts,
    answers_ok,
    free_port,
    module,
    running,
    wait_until,
)

# Seconds.
MANAGE_TIMEOUT = 120
LOGIN_TIMEOUT = 30
ADMIN, PASSWORD = "bench", "only-for-this-benchmark"


class Target(Protocol):
    """A server to be measured, with what it needs around it."""

    name: str
    port: int
    # The WebSocket subprotocol of its stations.
    speaks: str

    def serving(self) -> contextlib.AbstractContextManager[Process]:
        """Run a fresh OCPP server."""
        ...

    def helpers(self) -> dict[str, float]:
        """Return the CPU seconds of each process beside the OCPP server."""
        ...

    def stored(self) -> int | None:
        """Return how many meter values are stored; None where nothing is."""
        ...

    def heard(self) -> int | None:
        """Return how many live updates a listener got; None where there are none."""
        ...


class Bare:
    """The `ocpp` package's server, alone."""

    name = "bare ocpp server"
    speaks = "ocpp1.6"

    def __init__(self, directory: Path, *, uvloop: bool) -> None:
        self.port = free_port()
        self._log = directory / "bare.log"
        self._command = module("tests.bench.bare_server", "--port", str(self.port), *(["--uvloop"] if uvloop else []))
        if uvloop:
            self.name += ", uvloop"

    @contextlib.contextmanager
    def serving(self) -> Iterator[Process]:
        with running("the bare server", self._command, self._log) as process:
            wait_until(lambda: accepts(self.port), process)
            yield process

    def helpers(self) -> dict[str, float]:
        return {}

    def stored(self) -> None:
        return None

    def heard(self) -> None:
        return None


class Platform:
    """This project: web, redis and a database around the OCPP server, and someone who listens to live updates.

    `processes` are those that run beside the OCPP server, by what they are called in reports.
    """

    speaks = "ocpp1.6"

    def __init__(
        self,
        database: Database,
        directory: Path,
        env: dict[str, str],
        processes: dict[str, Process],
        listener: "Listener | None" = None,
    ) -> None:
        self.name = f"this platform, {database.label}"
        self.port = int(env["OV2XMP_CSMS_PORT"])
        self.web_port = int(env["OV2XMP_WEB_PORT"])
        self.database = database
        self.processes = processes
        self._log = directory / "csms.log"
        self.env = env
        self._redis = redis.Redis.from_url(env["OV2XMP_REDIS_URL"])
        self._listener = listener

    def serving(self) -> contextlib.AbstractContextManager[Process]:
        return self.node(self.port)

    @contextlib.contextmanager
    def node(self, port: int) -> Iterator[Process]:
        """Run an OCPP server, one of several on this database."""
        env = self.env | {"OV2XMP_CSMS_PORT": str(port)}
        with running("csms", module("csms"), self._log, env) as process:
            wait_until(lambda: answers_ok(port, "/healthz"), process)
            yield process

    def register(self, prefix: str, stations: int, key: str) -> None:
        """Make stations known that prove themselves with a key."""
        command = module("tests.bench.registry", "--prefix", prefix, "--stations", str(stations), "--key", key)
        with running("the registry", command, self._log, self.env) as process:
            process.finish(MANAGE_TIMEOUT)

    def helpers(self) -> dict[str, float]:
        used = self._redis.info("cpu")
        seconds = {f"postgres {pid}": spent for pid, spent in self.database.cpu_seconds().items()}
        return {
            **seconds,
            "redis": used["used_cpu_user"] + used["used_cpu_sys"],
            **{name: process.cpu_seconds() for name, process in self.processes.items()},
        }

    def stored(self) -> int:
        return self.database.count_meter_values()

    def heard(self) -> int | None:
        return None if self._listener is None else self._listener.count


class In201:
    """A platform whose stations speak OCPP 2.0.1."""

    speaks = "ocpp2.0.1"

    def __init__(self, platform: Platform) -> None:
        self.name = f"{platform.name}, OCPP 2.0.1"
        self.port = platform.port
        self.serving = platform.serving
        self.helpers = platform.helpers
        self.stored = platform.stored
        self.heard = platform.heard


class Listener:
    """A frontend that counts the live updates of meter values, in a thread of its own."""

    def __init__(self, web_port: int) -> None:
        self.count = 0
        url = f"ws://127.0.0.1:{web_port}/ws/updates/metervalues/?token={log_in(web_port)}"
        self._connection = connect(url, compression=None, proxy=None, max_size=None)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._connection.close()
        self._thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                self._connection.recv(decode=False)
                self.count += 1


def log_in(web_port: int) -> str:
    """Return an access token of the administrator."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{web_port}/api/token/",
        json.dumps({"username": ADMIN, "password": PASSWORD}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=LOGIN_TIMEOUT) as answer:
        token: str = json.load(answer)["access"]
        return token


@contextlib.contextmanager
def platform(
    database: Database, directory: Path, *, listens: bool = True, relays: bool = False, **settings: str
) -> Iterator[Platform]:
    """Prepare everything around the OCPP server on an empty database.

    `listens` has somebody listen to the meter values, `relays` runs the worker that commands need;
    `settings` are those of the platform.
    """
    directory.mkdir()
    web_port, csms_port = free_port(), free_port()
    redis_url = os.environ.get("OV2XMP_REDIS_URL") or f"unix://{directory / 'redis.sock'}"
    env = {name: value for name, value in os.environ.items() if not name.startswith("OV2XMP_")} | {
        "OV2XMP_DATA_DIR": str(directory),
        "OV2XMP_DATABASE_URL": database.url,
        "OV2XMP_REDIS_URL": redis_url,
        "OV2XMP_REDIS_PREFIX": f"ov2xmp-bench-{os.getpid()}-{directory.name}",
        "OV2XMP_WEB_PORT": str(web_port),
        "OV2XMP_CSMS_PORT": str(csms_port),
        # Each station starts with a tag of its own that nobody registered before.
        "OV2XMP_OCPP_AUTHORIZE_UNKNOWN": "1",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        **settings,
    }
    commands = embedded_commands(web_port)
    with contextlib.ExitStack() as stack:
        if "OV2XMP_REDIS_URL" not in os.environ:
            stack.enter_context(own_redis(directory))
        manage("migrate", "--verbosity", "0", env=env, directory=directory)
        manage("createsuperuser", "--noinput", "--username", ADMIN, "--email", "", env=env, directory=directory)
        processes = {
            name: stack.enter_context(running(name, commands[name], directory / f"{name}.log", env))
            for name in (("web", "worker") if relays else ("web",))
        }
        wait_until(lambda: answers_ok(web_port, "/api/schema/"), processes["web"])
        listener = stack.enter_context(contextlib.closing(Listener(web_port))) if listens else None
        yield Platform(database, directory, env, processes, listener)


def embedded_commands(web_port: int) -> dict[str, list[str]]:
    """Return the commands of web and worker, as `make run` has them."""
    return {
        "web": module("daphne", *daphne.arguments(web_port)),
        "worker": [
            *(sys.executable, "-W", "ignore:You're running the worker with superuser privileges"),
            *("-m", "celery", "--quiet", "-A", "ov2xmp", "worker", "--beat"),
            *("--concurrency", "2", "--without-gossip", "--without-mingle"),
        ],
    }


def manage(*arguments: str, env: dict[str, str], directory: Path) -> None:
    """Run a management command; raise `BenchError` if it fails."""
    command = [sys.executable, "manage.py", *arguments]
    with running(f"manage.py {arguments[0]}", command, directory / "manage.log", env) as process:
        process.finish(MANAGE_TIMEOUT)


@contextlib.contextmanager
def own_redis(directory: Path) -> Iterator[Process]:
    """Run a redis just as the platform embeds it."""
    server = redis_server.find()
    if server is None:
        raise BenchError("no redis-server found; install one or set OV2XMP_REDIS_URL")
    path = directory / "redis.sock"
    with running("redis", redis_server.command(server, path, directory), directory / "redis-output.log") as process:
        wait_until(path.is_socket, process)
        yield process
