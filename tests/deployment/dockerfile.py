"""Read a Dockerfile, as far as ours go."""

import json
import re
import shlex
from pathlib import Path

from tests.deployment.compose import ROOT, Tree


class Dockerfile:
    """The instructions of a Dockerfile, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = [line for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
        text = "\n".join(lines).replace("\\\n", " ")
        self.instructions = [
            (name, rest.strip())
            for name, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())
        ]

    def all(self, name: str) -> list[str]:
        return [rest for each, rest in self.instructions if each == name]

    def last_stage(self) -> list[tuple[str, str]]:
        starts = [position for position, (name, _) in enumerate(self.instructions) if name == "FROM"]
        return self.instructions[starts[-1] :]

    def user(self) -> str:
        return [rest for name, rest in self.last_stage() if name == "USER"][-1]

    def environment(self) -> dict[str, str]:
        """Return the variables of the image."""
        words = [word for name, rest in self.last_stage() if name == "ENV" for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words)

    def health_check(self) -> list[str]:
        """Return the command that tells whether a container works."""
        checks = [rest for name, rest in self.last_stage() if name == "HEALTHCHECK"]
        return json.loads(checks[-1].partition("CMD ")[2]) if checks else []

    def bases(self) -> list[str]:
        """Return the images that it begins with."""
        arguments = dict(each.split("=", 1) for each in self.all("ARG") if "=" in each)
        names = [re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], each) for each in self.all("FROM")]
        return [name.split(" AS ")[0] for name in names]


def dockerfile_of(service: Tree) -> Dockerfile:
    """Return the file that a service's image is built from."""
    image = service["image"].rsplit("/", 1)[-1].split(":")[0]
    paths = {
        "ov2xmp": "Dockerfile",
        "ov2xmp-ftp-server": "ftp_server/Dockerfile",
        "ov2xmp-http-file-server": "http_file_server/Dockerfile",
    }
    return Dockerfile(ROOT / paths[image])
