"""Run the whole platform on one machine: ``make run``, or ``python -m ov2xmp.embedded``.

Web, csms, worker, the file servers and, unless a setting names another, a redis of its own, as children of this
process. Everything they keep is in the data directory (``OV2XMP_DATA_DIR``, else ``var``). A
Ctrl-C, a SIGTERM or the end of any of them ends them all.
"""

import asyncio
import contextlib
import errno
import fcntl
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connections
from redis import RedisError

from deployment import healthcheck
from filestore import account, arguments, configuration
from filestore.environment import SettingError
from ftp_server import health as ftp_health
from ov2xmp import administrator, redis_server
from ov2xmp.supervisor import Supervisor

BASE_DIR = Path(__file__).resolve().parent.parent
STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
    STOP_SIGNALS.append(signal.SIGHUP)
# Seconds: for the embedded redis to answer, for everything to serve, and between two looks.
REDIS_START_TIMEOUT = 10.0
START_TIMEOUT = 90.0
PROBE_INTERVAL = 0.2
# Clients of web that wait to be accepted; the system may have fewer (net.core.somaxconn).
WEB_BACKLOG = 4096
# What a process may take to end beyond the time that the csms may drain.
STOP_GRACE = 10.0


class LaunchError(Exception):
    """The platform cannot run here; the text says why and what to do."""


def main() -> int:
    """Run until told to stop; return the exit code."""
    os.umask(0o077)
    # Until the processes start there is nothing to end but this one.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        data_dir = prepare_data_dir()
        with locked(data_dir):
            load_settings()
            check_ports()
            prepare_files()
            redis_command = prepare_redis(data_dir)
            prepare_database()
            credentials = create_admin()
            connections.close_all()
            asyncio.run(run(redis_command, credentials))
    except LaunchError as error:
        sys.stderr.write(f"ov2xmp: {error}\n")
        return 1
    return 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def prepare_data_dir() -> Path:
    """Create the data directory, and name it to the settings of every process."""
    data_dir = Path(os.environ.get("OV2XMP_DATA_DIR") or BASE_DIR / "var").resolve()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LaunchError(f"cannot create the data directory {data_dir}: {error.strerror}") from error
    os.environ["OV2XMP_DATA_DIR"] = str(data_dir)
    return data_dir


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Keep a second copy off the data directory, for as long as this process lives.

    Raises LaunchError: another copy has it.
    """
    try:
        lock = (data_dir / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise LaunchError(f"cannot write to the data directory {data_dir}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise LaunchError(
                f"another copy (process {lock.read().strip()}) is running on {data_dir}. "
                "Stop it, or set OV2XMP_DATA_DIR and the ports for a second one."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def load_settings() -> None:
    """Read the settings and set Django up.

    Raises LaunchError: a setting cannot be read.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        raise LaunchError(str(error)) from error


def check_ports() -> None:
    """Make sure that every port is free.

    Raises LaunchError: one is not; names the setting that changes it.
    """
    ports = {
        "OV2XMP_WEB_PORT": settings.WEB_PORT,
        "OV2XMP_CSMS_PORT": settings.CSMS_PORT,
        "OV2XMP_FTP_PORT": settings.FTP_PORT,
        "OV2XMP_FILES_PORT": settings.FILES_PORT,
    }
    if settings.CSMS_TLS_CERTIFICATES:
        ports["OV2XMP_CSMS_TLS_PORT"] = settings.CSMS_TLS_PORT
    with contextlib.ExitStack() as stack:
        for name, port in ports.items():
            try:
                family = socket.getaddrinfo(settings.BIND, port, type=socket.SOCK_STREAM)[0][0]
                stack.enter_context(socket.create_server((settings.BIND, port), family=family))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise LaunchError(f"port {port} is in use. Set {name} to another one.") from error
                raise LaunchError(
                    f"cannot listen on {settings.BIND} port {port} (OV2XMP_BIND, {name}): {error.strerror}"
                ) from error


def prepare_files() -> None:
    """Make the folder of the file servers, and sure that these will start.

    Raises LaunchError: the folder cannot be written to, or an account is no good.
    """
    try:
        settings.FILES.open("web")
        for source in (account.FTP, account.HTTP):
            account.require_account(source)
    except SettingError as error:
        raise LaunchError(str(error)) from error


