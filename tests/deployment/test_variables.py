"""What the compose files tell processes, against the templates and against what the code reads."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployment.envfiles import SUFFIX, TEMPLATES
from tests.deployment.compose import (
    PROJECTS,
    ROOT,
    MissingVariable,
    Tree,
    Variables,
    environment,
    read_env,
    resolve,
    services,
)
from tests.deployment.conftest import ANSWERS
from tests.deployment.dockerfile import Dockerfile

# Variables of the compose files and the Caddyfiles that no process of ours reads.
DEPLOYMENT_ONLY = {
    "OV2XMP_ACME_EMAIL",
    "OV2XMP_CADDY_ADDRESS",
    "OV2XMP_CADDY_MEMORY",
    "OV2XMP_DEVELOPER",
    "OV2XMP_EDGE_RANGE",
    "OV2XMP_EDGE_SUBNET",
    "OV2XMP_PUBLIC_NAME",
    "OV2XMP_PUBLISH_FTP",
    "OV2XMP_PUBLISH_HTTP",
    "OV2XMP_PUBLISH_HTTPS",
    "OV2XMP_PUBLISH_LOGSTASH",
    "OV2XMP_PUBLISH_MTLS",
    "OV2XMP_REGISTRY",
    "OV2XMP_VERSION",
    "OV2XMP_WORKER_CONCURRENCY",
}
# Settings whose default serves one machine, and not containers.
NEEDED = {
    "OV2XMP_ADMIN_PASSWORD",
    "OV2XMP_BIND",
    "OV2XMP_CSRF_TRUSTED_ORIGINS",
    "OV2XMP_DATA_DIR",
    "OV2XMP_DJANGO_ALLOWED_HOSTS",
    "OV2XMP_FILES_DIR",
    "OV2XMP_FTP_PASSWORD",
    "OV2XMP_FTP_URL",
    "OV2XMP_HTTP_FILES_URL",
    "OV2XMP_HTTP_PASSWORD",
    "OV2XMP_HTTP_UPLOAD_URL",
    "OV2XMP_LOG_FORMAT",
    "OV2XMP_POSTGRES_DB",
    "OV2XMP_POSTGRES_HOST",
    "OV2XMP_POSTGRES_PASSWORD",
    "OV2XMP_POSTGRES_USER",
    "OV2XMP_PUBLIC_HOST",
    "OV2XMP_REDIS_BROKER_HOST",
    "OV2XMP_REDIS_BROKER_PASSWORD",
    "OV2XMP_SECRET_KEY",
    "OV2XMP_TRUSTED_PROXIES",
}
NAME = re.compile(r"OV2XMP_[A-Z0-9_]+[A-Z0-9]")
TEMPLATED = [name.removesuffix(SUFFIX) for name in TEMPLATES]


def settings_of_the_code() -> set[str]:
    """Return every variable that a process of ours reads, the documented ones of composed names included."""
    sources = [
        path
        for package in ("ov2xmp", "tasks", "filestore", "ftp_server", "http_file_server")
        for path in (ROOT / package).rglob("*.py")
    ]
    read = {name for path in sources for name in NAME.findall(path.read_text("utf-8"))}
    explained = (ROOT / "docs/settings.md").read_text("utf-8")
    return read | set(re.findall(r"`(OV2XMP_[A-Z0-9_]+)`", explained))


def files_of_the_deployment() -> list[Path]:
    return [
        *ROOT.glob("docker-compose-*.yml"),
        *ROOT.glob("compose/*.yml"),
        *ROOT.glob(".env-*_template"),
        *ROOT.glob("*/.env*_template"),
        ROOT / "Dockerfile",
        *ROOT.glob("*/Dockerfile"),
    ]


def caddy_placeholders() -> set[str]:
    caddyfiles = [path.read_text("utf-8") for path in ROOT.glob("caddy/caddyfile-*")]
    return {name for text in caddyfiles for name in re.findall(r"\{\$(OV2XMP_\w+)", text)}


@pytest.mark.parametrize("project", PROJECTS)
def test_every_variable_has_a_default_or_a_message_for_who_has_not_set_it(
    project: str, projects: dict[str, Tree], variables: dict[str, Variables]
) -> None:
    assert not variables[project].bare


@pytest.mark.parametrize("missing", sorted(ANSWERS))
def test_production_says_what_must_be_filled_in(env_folder: Path, missing: str) -> None:
    given = read_env(env_folder / ".env-docker") | ANSWERS | {missing: ""}

    with pytest.raises(MissingVariable, match=rf"{missing}: set it in \.env-docker"):
        resolve("prod", Variables(given))


@pytest.mark.parametrize(
    ("project", "file"), [("prod", ".env-docker"), ("staging", ".env-docker"), ("dev", ".env-local")]
)
def test_no_secret_has_a_default(project: str, file: str, env_folder: Path) -> None:
    given = read_env(env_folder / file) | ANSWERS
    secrets = {name for name in given if "PASSWORD" in name or "SECRET" in name}
    assert secrets

    with pytest.raises(MissingVariable, match="run make env"):
        resolve(project, Variables({name: value for name, value in given.items() if name not in secrets}))


def test_every_variable_of_the_deployment_is_known_to_the_code_or_only_to_the_deployment() -> None:
    known = settings_of_the_code() | DEPLOYMENT_ONLY | caddy_placeholders()
    unknown = {
        f"{name} in {path.relative_to(ROOT)}"
        for path in files_of_the_deployment()
        for name in NAME.findall(path.read_text("utf-8"))
        if name not in known and name.removesuffix("_FILE") not in known
    }
    assert not unknown


def test_no_variable_of_the_deployment_alone_is_one_of_the_code(variables: dict[str, Variables]) -> None:
    assert not DEPLOYMENT_ONLY & settings_of_the_code()
    used = {name for each in variables.values() for name in each.used} | {
        name for path in files_of_the_deployment() for name in NAME.findall(path.read_text("utf-8"))
    }
    assert not DEPLOYMENT_ONLY - used, "nothing uses it"


@pytest.mark.parametrize("project", ["staging", "prod"])
@pytest.mark.parametrize("name", ["ov2xmp-daphne", "ov2xmp-csms", "ov2xmp-celery", "ov2xmp-migrate"])
def test_every_process_is_told_what_has_no_default_for_containers(
    project: str, name: str, projects: dict[str, Tree], env_folder: Path
) -> None:
    told = Dockerfile(ROOT / "Dockerfile").environment() | environment(projects[project]["services"][name], env_folder)

    assert {each for each in NEEDED if told.get(each)} == NEEDED


def test_a_setting_of_the_environment_file_wins_over_what_follows_from_the_public_name(env_folder: Path) -> None:
    mine = {
        name: f"mine-{number}"
        for number, name in enumerate(yaml.safe_load((ROOT / "compose/platform.yml").read_text("utf-8"))["x-settings"])
    }
    given = read_env(env_folder / ".env-docker") | ANSWERS | mine

    web = resolve("prod", Variables(given))["services"]["ov2xmp-daphne"]

    assert web["environment"] == mine


def test_the_platform_reads_the_settings_that_production_gives_it(
    projects: dict[str, Tree], env_folder: Path, tmp_path: Path
) -> None:
    told = Dockerfile(ROOT / "Dockerfile").environment() | environment(
        projects["prod"]["services"]["ov2xmp-daphne"], env_folder
    )
    # Folders of the container.
    told |= {"OV2XMP_DATA_DIR": str(tmp_path), "OV2XMP_FILES_DIR": str(tmp_path / "files"), "PATH": os.environ["PATH"]}
    names = ("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "FTP_URL", "HTTP_FILES_URL", "REDIS_URL", "BIND")
    code = (
        "import json; from django.conf import settings; "
        f"print(json.dumps({{name: getattr(settings, name) for name in {names!r}}} | "
        "{'database': settings.DATABASES['default']['HOST']}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=told, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert read["ALLOWED_HOSTS"] == ["csms.example.org", "localhost"]
    assert read["CSRF_TRUSTED_ORIGINS"] == ["https://csms.example.org"]
    assert read["FTP_URL"] == f"ftp://ov2xmp:{told['OV2XMP_FTP_PASSWORD']}@csms.example.org/files"
    assert read["HTTP_FILES_URL"] == f"http://ov2xmp:{told['OV2XMP_HTTP_PASSWORD']}@csms.example.org/http/files"
    assert read["REDIS_URL"] == f"redis://:{told['OV2XMP_REDIS_BROKER_PASSWORD']}@ov2xmp-redis:6379/0"
    assert read["BIND"] == "0.0.0.0"
    assert read["database"] == "ov2xmp-postgres"
    assert list(tmp_path.iterdir()) == [], "a secret was made up although one was given"


@pytest.mark.parametrize("project", ["staging", "prod"])
def test_both_sides_of_each_account_are_told_the_same(
    project: str, projects: dict[str, Tree], env_folder: Path
) -> None:
    def told(name: str) -> dict[str, str]:
        return environment(projects[project]["services"][f"ov2xmp-{name}"], env_folder)

    web, database = told("daphne"), told("postgres")
    assert database["POSTGRES_PASSWORD"] == web["OV2XMP_POSTGRES_PASSWORD"]
    assert database["POSTGRES_USER"] == web["OV2XMP_POSTGRES_USER"]
    assert database["POSTGRES_DB"] == web["OV2XMP_POSTGRES_DB"]
    assert told("redis")["REDISCLI_AUTH"] == web["OV2XMP_REDIS_BROKER_PASSWORD"]
    for server, prefix in (("ftp-server", "OV2XMP_FTP"), ("http-file-server", "OV2XMP_HTTP")):
        for part in ("USERNAME", "PASSWORD"):
            assert told(server)[f"{prefix}_{part}"] == web[f"{prefix}_{part}"]


def test_a_container_that_is_not_ours_sees_no_secret_of_the_platform(
    projects: dict[str, Tree], env_folder: Path
) -> None:
    platform = environment(projects["prod"]["services"]["ov2xmp-daphne"], env_folder)
    secrets = {value: name for name, value in platform.items() if "PASSWORD" in name or "SECRET" in name}
    shared = {
        "ov2xmp-postgres": {"OV2XMP_POSTGRES_PASSWORD"},
        "ov2xmp-redis": {"OV2XMP_REDIS_BROKER_PASSWORD"},
        "ov2xmp-ftp-server": {"OV2XMP_FTP_PASSWORD"},
        "ov2xmp-http-file-server": {"OV2XMP_HTTP_PASSWORD"},
    }
    for name, service in projects["prod"]["services"].items():
        if service["image"].startswith("ghcr.io/example/ov2xmp:"):
            continue
        seen = {secrets[value] for value in environment(service, env_folder).values() if value in secrets}
        assert seen == shared.get(name, set()), name


def test_every_environment_file_has_a_template_and_every_template_a_use(
    projects: dict[str, Tree], env_folder: Path
) -> None:
    used = set()
    for _, _, each in services(projects):
        files = each.get("env_file", [])
        for file in [files] if isinstance(files, str) else files:
            if isinstance(file, str):
                used.add(file)
            else:
                assert file["required"] is False
    included: set[Any] = {
        part["env_file"]
        for project in PROJECTS
        for part in yaml.safe_load((ROOT / f"docker-compose-{project}.yml").read_text("utf-8"))["include"]
        if "env_file" in part
    }
    assert used | included == set(TEMPLATED)
    for file in used | included:
        assert (env_folder / file).is_file(), file
