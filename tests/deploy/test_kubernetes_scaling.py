"""The autoscalers of the manifests: what they scale, by what, and that only one of them decides.

KEDA's objects have no schema in `kubernetes-validate`. The fields below are those of KEDA's reference for ScaledObject, for
TriggerAuthentication, and for the triggers `cpu`, `redis-streams` and `prometheus` (2.11 to 2.21).
"""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.admin.metrics import METRICS
from channel_layer.protocol.keys import CHANNEL_OF_KIND, Keys
from channel_layer.settings import PREFIX
from tests.support.manifests import SOURCES, Manifest, containers, of_kind, render

SPEC_FIELDS = {
    "scaleTargetRef", "pollingInterval", "initialCooldownPeriod", "cooldownPeriod", "idleReplicaCount", "minReplicaCount",
    "maxReplicaCount", "fallback", "advanced", "triggers",
}  # fmt: skip
TRIGGER_FIELDS = {"type", "name", "useCachedMetrics", "metadata", "authenticationRef", "metricType"}
#: Of each type: the fields that must be there, and those that may be.
TRIGGER_METADATA = {
    "cpu": ({"value"}, {"containerName"}),
    "redis-streams": (
        {"stream", "streamLength"},  # without consumerGroup: by length
        {"address", "host", "port", "databaseIndex", "enableTLS", "unsafeSsl", "activationLagCount"},
    ),
    "prometheus": (
        {"serverAddress", "query", "threshold"},
        {"activationThreshold", "namespace", "ignoreNullValues", "unsafeSsl", "authModes", "timeout"},
    ),
}
AUTHENTICATION = {"address", "username", "password"}
KEDA_SOURCES = ("overlays/keda", "helm keda")
AGE = "towpath_queue_age_seconds"


def scalers(manifests: list[Manifest]) -> dict[str, tuple[int, int, Manifest]]:
    """The least and the most pods of each Deployment that is scaled, and how quickly."""
    found = {}
    for hpa in (each["spec"] for each in of_kind(manifests, "HorizontalPodAutoscaler").values()):
        assert hpa["scaleTargetRef"]["name"] not in found
        found[hpa["scaleTargetRef"]["name"]] = (hpa["minReplicas"], hpa["maxReplicas"], hpa["behavior"])
    for scaled in (each["spec"] for each in of_kind(manifests, "ScaledObject").values()):
        assert scaled["scaleTargetRef"]["name"] not in found, "two autoscalers of one Deployment"
        behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        found[scaled["scaleTargetRef"]["name"]] = (scaled["minReplicaCount"], scaled["maxReplicaCount"], behavior)
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_the_number_of_pods_has_one_owner(source: str) -> None:
    """With `replicas` in the manifest each deploy would set back what an autoscaler has decided."""
    manifests = render(source)
    scaled = scalers(manifests)
    deployments = of_kind(manifests, "Deployment")
    assert scaled.keys() <= deployments.keys()
    for name, deployment in deployments.items():
        assert ("replicas" in deployment["spec"]) is (name not in scaled), name
        if name in scaled:
            least, most, _ = scaled[name]
            assert 2 <= least < most  # one of two can be replaced while the other serves


@pytest.mark.parametrize("source", SOURCES)
def test_pods_leave_one_by_one_and_no_faster_than_they_drain(source: str) -> None:
    """Each that leaves closes or hands over its sockets; the next leaves when that is done."""
    manifests = render(source)
    for name, (_, _, behavior) in scalers(manifests).items():
        (policy,) = behavior["scaleDown"]["policies"]
        assert (policy["type"], policy["value"]) == ("Pods", 1)
        template = of_kind(manifests, "Deployment")[name]["spec"]["template"]["spec"]
        assert policy["periodSeconds"] >= min(60, template["terminationGracePeriodSeconds"])
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 300