def prepare_redis(data_dir: Path) -> list[str] | None:
    """Return the command that starts the embedded redis, or nothing if the settings name another.

    Raises LaunchError: the other one does not answer, or there is none to embed.
    """
    # Its module reads the environment, which prepare_data_dir() completes.
    from ov2xmp.settings import embedded_redis_socket

    path = embedded_redis_socket(data_dir)
    if f"unix://{path}" != settings.REDIS_URL:
        check_redis()
        return None
    server = redis_server.find()
    if server is None:
        raise LaunchError(
            "no redis-server found. Install it (Debian, Ubuntu: apt install redis-server; macOS: brew install redis), "
            "or set OV2XMP_REDIS_URL to one that runs, such as redis://localhost:6379/0."
        )
    if path.parent != data_dir:
        try:
            redis_server.make_socket_directory(path)
        except (redis_server.UnsafeDirectory, OSError) as error:
            raise LaunchError(f"no place for redis's socket: {error}. A shorter OV2XMP_DATA_DIR needs none.") from error
    return redis_server.command(server, path, data_dir)


def check_redis() -> None:
    """Make sure that the redis named by the settings answers.

    Raises LaunchError: it does not.
    """
    try:
        redis_server.ping(settings.REDIS_URL, settings.REDIS_TIMEOUT)
    except (RedisError, OSError, ValueError) as error:
        raise LaunchError(
            f"redis does not answer: {error}. Correct OV2XMP_REDIS_URL, or unset it to run an embedded one."
        ) from error


def prepare_database() -> None:
    """Bring the database's tables up to date.

    Raises LaunchError: the database cannot be reached.
    """
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except OperationalError as error:
        raise LaunchError(f"the database does not answer: {str(error).strip()}") from error


def create_admin() -> str:
    """Create the first administrator unless there is one; return what to tell about the password."""
    admin = administrator.create()
    password = f"password {admin.password} ({admin.where})" if admin.password else f"password {admin.where}"
    return f"user {administrator.NAME}, {password}"


async def run(redis_command: list[str] | None, credentials: str) -> None:
    """Run the processes until a signal asks to stop.

    Raises LaunchError: one of them ended, or could not be started.
    """
    stop_requested = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    supervisor = Supervisor(directory=BASE_DIR, stop_timeout=settings.OCPP_DRAIN_TIMEOUT + STOP_GRACE)
    work = asyncio.create_task(work_until_one_ends(supervisor, redis_command, credentials))
    stopping = asyncio.create_task(stop_requested.wait())
    try:
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await work
        say("Stopping.")
    finally:
        work.cancel()
        stopping.cancel()
        await asyncio.gather(work, stopping, return_exceptions=True)
        await supervisor.stop(*commands())
        # The others write to redis until their end.
        await supervisor.stop("redis")


async def work_until_one_ends(supervisor: Supervisor, redis_command: list[str] | None, credentials: str) -> NoReturn:
    """Start the processes, say where they serve, and wait.

    Raises LaunchError: one ended, or could not be started.
    """
    try:
        if redis_command is not None:
            await supervisor.start("redis", redis_command)
            await wait_for_redis(supervisor)
        for name, command in commands().items():
            await supervisor.start(name, command)
    except OSError as error:
        raise LaunchError(f"cannot start {error.filename}: {error.strerror}") from error
    announcement = asyncio.create_task(announce(credentials))
    try:
        raise ended(*await supervisor.first_end())
    finally:
        announcement.cancel()


def ended(name: str, code: int) -> LaunchError:
    how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
    hint = f" Its log is {settings.DATA_DIR / 'redis.log'}." if name == "redis" else ""
    return LaunchError(f"{name} ended {how}, so the platform stopped.{hint}")


def commands() -> dict[str, list[str]]:
    """Return the commands of the platform's processes by their names."""
    return {
        "web": module("daphne", "-v", "0", "-e", web_endpoint(), "ov2xmp.asgi:application"),
        "csms": module("csms"),
        "worker": [
            sys.executable,
            # The warning is about unpickling, which this worker never does.
            *("-W", "ignore:You're running the worker with superuser privileges"),
            *("-m", "celery", "--quiet", "-A", "ov2xmp", "worker", "--beat"),
            # There is one worker: none to meet, none to gossip with.
            *("--concurrency", "2", "--without-gossip", "--without-mingle"),
        ],
        "ftp": module("ftp_server"),
        "files": module("http_file_server"),
    }


