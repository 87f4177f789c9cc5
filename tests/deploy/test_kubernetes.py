"""What `deploy/kubernetes` renders to is something that a cluster takes, and that keeps what OPERATIONS.md says of a graceful end.

Rendered by kubectl (Debian: `kubernetes-client`), checked against the schemas of the package `kubernetes-validate`.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from interface_server.http.proxy_headers import TrustedPeers
from interface_server.settings import InterfaceSettings
from worker.settings import WorkerSettings

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = ["base", "overlays/development"]
VERSIONS = ["1.30", kubernetes_validate.latest_version()]

Manifest = dict[str, Any]

pytestmark = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not installed (Debian: apt install kubernetes-client)"
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifests, as the kubectl of this machine reads them: before 1.21 it knew folders under `bases` alone."""
    copy = tmp_path_factory.mktemp("manifests") / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    version = yaml.safe_load(run("kubectl", "version", "--client", "--output=yaml"))["clientVersion"]
    if int(version["minor"].rstrip("+")) < 21:
        for file in copy.glob("overlays/*/kustomization.yaml"):
            moved = file.read_text().replace("resources:\n  - ../../base\n", "bases:\n  - ../../base\nresources:\n")
            file.write_text(moved)
    return copy


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


@functools.cache
def render(folder: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(run("kubectl", "kustomize", str(folder))))


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {name: found["spec"]["template"]["spec"] for name, found in of_kind(manifests, "Deployment").items()}


def containers(manifests: list[Manifest]) -> list[Manifest]:
    return [container for pod in pods(manifests).values() for container in pod["containers"]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_one_that_kubernetes_takes(folder: Path, overlay: str, version: str) -> None:
    """Strictly: a misspelt field is refused here, and not silently dropped by a cluster."""
    manifests = render(folder / overlay)
    assert {"interface", "worker"} <= of_kind(manifests, "Deployment").keys()
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_url_of_redis_is_a_file_that_the_secret_of_the_overlay_holds(folder: Path, overlay: str) -> None:
    """P9. A variable would keep a password until the pod is replaced."""
    manifests = render(folder / overlay)
    secrets = of_kind(manifests, "Secret") or {"towpath-redis": {"data": {"url": ""}}}
    for pod in (pods(manifests)[name] for name in ("interface", "worker")):
        (container,) = pod["containers"]
        (path,) = (each["value"] for each in container["env"] if each["name"] == "TOWPATH_REDIS_URL_FILE")
        (mounted,) = (each for each in container["volumeMounts"] if path == f"{each['mountPath']}/url")
        (volume,) = (each["secret"] for each in pod["volumes"] if each["name"] == mounted["name"])
        assert "url" in secrets[volume["secretName"]]["data"]


def test_a_pod_has_more_time_to_leave_than_its_process_takes(folder: Path) -> None:
    """The graceful timeout and what comes before the signal fit into the grace period, or exchanges are cut at its end."""
    manifests = render(folder / "base")
    (settings,) = of_kind(manifests, "ConfigMap").values()
    graceful_s = int(settings["data"]["TOWPATH_TIMEOUT_GRACEFUL_SHUTDOWN"])
    assert graceful_s == InterfaceSettings().graceful_timeout_s == WorkerSettings().graceful_timeout_s
    for name, pod in pods(manifests).items():
        (container,) = pod["containers"]
        before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        assert before[0] == "sleep", name
        assert pod["terminationGracePeriodSeconds"] >= graceful_s + int(before[1]) + 5, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_is_bounded_and_nobodys_root(folder: Path, overlay: str) -> None:
    """A container that asks for nothing is placed anywhere; one without a limit takes its neighbours' memory."""
    for pod in pods(render(folder / overlay)).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["automountServiceAccountToken"] is False
    for container in containers(render(folder / overlay)):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), container["name"]
        assert "memory" in container["resources"]["limits"], container["name"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, container["name"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, container["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_gets_the_variables_of_services(folder: Path, overlay: str) -> None:
    """The Service of the base is called `towpath`: its TOWPATH_PORT would stand where our option looks."""
    assert all(pod["enableServiceLinks"] is False for pod in pods(render(folder / overlay)).values())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_whoever_listens_is_probed_and_a_worker_listens_nowhere(folder: Path, overlay: str) -> None:
    """A worker's life is what its lease says; asking Redis by a probe would restart all of them when Redis is away."""
    for container in containers(render(folder / overlay)):
        if container["name"] == "worker":
            assert not {"ports", "livenessProbe", "readinessProbe"} & container.keys()
        else:
            assert {"ports", "livenessProbe", "readinessProbe"} <= container.keys(), container["name"]


def test_the_probes_ask_where_the_interface_server_answers(folder: Path) -> None:
    """Live must not depend on Redis, ready must: a Redis that is away takes pods out of the service and restarts none."""
    (container,) = pods(render(folder / "base"))["interface"]["containers"]
    health = InterfaceSettings().health_path
    assert container["livenessProbe"]["httpGet"]["path"] == f"{health}/live"
    assert container["readinessProbe"]["httpGet"]["path"] == f"{health}/ready"


@pytest.mark.parametrize(("peer", "believed"), [("10.244.1.7", True), ("fd00:10::7", True), ("203.0.113.9", False)])
def test_an_ingress_controller_is_believed_and_nobody_outside_of_the_cluster(
    folder: Path, peer: str, believed: bool
) -> None:
    """Else every application behind an Ingress sees http, and the controller for its client."""
    (settings,) = of_kind(render(folder / "base"), "ConfigMap").values()
    assert TrustedPeers(settings["data"]["FORWARDED_ALLOW_IPS"]).trusts(peer) is believed


def test_compose_hands_on_whose_word_about_the_client_is_believed() -> None:
    """Nobody's, unless it is said: a published port may be reached by strangers under the address of the gateway."""
    services = yaml.safe_load((KUBERNETES.parents[1] / "docker-compose.yml").read_text())["services"]
    assert services["interface"]["environment"]["FORWARDED_ALLOW_IPS"] == "${FORWARDED_ALLOW_IPS:-127.0.0.1}"


def test_the_service_leads_to_the_interface_servers_alone(folder: Path) -> None:
    """Nobody connects to a worker."""
    manifests = render(folder / "base")
    (service,) = of_kind(manifests, "Service").values()
    wanted = service["spec"]["selector"].items()
    led_to = {
        name
        for name, deployment in of_kind(manifests, "Deployment").items()
        if wanted <= deployment["spec"]["template"]["metadata"]["labels"].items()
    }
    assert led_to == {"interface"}


def test_the_development_overlay_brings_the_redis_that_its_secret_names(folder: Path) -> None:
    """And a Redis that may evict is refused by every process at its start."""
    manifests = render(folder / "overlays/development")
    (secret,) = of_kind(manifests, "Secret").values()
    assert secret["metadata"]["name"] in {
        volume["secret"]["secretName"]
        for pod in pods(manifests).values()
        for volume in pod.get("volumes", [])
        if "secret" in volume
    }
    (redis,) = pods(manifests)["redis"]["containers"]
    assert "noeviction" in redis["args"]
    assert "redis" in of_kind(manifests, "Service")
