import shutil
from pathlib import Path

import pytest

from deployment.envfiles import TEMPLATES, EnvFiles
from tests.deployment.compose import PROJECTS, ROOT, Tree, Variables, read_env, resolve

# What the operator of a machine fills in.
ANSWERS = {
    "OV2XMP_PUBLIC_NAME": "csms.example.org",
    "OV2XMP_ACME_EMAIL": "ops@example.org",
    "OV2XMP_REGISTRY": "ghcr.io/example",
}


def copy_templates(folder: Path) -> None:
    for template in TEMPLATES:
        if (ROOT / template).exists():
            (folder / template).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / template, folder / template)


@pytest.fixture(scope="session")
def env_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `make env` has been run."""
    folder = tmp_path_factory.mktemp("env")
    copy_templates(folder)
    EnvFiles(folder).make()
    return folder


@pytest.fixture(scope="session")
def variables(env_folder: Path) -> dict[str, Variables]:
    """What each project's files may refer to; its `used` is full once `projects` was made."""
    docker, local = read_env(env_folder / ".env-docker"), read_env(env_folder / ".env-local")
    return {
        "dev": Variables(local),
        "staging": Variables(docker),
        "prod": Variables(docker | ANSWERS),
        "externals": Variables({}),
    }


@pytest.fixture(scope="session")
def projects(variables: dict[str, Variables]) -> dict[str, Tree]:
    """Each project as Docker sees it, with every variable resolved."""
    return {project: resolve(project, variables[project]) for project in PROJECTS}