def web_endpoint() -> str:
    """Say where Daphne listens; by itself it would let 50 clients wait to be accepted, and reset the others."""
    interface = settings.BIND.replace(":", r"\:")
    return f"tcp:port={settings.WEB_PORT}:interface={interface}:backlog={WEB_BACKLOG}"


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


async def wait_for_redis(supervisor: Supervisor) -> None:
    """Wait until the embedded redis answers.

    Raises LaunchError: it ended, or does not answer in time.
    """
    deadline = time.monotonic() + REDIS_START_TIMEOUT
    while True:
        try:
            return redis_server.ping(settings.REDIS_URL)
        except (RedisError, OSError) as error:
            if (code := supervisor.processes["redis"].returncode) is not None:
                raise ended("redis", code) from error
            if time.monotonic() > deadline:
                raise LaunchError(f"the embedded redis does not answer: {error}") from error
        await asyncio.sleep(0.02)


async def announce(credentials: str) -> None:
    """Say where everything is once it serves, and what is missing when that takes too long."""
    warn_at = time.monotonic() + START_TIMEOUT
    while missing := await asyncio.to_thread(what_is_missing):
        if time.monotonic() > warn_at:
            say(f"Not serving after {START_TIMEOUT:.0f} seconds; still waiting for {missing}.")
            warn_at = math.inf
        await asyncio.sleep(PROBE_INTERVAL)
    say(welcome(credentials))


def what_is_missing() -> str:
    """Ask the servers whether they serve; return what is wrong with one that does not."""
    return (
        probe("web", settings.WEB_PORT, "/api/health/")
        or probe("csms", settings.CSMS_PORT, "/healthz")
        or probe("files", settings.FILES_PORT, "/healthz")
        or probe_ftp(settings.FTP_PORT)
    )


def probe_ftp(port: int) -> str:
    wrong = ftp_health.greeting(configuration.loopback(settings.BIND), port)
    return f"ftp, whose {wrong}" if wrong else ""


def probe(name: str, port: int, path: str) -> str:
    wrong = healthcheck.page(port, path, configuration.loopback(settings.BIND), allowed_host())
    return f"{name}, whose {wrong}" if wrong else ""


def allowed_host() -> str:
    """Return a name that Django serves under."""
    host: str = next(iter(settings.ALLOWED_HOSTS), "localhost")
    return "localhost" if host == "*" else host.removeprefix(".")


def welcome(credentials: str) -> str:
    host = "localhost" if settings.BIND in configuration.LOOPBACK else settings.BIND
    host = f"[{host}]" if ":" in host else host
    endpoints = [f"ws://{host}:{settings.CSMS_PORT}"]
    if settings.CSMS_TLS_CERTIFICATES:
        endpoints.append(f"wss://{host}:{settings.CSMS_TLS_PORT}")
    ftp = f"{settings.FTP_SCHEME}://{host}:{settings.FTP_PORT}/files/, {told(settings.FTP_ACCOUNT, account.FTP)}"
    files = f"http://{host}:{settings.FILES_PORT}/http/files/, {told(settings.HTTP_ACCOUNT, account.HTTP)}"
    stations = "\n                ".join(f"{endpoint}{settings.OCPP_PATH}/<identity>" for endpoint in endpoints)
    return f"""
O-V2X-MP is running. Ctrl-C stops it.

  Swagger UI    http://{host}:{settings.WEB_PORT}/api/
  Admin         http://{host}:{settings.WEB_PORT}/admin/
  Live updates  ws://{host}:{settings.WEB_PORT}/ws/updates/all/?token=<access token>
  Stations      {stations}
  Files         {ftp}
                {files}
  Log in as     {credentials}
  Data          {settings.DATA_DIR}
"""


def told(known: account.Account, source: account.Source) -> str:
    """Tell about an account of the file servers, whose password is a generated one unless it was set."""
    path = settings.DATA_DIR / source.secret
    generated = path.exists() and path.read_text(encoding="utf-8").strip() == known.password
    return f"user {known.username}, password {f'in {path}' if generated else 'as set'}"


if __name__ == "__main__":
    arguments.take_none("ov2xmp.embedded", "Run the whole platform on this machine, until Ctrl-C or SIGTERM.")
    sys.exit(main())
