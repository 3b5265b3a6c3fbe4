"""What containers get from the repository is in it, and facts that stand in several files agree."""

import json
import tomllib
from pathlib import Path

from tests.deployment.compose import (
    OURS,
    ROOT,
    Tree,
    environment,
    read_env,
    services,
    source,
    target,
)
from tests.deployment.dockerfile import dockerfile_of


def test_what_is_mounted_from_the_repository_is_in_it(projects: dict[str, Tree]) -> None:
    mounted = {
        source(volume)
        for _, _, each in services(projects)
        for volume in each.get("volumes", [])
        if source(volume).startswith("./")
    }
    assert mounted
    assert not {path for path in mounted - {"./var/files"} if not (ROOT / path).exists()}


def test_what_containers_run_from_the_repository_is_in_it(projects: dict[str, Tree]) -> None:
    mounts = {
        target(volume): ROOT / source(volume)
        for _, _, each in services(projects)
        for volume in each.get("volumes", [])
        if source(volume).startswith("./")
    }
    for _, name, each in services(projects):
        for word in [*each.get("command", []), *each.get("entrypoint", [])]:
            for folder, path in mounts.items():
                if word.startswith(f"{folder}/"):
                    assert (path / word.removeprefix(f"{folder}/")).is_file(), f"{name}: {word}"


def test_what_is_built_is_in_the_repository(projects: dict[str, Tree]) -> None:
    built = {name: each["build"] for name, each in projects["staging"]["services"].items() if "build" in each}
    assert {name.removeprefix("ov2xmp-") for name in built} == OURS | {"migrate"}
    for name, build in built.items():
        path = ROOT / build["context"] / build.get("dockerfile", "Dockerfile")
        assert path.is_file(), name
        assert path == dockerfile_of(projects["staging"]["services"][name]).path, name
    assert not [name for name, each in projects["prod"]["services"].items() if "build" in each]


def test_the_release_to_run_is_this_one(env_folder: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert read_env(env_folder / ".env-docker")["OV2XMP_VERSION"] == project["version"]
    assert f"ARG VERSION={project['version']}" in (ROOT / "Dockerfile").read_text("utf-8")


def test_the_client_in_the_image_is_of_the_servers_version(projects: dict[str, Tree]) -> None:
    version = projects["prod"]["services"]["ov2xmp-postgres"]["image"].removeprefix("postgres:").split(".")[0]
    assert f"postgresql-client-{version}" in (ROOT / "Dockerfile").read_text("utf-8")
    workflow = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    assert f"image: postgres:{version}" in workflow
    assert f"postgresql-client-{version}" in workflow


def test_pgadmin_knows_the_server_and_no_password(projects: dict[str, Tree], env_folder: Path) -> None:
    database = environment(projects["prod"]["services"]["ov2xmp-postgres"], env_folder)
    (server,) = json.loads((ROOT / "postgres/pgadmin4-servers.json").read_text("utf-8"))["Servers"].values()

    assert server["Host"] in projects["prod"]["services"]
    assert (server["MaintenanceDB"], server["Username"]) == (database["POSTGRES_DB"], database["POSTGRES_USER"])
    assert not {key for key in server if "pass" in key.lower()}
