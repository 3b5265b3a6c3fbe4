"""The compose files, with every variable resolved: which containers there are, and how they are kept."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from ftp_server import settings as ftp_settings
from http_file_server import settings as http_settings
from tests.deployment.compose import (
    ONE_SHOT,
    OURS,
    ROOT,
    Tree,
    Variables,
    check_schema,
    environment,
    read_env,
    resolve,
    services,
    source,
    target,
)
from tests.deployment.conftest import ANSWERS
from tests.deployment.dockerfile import dockerfile_of

INFRASTRUCTURE = {"postgres", "redis", "filebrowser", "caddy", "pgadmin4", "portainer"}
ELK = {"logstash", "elasticsearch", "elasticsearch-setup", "kibana"}


def test_each_project_has_its_services(projects: dict[str, Tree]) -> None:
    def names(project: str) -> set[str]:
        return {name.removeprefix("ov2xmp-") for name in projects[project]["services"]}

    assert names("dev") == INFRASTRUCTURE | {"volumes"}
    assert names("staging") == names("prod") == INFRASTRUCTURE | OURS | {"volumes", "migrate"}
    assert names("externals") == ELK


def test_they_fit_the_compose_specification(projects: dict[str, Tree], tmp_path: Path) -> None:
    resolved = []
    for project, tree in projects.items():
        path = tmp_path / f"{project}.yml"
        path.write_text(yaml.safe_dump(tree), "utf-8")
        resolved.append(path)
    written = [*ROOT.glob("docker-compose-*.yml"), *ROOT.glob("compose/*.yml")]
    assert len(written) >= 9
    check_schema("vendor.compose-spec", [*resolved, *written])


def test_every_container_is_restarted_limited_and_its_log_rotated(projects: dict[str, Tree]) -> None:
    for project, name, service in services(projects):
        where = f"{name} of {project}"
        assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), where
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, where
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}, where
        assert "no-new-privileges:true" in service["security_opt"], where


def test_every_container_that_stays_has_a_health_check(projects: dict[str, Tree]) -> None:
    for project, name, service in services(projects):
        if name in ONE_SHOT:
            continue
        check = service.get("healthcheck")
        if check is None:
            assert dockerfile_of(service).health_check(), f"{name} of {project}"
        else:
            assert {"test", "interval", "timeout", "retries", "start_period"} == check.keys(), f"{name} of {project}"


def test_our_containers_run_without_privileges_on_a_file_system_that_they_cannot_write(
    projects: dict[str, Tree],
) -> None:
    for project, name, service in services(projects):
        if service["image"].split("/")[-1].startswith("ov2xmp"):
            assert service["read_only"], f"{name} of {project}"
            assert service["cap_drop"] == ["ALL"], f"{name} of {project}"
            assert "cap_add" not in service, f"{name} of {project}"
            assert dockerfile_of(service).user() == "10001:10001", f"{name} of {project}"


def test_images_are_pinned(projects: dict[str, Tree]) -> None:
    for project, name, service in services(projects):
        tag = service["image"].rsplit(":", 1)
        assert len(tag) == 2, f"{name} of {project}"
        assert tag[1] != "latest", f"{name} of {project}"


def test_production_publishes_what_stations_and_browsers_need_and_nothing_else(projects: dict[str, Tree]) -> None:
    published = {name: each["ports"] for name, each in projects["prod"]["services"].items() if "ports" in each}

    assert published == {
        "ov2xmp-caddy": ["80:80", "443:443", "443:443/udp", "9443:9443"],
        "ov2xmp-ftp-server": ["21:2121", "49152-49155:49152-49155"],
    }


def test_the_database_and_redis_are_out_of_reach_from_outside(projects: dict[str, Tree]) -> None:
    production = projects["prod"]
    assert production["networks"]["backend"]["internal"]
    for name in ("ov2xmp-postgres", "ov2xmp-redis"):
        assert production["services"][name]["networks"] == ["backend"]
    assert list(production["services"]["ov2xmp-caddy"]["networks"]) == ["edge"]


def test_development_publishes_on_this_machine_only(projects: dict[str, Tree]) -> None:
    ports = [port for each in projects["dev"]["services"].values() for port in each.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_caddys_address_is_the_one_that_is_trusted(projects: dict[str, Tree], env_folder: Path) -> None:
    for project in ("staging", "prod"):
        tree = projects[project]["services"]
        for name in ("daphne", "csms", "celery", "http-file-server"):
            told = environment(tree[f"ov2xmp-{name}"], env_folder)
            assert told["OV2XMP_TRUSTED_PROXIES"] == tree["ov2xmp-caddy"]["networks"]["edge"]["ipv4_address"], name
    local = read_env(env_folder / ".env-local")
    assert (
        local["OV2XMP_TRUSTED_PROXIES"]
        == projects["dev"]["services"]["ov2xmp-caddy"]["networks"]["edge"]["ipv4_address"]
    )


def test_no_dynamic_address_can_be_caddys(projects: dict[str, Tree]) -> None:
    for project in ("dev", "staging", "prod"):
        address = ip_address(projects[project]["services"]["ov2xmp-caddy"]["networks"]["edge"]["ipv4_address"])
        (config,) = projects[project]["networks"]["edge"]["ipam"]["config"]
        assert address in ip_network(config["subnet"])
        assert ip_network(config["ip_range"]).subnet_of(ip_network(config["subnet"]))
        assert address not in ip_network(config["ip_range"])


def test_containers_wait_for_what_can_come_true(projects: dict[str, Tree]) -> None:
    for project, tree in projects.items():
        for name, service in tree["services"].items():
            for other, how in service.get("depends_on", {}).items():
                where = f"{name} of {project} waits for {other}"
                assert other in tree["services"], where
                expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
                assert how["condition"] == expected, where


def test_no_containers_wait_for_each_other(projects: dict[str, Tree]) -> None:
    for tree in projects.values():
        waiting = {name: set(each.get("depends_on", {})) for name, each in tree["services"].items()}
        while ready := {name for name, others in waiting.items() if not others & set(waiting)}:
            waiting = {name: others for name, others in waiting.items() if name not in ready}
        assert not waiting


def test_the_platform_starts_after_the_migration_and_the_migration_after_the_database(
    projects: dict[str, Tree],
) -> None:
    for project in ("staging", "prod"):
        tree = projects[project]["services"]
        for name in ("daphne", "csms", "celery", "caddy"):
            assert "ov2xmp-migrate" in tree[f"ov2xmp-{name}"]["depends_on"]
        assert "ov2xmp-postgres" in tree["ov2xmp-migrate"]["depends_on"]
        migrating = [name for name, each in tree.items() if "manage.py migrate" in " ".join(each.get("command", []))]
        assert migrating == ["ov2xmp-migrate"]


def test_every_server_has_the_time_to_drain(projects: dict[str, Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OV2XMP_FTP_PASSWORD", "OV2XMP_HTTP_PASSWORD"):
        monkeypatch.setenv(name, "a password of stations")
    needed = {
        "csms": settings.OCPP_DRAIN_TIMEOUT + settings.OCPP_CLOSE_TIMEOUT,
        "ftp-server": ftp_settings.read().drain_timeout,
        "http-file-server": http_settings.read().drain_timeout,
    }
    for name, seconds in needed.items():
        grace = projects["prod"]["services"][f"ov2xmp-{name}"]["stop_grace_period"]
        assert int(grace.removesuffix("s")) > seconds + 5, name


def test_who_uses_the_folder_of_files_sees_it_and_only_who_writes_may_write(projects: dict[str, Tree]) -> None:
    for project in ("staging", "prod"):
        tree = projects[project]["services"]
        seen = {
            name.removeprefix("ov2xmp-"): volume.endswith(":ro")
            for name, each in tree.items()
            for volume in each.get("volumes", [])
            if target(volume) == "/srv/files"
        }
        readers, writers = {"csms", "celery", "caddy"}, {"daphne", "migrate", "ftp-server", "http-file-server"}
        assert seen == dict.fromkeys(readers, True) | dict.fromkeys(writers | {"filebrowser"}, False)
        for name in (readers | writers) - {"caddy"}:
            assert dockerfile_of(tree[f"ov2xmp-{name}"]).environment()["OV2XMP_FILES_DIR"] == "/srv/files"


def test_staging_has_a_certificate_of_its_own_and_says_where_it_is_published(env_folder: Path) -> None:
    given = read_env(env_folder / ".env-docker")

    def caddy(**variables: str) -> dict[str, str]:
        tree = resolve("staging", Variables(given | variables))
        return environment(tree["services"]["ov2xmp-caddy"], env_folder)

    assert caddy()["OV2XMP_CADDY_TLS"] == "internal"
    assert caddy()["OV2XMP_CADDY_HSTS"] == "max-age=0"
    assert caddy()["OV2XMP_CADDY_REDIRECT_PORT"] == ""
    assert caddy(OV2XMP_PUBLISH_HTTPS="8443")["OV2XMP_CADDY_REDIRECT_PORT"] == ":8443"


def test_stations_are_sent_to_ftps_once_the_ftp_server_has_a_certificate(env_folder: Path) -> None:
    given = read_env(env_folder / ".env-docker") | ANSWERS | {"OV2XMP_FTP_TLS_CERTIFICATE": "/certs/ftp.pem"}
    tree = resolve("prod", Variables(given))["services"]

    for name in ("daphne", "csms", "celery"):
        assert tree[f"ov2xmp-{name}"]["environment"]["OV2XMP_FTP_URL"] == "ftps://csms.example.org/files"
    assert tree["ov2xmp-ftp-server"]["environment"]["OV2XMP_FTP_TLS_CERTIFICATE"] == "/certs/ftp.pem"


def test_who_may_have_a_certificate_sees_the_folder_of_certificates(projects: dict[str, Tree]) -> None:
    for project in ("staging", "prod"):
        for name in ("caddy", "csms", "ftp-server"):
            assert "./certs:/certs:ro" in projects[project]["services"][f"ov2xmp-{name}"]["volumes"], name


def test_a_csms_can_be_scaled(projects: dict[str, Tree]) -> None:
    csms = projects["prod"]["services"]["ov2xmp-csms"]
    assert not {"container_name", "ports", "hostname"} & csms.keys()
    assert csms["networks"] == ["edge", "backend"]


def test_every_volume_and_network_is_declared_and_every_declared_one_used(projects: dict[str, Tree]) -> None:
    for project, tree in projects.items():
        used = {source(volume) for each in tree["services"].values() for volume in each.get("volumes", [])}
        named = {each for each in used if not each.startswith((".", "/"))}
        # Processes that run from source share a folder with File Browser and Caddy, and not a volume.
        spare = {"ov2xmp-files"} if project == "dev" else set()
        assert named == set(tree["volumes"]) - spare, project
        networks = {name for each in tree["services"].values() for name in each.get("networks", [])}
        assert networks == set(tree["networks"]), project
