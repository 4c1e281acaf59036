"""The compose file starts nothing that is open, privileged, unlimited or unpinned."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.docker.files import DOCKER, load_yaml, services

PUBLISHED = {"gateway": {11112, 8080}, "prometheus": {9090}, "grafana": {3000}}
DRAIN_SECONDS_DEFAULT = 25


def _compose_text() -> str:
    return (DOCKER / "compose.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_service_runs_without_privileges_on_a_read_only_root(name: str) -> None:
    """Whoever breaks into a process finds no capability, no root and nothing to change."""
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "network_mode", "pid"} & service.keys()
    assert int(service["user"].split(":")[0]) > 0


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_service_writes_only_to_its_volume_and_a_small_tmp(name: str) -> None:
    """One named volume each, a temporary folder in memory with a size, all else read-only."""
    service = services()[name]
    writable = [mount for mount in service["volumes"] if not mount.endswith(":ro")]
    assert len(writable) == 1
    assert writable[0].split(":")[0] in load_yaml(DOCKER / "compose.yaml")["volumes"]
    (tmpfs,) = service["tmpfs"]
    assert tmpfs.startswith("/tmp:")  # noqa: S108  the container's own, in memory
    assert {"noexec", "nosuid", "nodev"} <= set(tmpfs.split(":")[1].split(","))
    assert "size=" in tmpfs


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_service_has_limits_and_short_logs(name: str) -> None:
    """No service can take the whole machine, nor its log the disk of the studies."""
    service = services()[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_port_is_published_on_loopback_unless_somebody_decides(name: str) -> None:
    """The default reaches nobody; only DICOM can be opened, by one variable."""
    published = services()[name]["ports"]
    bound = [port.replace("${DICOM_BIND_ADDRESS:-127.0.0.1}", "127.0.0.1") for port in published]
    assert all(port.startswith("127.0.0.1:") for port in bound)
    assert {int(port.rsplit(":", 1)[1]) for port in bound} == PUBLISHED[name]


def test_only_prometheus_shares_a_network_with_the_gateway() -> None:
    """People log in to Grafana; from there the gateway cannot be reached."""
    networks = {name: set(service["networks"]) for name, service in services().items()}
    assert networks["gateway"] & networks["prometheus"]
    assert networks["prometheus"] & networks["grafana"]
    assert not networks["gateway"] & networks["grafana"]


def test_the_gateway_has_time_to_drain_before_it_is_killed() -> None:
    """The grace of the container is longer than the gateway's own, with room to file."""
    grace = services()["gateway"]["stop_grace_period"]
    assert grace == "30s"
    assert int(grace.removesuffix("s")) > DRAIN_SECONDS_DEFAULT


def test_images_from_elsewhere_are_pinned_to_a_patch_release() -> None:
    """The same file starts the same programs next year; no host name, so that mirrors work."""
    images = {name: service["image"] for name, service in services().items()}
    for name in ("prometheus", "grafana"):
        assert re.fullmatch(r"\w+/\w+:v?\d+\.\d+\.\d+", images[name]), images[name]


def test_grafana_lets_nobody_in_without_the_password_of_the_site() -> None:
    """Anonymous visitors and sign-up are off, and there is no default password."""
    grafana = services()["grafana"]
    environment: dict[str, Any] = grafana["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
    secret = Path(environment["GF_SECURITY_ADMIN_PASSWORD__FILE"]).name
    assert grafana["secrets"] == [secret]
    file = load_yaml(DOCKER / "compose.yaml")["secrets"][secret]["file"]
    assert not (DOCKER / file).is_relative_to(DOCKER / "grafana"), "would be mounted elsewhere too"
    assert "/secrets/" in (DOCKER / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_grafana_sends_nothing_to_the_outside() -> None:
    """Account names are customers' names: no statistics, snapshots, public links or downloads."""
    environment = services()["grafana"]["environment"]
    for key in (
        "GF_ANALYTICS_REPORTING_ENABLED",
        "GF_ANALYTICS_CHECK_FOR_UPDATES",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES",
        "GF_NEWS_NEWS_FEED_ENABLED",
        "GF_PUBLIC_DASHBOARDS_ENABLED",
        "GF_SNAPSHOTS_EXTERNAL_ENABLED",
    ):
        assert environment[key] == "false", key
    assert environment["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"


def test_no_variable_of_the_compose_file_looks_like_a_setting_of_the_gateway() -> None:
    """The gateway refuses unknown TOLLGATE_ variables, exported ones of the shell included."""
    assert re.findall(r"\$\{(TOLLGATE_\w+)", _compose_text()) == []


def test_every_mounted_file_and_folder_exists() -> None:
    """Docker makes an empty folder of a missing one, and the service starts without its files."""
    sources = [
        mount.split(":")[0]
        for service in services().values()
        for mount in service["volumes"]
        if mount.startswith("./")
    ]
    assert [source for source in sources if not (DOCKER / source).is_dir()] == []
