"""What `deploy/kubernetes` and `deploy/helm` render to is something that a cluster takes, and that keeps what OPERATIONS.md says of a
graceful end.

Rendered by kubectl and helm, checked against the schemas of the package `kubernetes-validate`.
"""

from __future__ import annotations

import warnings

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from channel_layer.admin.admin import LIVE_PATH, METRICS_PATH, READY_PATH
from interface_server.http.proxy_headers import TrustedPeers
from tests.support.manifests import (
    KUBERNETES,
    OF_KEDA,
    SOURCES,
    containers,
    of_kind,
    ours,
    pods,
    port_numbers,
    render,
    selected,
    variables,
)
from worker.settings import WorkerSettings

#: The oldest that OPERATIONS.md names, and the newest that is known.
VERSIONS = ["1.25", kubernetes_validate.latest_version()]
#: A worker exits by force so much later (worker/lifecycle/shutdown_deadline.py), and a pod has to be removed.
MARGIN_S = 5


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_manifest_is_one_that_kubernetes_takes(source: str, version: str) -> None:
    """Strictly: a misspelt field is refused here, and not silently dropped by a cluster."""
    manifests = render(source)
    assert {"interface", "worker"} <= pods(manifests).keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for manifest in manifests:
            if manifest["kind"] not in OF_KEDA:
                kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("source", SOURCES)
def test_the_url_of_redis_is_a_file_of_a_secret(source: str) -> None:
    """P9. A variable would keep a password until the pod is replaced."""
    manifests = render(source)
    secrets = of_kind(manifests, "Secret")
    for pod in (pods(manifests)[name] for name in ours(manifests)):
        (container,) = pod["containers"]
        path = variables(manifests, container)["TOWPATH_REDIS_URL_FILE"]
        (mounted,) = (each for each in container["volumeMounts"] if path == f"{each['mountPath']}/url")
        (volume,) = (each["secret"] for each in pod["volumes"] if each["name"] == mounted["name"])
        if secrets:  # else it is brought
            secret = secrets[volume["secretName"]]
            assert "url" in secret.get("data", secret.get("stringData"))


@pytest.mark.parametrize("source", SOURCES)
def test_a_pod_has_more_time_to_leave_than_its_process_takes(source: str) -> None:
    """The graceful timeout and what comes before the signal fit into the grace period, or exchanges are cut at its end."""
    manifests = render(source)
    for name, container in ours(manifests).items():
        graceful_s = int(variables(manifests, container)["TOWPATH_TIMEOUT_GRACEFUL_SHUTDOWN"])
        before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        assert before[0] == "sleep", name
        assert pods(manifests)[name]["terminationGracePeriodSeconds"] >= graceful_s + int(before[1]) + MARGIN_S, name


@pytest.mark.parametrize("source", SOURCES)
def test_every_container_is_bounded_and_not_root(source: str) -> None:
    """A container that asks for nothing is placed anywhere; one without a limit takes its neighbours' memory."""
    for pod in pods(render(source)).values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
    for name, container in containers(render(source)).items():
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name


@pytest.mark.parametrize("source", SOURCES)
def test_no_pod_gets_the_variables_of_services(source: str) -> None:
    """The Service of the base is called `towpath`: its TOWPATH_PORT would stand where our option looks."""
    assert all(pod["enableServiceLinks"] is False for pod in pods(render(source)).values())


@pytest.mark.parametrize("source", SOURCES)
def test_the_probes_ask_at_the_admin_port_where_the_process_answers(source: str) -> None:
    """Live must not depend on Redis, ready must: a Redis that is away takes pods out of the service and restarts none."""
    for container in ours(render(source)).values():
        assert container["livenessProbe"]["httpGet"] == {"path": LIVE_PATH, "port": "admin"}
        assert container["readinessProbe"]["httpGet"] == {"path": READY_PATH, "port": "admin"}