@pytest.mark.parametrize("source", SOURCES)
def test_cpu_is_measured_against_a_core_and_is_requested(source: str) -> None:
    """A process uses one core. A share of a request of 250m would start more of them when it is nearly idle."""
    manifests = render(source)
    targets = [
        metric["resource"]["target"]
        for each in of_kind(manifests, "HorizontalPodAutoscaler").values()
        for metric in each["spec"]["metrics"]
        if metric["type"] == "Resource"
    ]
    assert all(each == {"type": "AverageValue", "averageValue": "700m"} for each in targets)
    assert all("cpu" in each["resources"]["requests"] for each in containers(manifests).values())


@pytest.mark.parametrize("source", ["overlays/production", "helm hpa"])
def test_workers_are_scaled_by_the_age_of_the_queue(source: str) -> None:
    """As an external metric, for the whole queue: `Value`, however many workers there are."""
    assert AGE in {metric.name for metric in METRICS}
    (spec,) = (
        each["spec"] for name, each in of_kind(render(source), "HorizontalPodAutoscaler").items() if "worker" in name
    )
    external = [each["external"] for each in spec["metrics"] if each["type"] == "External"]
    assert external == [{"metric": {"name": AGE}, "target": {"type": "Value", "value": "500m"}}]


@pytest.mark.parametrize("source", KEDA_SOURCES)
def test_keda_is_asked_for_what_it_knows(source: str) -> None:
    """KEDA passes over a field that it does not know, and a trigger without one that it needs stops the autoscaler."""
    ((name, scaled),) = of_kind(render(source), "ScaledObject").items()
    assert scaled["apiVersion"] == "keda.sh/v1alpha1", name
    assert scaled["spec"].keys() <= SPEC_FIELDS
    assert scaled["spec"]["minReplicaCount"] >= 1  # `cpu` cannot start the first one
    for trigger in scaled["spec"]["triggers"]:
        needed, known = TRIGGER_METADATA[trigger["type"]]
        assert trigger.keys() <= TRIGGER_FIELDS
        assert needed <= trigger["metadata"].keys() <= needed | known
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        assert trigger["metricType"] == ("AverageValue" if trigger["type"] == "cpu" else "Value")


@pytest.mark.parametrize("source", KEDA_SOURCES)
def test_keda_looks_at_the_streams_in_which_connections_wait(source: str) -> None:
    """Those of PROTOCOL.md, of the default prefix, and at the same queue by its age."""
    triggers = _triggers(source)
    streams = {each["metadata"]["stream"] for each in triggers["redis-streams"]}
    assert streams == {Keys(PREFIX).channel(name) for name in CHANNEL_OF_KIND.values()}
    (prometheus,) = triggers["prometheus"]
    assert AGE in prometheus["metadata"]["query"]
    assert float(prometheus["metadata"]["threshold"]) == 0.5
    assert len(triggers["cpu"]) == 1


@pytest.mark.parametrize("source", KEDA_SOURCES)
def test_keda_finds_redis_in_the_secret_of_the_deployment(source: str) -> None:
    """It cannot read the URL, so its parts stand beside it, in the same Secret."""
    manifests = render(source)
    ((name, found),) = of_kind(manifests, "TriggerAuthentication").items()
    references = found["spec"]["secretTargetRef"]
    assert {each["parameter"] for each in references} == AUTHENTICATION
    pod = of_kind(manifests, "Deployment")[next(each for each in of_kind(manifests, "Deployment") if "worker" in each)]
    secrets = [each["secret"]["secretName"] for each in pod["spec"]["template"]["spec"]["volumes"] if "secret" in each]
    assert {each["name"] for each in references} == {*secrets}
    assert {each["authenticationRef"]["name"] for each in _triggers(source)["redis-streams"]} == {name}


def _triggers(source: str) -> dict[str, list[dict[str, Any]]]:
    (scaled,) = of_kind(render(source), "ScaledObject").values()
    found: dict[str, list[dict[str, Any]]] = {}
    for trigger in scaled["spec"]["triggers"]:
        found.setdefault(trigger["type"], []).append(trigger)
    return found
