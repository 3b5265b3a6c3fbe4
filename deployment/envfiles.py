"""Make the environment files of the compose files from their templates: ``make env``.

A template lies beside its file and ends in ``_template``. A comment right above a variable without a
value says what to fill in:

``# make env: random``
    a secret of its own;
``# make env: as FILE NAME``
    what the variable NAME of FILE holds, so that both sides of a connection agree;
``# make env: user``
    the numbers of the user who runs this, and of its group, as Docker takes them.

A value that is there is never changed, in files that exist only what is missing is added, and nothing
is written unless everything can be. Needs nothing but Python.
"""

import os
import re
import secrets
import string
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SUFFIX = "_template"
# In the order in which they are filled in, so that the same files come out of the same templates.
TEMPLATES = (
    ".env-docker_template",
    ".env-local_template",
    "postgres/.env_template",
    "postgres/.env-pgadmin4_template",
    "filebrowser/.env_template",
    "portainer/.env_template",
    "elk/.env-elasticsearch_template",
    "elk/.env-kibana_template",
    "elk/.env-logstash_template",
)
VARIABLE = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
MARKER = re.compile(r"^# make env: (.*)$")
# Letters and digits only: no quoting in URLs, shells or env files. About 190 bits.
ALPHABET = string.ascii_letters + string.digits
LENGTH = 32

# A variable, by the path of its file and its name.
Key = tuple[str, str]


class EnvError(Exception):
    """The files cannot be made; the text says why and what to do."""


@dataclass
class Variable:
    """A variable of a template: what to fill in, and the lines that explain it, itself the last."""

    name: str
    value: str
    marker: str
    lines: list[str]


def read_template(path: Path) -> list[Variable]:
    """Return the variables of a template in order.

    Raises EnvError: the template cannot be read, or a line of it is none.
    """
    variables: list[Variable] = []
    block: list[str] = []
    marker = ""
    for number, line in enumerate(read_lines(path), start=1):
        if match := VARIABLE.match(line):
            variables.append(Variable(match[1], match[2], marker, [*block, line]))
            block, marker = [], ""
        elif found := MARKER.match(line):
            marker = found[1].strip()
            block.append(line)
        elif not line.strip():
            block, marker = [], ""
        elif line.startswith("#"):
            block.append(line)
        else:
            raise EnvError(f"{path}, line {number}: neither a comment nor NAME=value: {line!r}")
    return variables


def read_values(path: Path) -> dict[str, str]:
    """Return what an environment file holds; of a name that is there twice, the last value, as Docker does."""
    matches = (VARIABLE.match(line.strip().removeprefix("export ")) for line in read_lines(path))
    return {match[1]: match[2].strip() for match in matches if match}


def read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvError(f"cannot read {path}: {error}") from error


class EnvFiles:
    """The environment files of one working copy."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.templates = {
            name.removesuffix(SUFFIX): read_template(root / name) for name in TEMPLATES if (root / name).exists()
        }
        self.present = {name: read_values(root / name) for name in self.templates if (root / name).exists()}

    def value(self, key: Key, asked_by: tuple[Key, ...] = ()) -> str:
        """Return what a variable holds, or should.

        Raises EnvError: its marker cannot be followed.
        """
        file, name = key
        if key in asked_by:
            raise EnvError(f"{file}{SUFFIX}: {name} is filled in from itself")
        if present := self.present.get(file, {}).get(name):
            return present
        if kept := self._made.get(key):
            return kept
        variable = next((each for each in self.templates.get(file, []) if each.name == name), None)
        if variable is None:
            where = f", which {asked_by[-1][1]} of {asked_by[-1][0]} refers to" if asked_by else ""
            raise EnvError(f"there is no {name} in {file}{SUFFIX}{where}")
        self._made[key] = variable.value or self._fill_in(key, variable.marker, asked_by)
        return self._made[key]

    def _fill_in(self, key: Key, marker: str, asked_by: tuple[Key, ...]) -> str:
        match marker.split():
            case []:
                return ""
            case ["random"]:
                return self._present_in_another(key) or "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
            case ["as", file, name]:
                return self.value((file, name), (*asked_by, key))
            case ["user"]:
                return f"{os.getuid()}:{os.getgid()}"
        raise EnvError(f"{key[0]}{SUFFIX}: {key[1]} has an unknown marker, {marker!r}")

    def _present_in_another(self, key: Key) -> str:
        """Return the value that a file has already which should agree with this one, as when this one was lost."""
        for file, variables in self.templates.items():
            for variable in variables:
                if variable.marker.split() == ["as", *key] and (value := self.present.get(file, {}).get(variable.name)):
                    return value
        return ""

    def check_agreement(self) -> None:
        """Compare the values that must be the same.

        Raises EnvError: two are not.
        """
        for file, variables in self.templates.items():
            for variable in variables:
                match variable.marker.split():
                    case ["as", other, name]:
                        ours, theirs = self.value((file, variable.name)), self.value((other, name))
                        if ours != theirs:
                            raise EnvError(
                                f"{variable.name} in {file} and {name} in {other} must be the same, and are not. "
                                "Nothing was written."
                            )

    def make(self) -> list[str]:
        """Write what is missing; return what was done, a line a file, without any value.

        Raises EnvError: nothing was written, or a file could not be.
        """
        self._made: dict[Key, str] = {}
        self.check_agreement()
        contents = {file: self._content(file) for file in self.templates}
        return [self._write(file, text, names) for file, (text, names) in contents.items()]

    def _content(self, file: str) -> tuple[str, list[str]]:
        """Return what a file should hold, and the names of the variables that were filled in or added."""
        present = self.present.get(file)
        variables = self.templates[file]
        if present is None:
            lines = read_lines(self.root / f"{file}{SUFFIX}")
            return self._filled_in(file, lines, set()), [each.name for each in variables if each.marker]
        lines = read_lines(self.root / file)
        empty = {each.name for each in variables if each.marker and each.name in present and not present[each.name]}
        text = self._filled_in(file, lines, set(present) - empty)
        missing = [each for each in variables if each.name not in present]
        for variable in missing:
            text += "\n" + self._filled_in(file, variable.lines, set())
        return text, sorted(empty) + [each.name for each in missing]

    def _filled_in(self, file: str, lines: list[str], keep: set[str]) -> str:
        known = {variable.name for variable in self.templates[file]}
        done = []
        for line in lines:
            match = VARIABLE.match(line)
            if match and match[1] in known - keep:
                line = f"{match[1]}={self.value((file, match[1]))}"
            done.append(f"{line}\n")
        return "".join(done)

    def _write(self, file: str, text: str, names: list[str]) -> str:
        path = self.root / file
        existed = path.exists()
        if existed and not names:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
                return f"{file}: complete; closed to other users"
            return f"{file}: complete"
        replace_privately(path, text)
        return f"{file}: {'added' if existed else 'made; filled in'} {', '.join(names) or 'nothing'}"


def replace_privately(path: Path, text: str) -> None:
    """Put a text in a file that only its owner may read; the file is whole at any moment.

    Raises EnvError: it cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise EnvError(f"cannot write {path}: {error.strerror}") from error


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    try:
        done = EnvFiles(root).make()
    except EnvError as error:
        sys.stderr.write(f"make env: {error}\n")
        return 1
    # Docker would make it for the bind mounts of development, and it would be root's.
    (root / "var").mkdir(mode=0o700, exist_ok=True)
    (root / "var/files").mkdir(exist_ok=True)
    sys.stdout.write("\n".join(done) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
