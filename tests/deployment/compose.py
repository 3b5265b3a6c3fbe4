"""Resolve compose files as ``docker compose config`` does, as far as ours go: include, extends, variables, merges."""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
# What a user starts.
PROJECTS = ("dev", "staging", "prod", "externals")
# Sequences that a later file replaces; all others it adds to.
REPLACED = {"command", "entrypoint", "test"}
# Containers whose image is built here, but for ov2xmp-migrate.
OURS = {"daphne", "csms", "celery", "ftp-server", "http-file-server"}
# Containers that do their work and end.
ONE_SHOT = {"ov2xmp-migrate", "ov2xmp-volumes", "ov2xmp-elasticsearch-setup"}
VARIABLE = re.compile(r"\$(?:\$|\{|([A-Za-z_]\w*))")

Tree = dict[str, Any]


class MissingVariable(Exception):
    """A variable that must have a value has none; the text is what the user is told."""


@dataclass
class Variables:
    """What compose files may refer to, and what they did refer to."""

    values: Mapping[str, str]
    used: set[str] = field(default_factory=set)
    # Those that were used without a default or a message.
    bare: set[str] = field(default_factory=set)

    def fill_in(self, node: Any) -> Any:
        """Return a tree with all variables resolved."""
        if isinstance(node, dict):
            return {key: self.fill_in(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self.fill_in(value) for value in node]
        return self.text(node) if isinstance(node, str) else node

    def text(self, text: str) -> str:
        done, position = "", 0
        while match := VARIABLE.search(text, position):
            done += text[position : match.start()]
            if match[0] == "$$":
                done, position = f"{done}$", match.end()
            elif match[1]:
                done, position = done + self._value(match[1], "", ""), match.end()
            else:
                end = closing_brace(text, match.end())
                done, position = done + self._expression(text[match.end() : end]), end + 1
        return done + text[position:]

    def _expression(self, expression: str) -> str:
        match = re.fullmatch(r"(\w+)(?:(:-|:\?|:\+)(.*))?", expression, re.DOTALL)
        assert match, f"not understood: {expression}"
        return self._value(match[1], match[2] or "", match[3] or "")

    def _value(self, name: str, operator: str, argument: str) -> str:
        self.used.add(name)
        if not operator:
            self.bare.add(name)
        if operator == ":+":
            # Docker resolves it in either case, and warns of what is not set.
            replacement = self.text(argument)
            return replacement if self.values.get(name) else ""
        if value := self.values.get(name):
            return value
        if operator == ":?":
            raise MissingVariable(f"{name}: {argument}")
        return self.text(argument)


def closing_brace(text: str, start: int) -> int:
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if not depth:
            return position
    raise AssertionError(f"no end of a variable in {text}")


def resolve(project: str, variables: Variables) -> Tree:
    """Return one of the files that a user starts, whole."""
    main = load(ROOT / f"docker-compose-{project}.yml", variables)
    for part in main.pop("include"):
        paths = part["path"] if isinstance(part["path"], list) else [part["path"]]
        merged: Tree = {}
        for path in paths:
            piece = load(ROOT / path, variables)
            for name, service in piece.get("services", {}).items():
                piece["services"][name] = extend(service, variables)
            merged = merge(merged, piece)
        main = merge(main, merged)
    return {key: value for key, value in main.items() if not key.startswith("x-")}


def load(path: Path, variables: Variables) -> Tree:
    tree: Tree = variables.fill_in(yaml.safe_load(path.read_text("utf-8")))
    return tree


def extend(service: Tree, variables: Variables) -> Tree:
    base = service.pop("extends", None)
    if base is None:
        return service
    return merge(load(ROOT / base["file"], variables)["services"][base["service"]], service)


def merge(first: Any, second: Any, key: str = "") -> Any:
    """Lay one tree over another, as the compose specification has it."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {name: merge(first.get(name), second.get(name), name) for name in [*first, *(set(second) - set(first))]}
    if {type(first), type(second)} == {dict, list}:
        return merge(as_mapping(first), as_mapping(second), key)
    if isinstance(first, list) and isinstance(second, list) and key not in REPLACED:
        if key == "volumes":
            return list(({target(each): each for each in first} | {target(each): each for each in second}).values())
        return first + [each for each in second if each not in first]
    return first if second is None else second


def as_mapping(names: Any) -> Tree:
    return names if isinstance(names, dict) else dict.fromkeys(names)


def target(volume: str) -> str:
    """Return where a volume is seen in the container."""
    return volume.split(":")[1]


def environment(service: Tree, folder: Path) -> dict[str, str]:
    """Return what a container is told: its environment files, which lie in `folder`, then its environment."""
    files = service.get("env_file", [])
    told: dict[str, str] = {}
    for file in [files] if isinstance(files, str) else files:
        path = folder / (file if isinstance(file, str) else file["path"])
        if path.exists():
            told |= read_env(path)
    return told | {name: str(value) for name, value in service.get("environment", {}).items()}


def read_env(path: Path) -> dict[str, str]:
    """Read an environment file; ours need no quotes."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def services(projects: dict[str, Tree]) -> list[tuple[str, str, Tree]]:
    return [(project, name, each) for project, tree in projects.items() for name, each in tree["services"].items()]


def source(volume: str) -> str:
    """Return the name of a volume, or the path on the host."""
    return volume.split(":")[0]


def check_schema(schema: str, files: list[Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