@pytest.mark.parametrize("source", SOURCES)
def test_a_worker_that_is_stuck_has_its_own_time(source: str) -> None:
    """It ends itself after --worker-timeout, and says why. The probe is for one that cannot, and never earlier."""
    probe = ours(render(source))["worker"]["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= WorkerSettings().stuck_s_max


@pytest.mark.parametrize("source", SOURCES)
def test_prometheus_finds_the_metrics_of_each_pod(source: str) -> None:
    """By the annotations that most configurations of Prometheus read; the Service leads to clients' ports alone."""
    manifests = render(source)
    for name, deployment in of_kind(manifests, "Deployment").items():
        if "redis" in name:
            continue
        template = deployment["spec"]["template"]
        (container,) = template["spec"]["containers"]
        annotations = template["metadata"]["annotations"]
        assert annotations["prometheus.io/scrape"] == "true"
        assert annotations["prometheus.io/path"] == METRICS_PATH
        assert int(annotations["prometheus.io/port"]) == port_numbers(container)["admin"]
    for service in of_kind(manifests, "Service").values():
        assert "admin" not in {port["targetPort"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize(("peer", "believed"), [("10.244.1.7", True), ("fd00:10::7", True), ("203.0.113.9", False)])
@pytest.mark.parametrize("source", SOURCES)
def test_an_ingress_controller_is_believed_and_nobody_outside_of_the_cluster(
    source: str, peer: str, believed: bool
) -> None:
    """Else every application behind an Ingress sees http, and the controller for its client."""
    manifests = render(source)
    trusted = variables(manifests, ours(manifests)["interface"])["FORWARDED_ALLOW_IPS"]
    assert TrustedPeers(trusted).trusts(peer) is believed


def test_compose_hands_on_whose_word_about_the_client_is_believed() -> None:
    """Nobody's, unless it is said: a published port may be reached by strangers under the address of the gateway."""
    services = yaml.safe_load((KUBERNETES.parents[1] / "docker-compose.yml").read_text())["services"]
    assert services["interface"]["environment"]["FORWARDED_ALLOW_IPS"] == "${FORWARDED_ALLOW_IPS:-127.0.0.1}"


@pytest.mark.parametrize("source", SOURCES)
def test_clusters_of_each_family_reach_the_interface_servers(source: str) -> None:
    """With IPv6 alone, a probe of `0.0.0.0` finds no listener; a Service is of one family unless it prefers both."""
    manifests = render(source)
    args = ours(manifests)["interface"]["args"]
    assert args[args.index("--host") + 1] == "::"
    for service in of_kind(manifests, "Service").values():
        assert service["spec"]["ipFamilyPolicy"] == "PreferDualStack"


@pytest.mark.parametrize("source", SOURCES)
def test_the_service_leads_to_the_interface_servers_alone(source: str) -> None:
    """Nobody connects to a worker."""
    manifests = render(source)
    (service,) = (each for name, each in of_kind(manifests, "Service").items() if "towpath" in name)
    assert selected(manifests, service["spec"]["selector"]).keys() == {"interface"}


@pytest.mark.parametrize("source", SOURCES)
def test_a_node_can_be_drained_and_pods_leave_it_one_by_one(source: str) -> None:
    """`minAvailable: 1` would hold a node up for ever where there is one pod, and lose nine of ten at once."""
    manifests = render(source)
    budgets = of_kind(manifests, "PodDisruptionBudget").values()
    assert all(each["spec"]["maxUnavailable"] == 1 for each in budgets)
    covered = [selected(manifests, each["spec"]["selector"]["matchLabels"]) for each in budgets]
    assert sorted(name for each in covered for name in each) == sorted(ours(manifests))


@pytest.mark.parametrize("source", SOURCES)
def test_a_rollout_starts_a_pod_before_it_stops_one(source: str) -> None:
    """P7. There are never fewer workers than before."""
    for name, deployment in of_kind(render(source), "Deployment").items():
        if "redis" not in name:
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_development_overlay_brings_the_redis_that_its_secret_names() -> None:
    """And a Redis that may evict is refused by every process at its start."""
    manifests = render("overlays/development")
    (secret,) = of_kind(manifests, "Secret").values()
    assert secret["metadata"]["name"] in {
        volume["secret"]["secretName"]
        for pod in pods(manifests).values()
        for volume in pod.get("volumes", [])
        if "secret" in volume
    }
    assert "noeviction" in containers(manifests)["redis"]["args"]
    assert "redis" in of_kind(manifests, "Service")
