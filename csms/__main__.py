"""Run the OCPP server: ``python -m csms``."""

import asyncio
import gc
import os
import signal
import sys

import django

from filestore import arguments

if __name__ == "__main__":
    # Before the settings are read, of which one may be wrong.
    arguments.take_none("csms", "Run the OCPP server, to which charging stations connect, until SIGTERM or SIGINT.")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ov2xmp.settings")
django.setup()

from django.conf import settings

from csms.census import allow_files
from csms.server import OcppServer
from tasks import logcontext

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


async def main() -> None:
    """Serve stations until SIGTERM or SIGINT, then drain."""
    # What is loaded now stays; a message makes little garbage in cycles, so look for it less often.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    tls_port = settings.CSMS_TLS_PORT if settings.CSMS_TLS_CERTIFICATES else None
    async with OcppServer(settings.BIND, settings.CSMS_PORT, tls_port):
        await stop.wait()


if __name__ == "__main__":
    logcontext.name_process("csms")
    logcontext.log_what_python_tells()
    allow_files()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
