import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployment import envfiles
from deployment.envfiles import EnvError, EnvFiles
from tests.deployment.compose import ROOT, read_env
from tests.deployment.conftest import copy_templates

DOCKER, LOCAL, POSTGRES = ".env-docker", ".env-local", "postgres/.env"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the repository's templates."""
    copy_templates(tmp_path)
    return tmp_path


def test_every_template_of_the_repository_is_known() -> None:
    there = {str(path.relative_to(ROOT)) for path in [*ROOT.glob(".env*_template"), *ROOT.glob("*/.env*_template")]}
    assert there == set(envfiles.TEMPLATES)


def test_every_secret_gets_a_random_value_of_its_own(folder: Path) -> None:
    EnvFiles(folder).make()

    made = [
        (variable, read_env(folder / file)[variable.name])
        for file, variables in EnvFiles(folder).templates.items()
        for variable in variables
        if variable.marker == "random"
    ]
    values = [value for _, value in made]
    assert len(made) >= 8
    assert len(set(values)) == len(values)
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", value) for value in values)
    assert all(not variable.value for variable, _ in made), "a template holds a secret"


def test_two_runs_elsewhere_share_no_secret(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    copy_templates(other)
    EnvFiles(folder).make()
    EnvFiles(other).make()

    name = "OV2XMP_SECRET_KEY"
    assert read_env(folder / DOCKER)[name] != read_env(other / DOCKER)[name]


def test_every_secret_of_a_template_is_marked(folder: Path) -> None:
    for file, variables in EnvFiles(folder).templates.items():
        for variable in variables:
            if re.search("PASSWORD|SECRET|_KEY", variable.name):
                assert variable.marker, f"{variable.name} in {file}"
                assert not variable.value, f"{variable.name} in {file}"


def test_only_the_owner_may_read_the_files(folder: Path) -> None:
    EnvFiles(folder).make()

    for file in EnvFiles(folder).templates:
        assert (folder / file).stat().st_mode & 0o777 == 0o600


def test_git_ignores_the_files_and_not_their_templates() -> None:
    for template in envfiles.TEMPLATES:
        file = template.removesuffix(envfiles.SUFFIX)
        ignored = [
            subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False, timeout=30).returncode == 0
            for path in (file, template)
        ]
        assert ignored == [True, False], file


def test_a_second_run_changes_nothing(folder: Path) -> None:
    EnvFiles(folder).make()
    before = {file: (folder / file).read_text("utf-8") for file in EnvFiles(folder).templates}

    told = EnvFiles(folder).make()

    assert {file: (folder / file).read_text("utf-8") for file in before} == before
    assert told == [f"{file}: complete" for file in before]


def test_what_it_tells_holds_no_secret(folder: Path) -> None:
    told = "\n".join(EnvFiles(folder).make())

    assert f"{DOCKER}: made; filled in OV2XMP_SECRET_KEY, " in told
    assert read_env(folder / DOCKER)["OV2XMP_SECRET_KEY"] not in told


def test_values_that_are_there_stay(folder: Path) -> None:
    (folder / DOCKER).write_text("# mine\nOV2XMP_SECRET_KEY=mine\nOV2XMP_DEBUG=1\n", "utf-8")

    EnvFiles(folder).make()

    text = (folder / DOCKER).read_text("utf-8")
    assert text.startswith("# mine\nOV2XMP_SECRET_KEY=mine\nOV2XMP_DEBUG=1\n")
    assert read_env(folder / DOCKER)["OV2XMP_ADMIN_PASSWORD"]


def test_what_a_newer_template_has_is_added_with_its_explanation(folder: Path) -> None:
    EnvFiles(folder).make()
    with (folder / f"{DOCKER}_template").open("a", encoding="utf-8") as template:
        template.write("\n# What is new.\n# make env: random\nOV2XMP_NEW_PASSWORD=\nOV2XMP_NEW=7\n")

    told = EnvFiles(folder).make()

    assert f"{DOCKER}: added OV2XMP_NEW_PASSWORD, OV2XMP_NEW" in told
    text = (folder / DOCKER).read_text("utf-8")
    assert re.search(r"\n# What is new\.\n# make env: random\nOV2XMP_NEW_PASSWORD=\w{32}\n\nOV2XMP_NEW=7\n$", text)


