"""The platform behind Caddy, which runs the project's own Caddyfiles."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.caddy import CADDY, running
from tests.e2e.launcher import BASE_DIR, free_ports
from tests.e2e.parts import Parts, answers

NAME = "localhost"
RELOAD_TIMEOUT = 20


class Caddy:
    """What a Caddy is started with, and where it then answers."""

    def __init__(self, directory: Path, caddyfile: str, **settings: str) -> None:
        http_port, https_port, mtls_port, admin_port = free_ports(4)
        self.http, self.https = f"http://{NAME}:{http_port}", f"https://{NAME}:{https_port}"
        self.http_port, self.https_port, self.mtls_port = http_port, https_port, mtls_port
        self.ws, self.wss = f"ws://{NAME}:{http_port}", f"wss://{NAME}:{https_port}"
        self.mtls = f"wss://{NAME}:{mtls_port}"
        self.config = str(BASE_DIR / "caddy" / caddyfile)
        self.admin = f"127.0.0.1:{admin_port}"
        self.settings = {
            "HOME": str(directory),
            "XDG_DATA_HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory),
            "OV2XMP_CADDY_ADMIN": self.admin,
            "OV2XMP_CADDY_HTTP_PORT": str(http_port),
            "OV2XMP_CADDY_HTTPS_PORT": str(https_port),
            "OV2XMP_CADDY_REDIRECT_PORT": f":{https_port}",
            "OV2XMP_CADDY_MTLS_PORT": str(mtls_port),
            **settings,
        }
        # The root of `tls internal`.
        self.root = directory / "caddy/pki/authorities/local/root.crt"

    @property
    def command(self) -> tuple[str, ...]:
        return (CADDY, "run", "--config", self.config, "--adapter", "caddyfile")

    def adapted(self) -> dict[str, Any]:
        """Return the configuration as Caddy understands it."""
        command = (CADDY, "adapt", "--config", self.config, "--adapter", "caddyfile")
        done = subprocess.run(command, env=self.settings, check=True, timeout=RELOAD_TIMEOUT, capture_output=True)
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    @property
    def page(self) -> str:
        """A page that Caddy answers alone, once it has its certificate."""
        return f"{self.https}/http/files"

    def trusting(self) -> ssl.SSLContext:
        """Return the TLS of a client that trusts Caddy's own authority."""
        return ssl.create_default_context(cafile=str(self.root))

    def running(self, log: Path) -> AbstractContextManager[None]:
        """Run it by itself; the block is entered once it answers."""
        return running(self.command, self.settings, log, lambda: answers(self.page))

    def reload(self, **settings: str) -> None:
        """Load the Caddyfile again, with changed settings, as an operator does."""
        command = (CADDY, "reload", "--config", self.config, "--adapter", "caddyfile", "--address", self.admin)
        environment = self.settings | settings
        subprocess.run(command, env=environment, check=True, timeout=RELOAD_TIMEOUT, capture_output=True)


def members(node: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Walk through every member of every object in a configuration."""
    if isinstance(node, dict):
        yield from ((node, name) for name in node)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from members(each)


def add_caddy(parts: Parts, caddyfile: str, **settings: str) -> Caddy:
    """Make Caddy one of the parts, not yet started."""
    caddy = Caddy(parts.output.parent / "caddy", caddyfile, **settings)
    parts.commands["caddy"] = caddy.command
    parts.settings_of["caddy"] = caddy.settings
    parts.pages["caddy"] = caddy.page
    return caddy