def test_a_secret_that_was_left_empty_is_filled_in(folder: Path) -> None:
    (folder / DOCKER).write_text("OV2XMP_SECRET_KEY=\nOV2XMP_PUBLIC_NAME=\n", "utf-8")

    EnvFiles(folder).make()

    assert len(read_env(folder / DOCKER)["OV2XMP_SECRET_KEY"]) == 32
    assert read_env(folder / DOCKER)["OV2XMP_PUBLIC_NAME"] == ""


def test_a_shell_reads_what_docker_reads(folder: Path) -> None:
    EnvFiles(folder).make()

    # As `make dev` does it.
    done = subprocess.run(
        ["sh", "-c", "set -a && . ./.env-local && env"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    written = read_env(folder / LOCAL)
    assert {name: told[name] for name in written} == written


def test_passwords_that_must_agree_do(folder: Path) -> None:
    EnvFiles(folder).make()

    password = read_env(folder / POSTGRES)["POSTGRES_PASSWORD"]
    assert password == read_env(folder / DOCKER)["OV2XMP_POSTGRES_PASSWORD"]
    assert password == read_env(folder / LOCAL)["OV2XMP_POSTGRES_PASSWORD"]


@pytest.mark.parametrize("lost", [DOCKER, LOCAL, POSTGRES])
def test_a_lost_file_comes_back_with_the_password_of_the_others(folder: Path, lost: str) -> None:
    EnvFiles(folder).make()
    password = read_env(folder / POSTGRES)["POSTGRES_PASSWORD"]
    (folder / lost).unlink()

    EnvFiles(folder).make()

    assert password in (folder / lost).read_text("utf-8")


def test_passwords_that_do_not_agree_are_named_and_nothing_is_written(folder: Path) -> None:
    (folder / POSTGRES).write_text("POSTGRES_PASSWORD=one\n", "utf-8")
    (folder / DOCKER).write_text("OV2XMP_POSTGRES_PASSWORD=another\n", "utf-8")

    with pytest.raises(EnvError, match=rf"POSTGRES_PASSWORD in {POSTGRES} and OV2XMP_POSTGRES_PASSWORD in {DOCKER}"):
        EnvFiles(folder).make()

    assert (folder / DOCKER).read_text("utf-8") == "OV2XMP_POSTGRES_PASSWORD=another\n"
    assert not (folder / LOCAL).exists()


def test_a_file_that_others_can_read_is_closed(folder: Path) -> None:
    EnvFiles(folder).make()
    (folder / DOCKER).chmod(0o644)

    assert f"{DOCKER}: complete; closed to other users" in EnvFiles(folder).make()
    assert (folder / DOCKER).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("# make env: magic\nA=\n", "A has an unknown marker, 'magic'"),
        ("# make env: as .env-docker B\nA=\n", r"there is no B in \.env-docker_template, which A of"),
        ("# make env: as .env-docker A\nA=\n", "A is filled in from itself"),
        ("A = 1\n", "line 1: neither a comment nor NAME=value: 'A = 1'"),
    ],
)
def test_a_template_that_makes_no_sense_is_named(tmp_path: Path, lines: str, reason: str) -> None:
    (tmp_path / f"{DOCKER}_template").write_text(lines, "utf-8")

    with pytest.raises(EnvError, match=reason):
        EnvFiles(tmp_path).make()

    assert not (tmp_path / DOCKER).exists()


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    copy_templates(tmp_path)
    (tmp_path / "deployment").mkdir()
    for name in ("__init__.py", "envfiles.py"):
        (tmp_path / "deployment" / name).write_bytes((ROOT / "deployment" / name).read_bytes())

    done = subprocess.run(
        # Without the packages of the virtual environment.
        [sys.executable, "-I", "-S", "deployment/envfiles.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 0, done.stderr
    assert read_env(tmp_path / LOCAL)["OV2XMP_DEVELOPER"]
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
