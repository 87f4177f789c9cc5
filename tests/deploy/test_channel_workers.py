"""Background workers on Kubernetes: each Deployment of them is one of workers in all but what it receives from."""

from __future__ import annotations

import copy
import subprocess
from typing import Any

import pytest

from channel_layer.protocol.keys import Keys
from channel_layer.settings import PREFIX
from tests.support.manifests import (
    CHANNEL_WORKERS,
    REDIS,
    Manifest,
    of_kind,
    pods,
    render,
    render_chart,
    selected,
    variables,
)

SOURCES = ("overlays/channel-workers", "helm channels")
NAME = "channel-worker"


def deployment_of(manifests: list[Manifest], container: str) -> tuple[str, Manifest]:
    """The name and the specification of the Deployment of this container."""
    (found,) = (
        (name, each["spec"])
        for name, each in of_kind(manifests, "Deployment").items()
        if each["spec"]["template"]["spec"]["containers"][0]["name"] == container
    )
    return found


@pytest.mark.parametrize("source", ["base", "overlays/production", "helm"])
def test_there_are_none_unless_they_are_asked_for(source: str) -> None:
    """Not every application has background work."""
    assert "channel" not in " ".join(of_kind(render(source), "Deployment"))


@pytest.mark.parametrize("source", SOURCES)
def test_their_pods_are_those_of_workers_but_for_what_they_run(source: str) -> None:
    """Probes, rights, mounts, resources and grace period: what workers gain, these have to get."""
    manifests = render(source)
    found = copy.deepcopy(pods(manifests))
    for pod in (found["worker"], found[NAME]):
        (container,) = pod["containers"]
        for own in ("name", "args", "env", "envFrom"):
            del container[own]
        for constraint in pod["topologySpreadConstraints"]:
            del constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/component"]
    assert found[NAME] == found["worker"]
    _, worker = deployment_of(manifests, "worker")
    _, channel = deployment_of(manifests, NAME)
    assert channel["strategy"] == worker["strategy"]
    assert channel["minReadySeconds"] == worker["minReadySeconds"]


@pytest.mark.parametrize("source", SOURCES)
def test_they_receive_from_their_channels_and_have_no_generation(source: str) -> None:
    """P7. Workers with connections leave them to a newer generation: to one that takes none they would wait for nothing."""
    manifests = render(source)
    (container,) = pods(manifests)[NAME]["containers"]
    assert container["args"] == ["worker", "shop.background:application", "--channel", "thumbnails"]
    assert "TOWPATH_GENERATION" not in variables(manifests, container)


@pytest.mark.parametrize("source", SOURCES)
def test_they_have_a_network_policy_of_workers(source: str) -> None:
    """Nobody connects to them but for their metrics."""
    manifests = render(source)
    policies = {
        next(iter(selected(manifests, each["spec"]["podSelector"]["matchLabels"]))): each["spec"]
        for each in of_kind(manifests, "NetworkPolicy").values()
    }
    for part in ("policyTypes", "ingress", "egress"):
        assert policies[NAME][part] == policies["worker"][part]


@pytest.mark.parametrize("source", SOURCES)
def test_keda_scales_them_by_what_waits_in_the_channel_that_they_receive_from(source: str) -> None:
    """By the stream of PROTOCOL.md, with the Secret of the deployment."""
    manifests = render(source)
    ((_, scaled),) = of_kind(manifests, "ScaledObject").items()
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment_of(manifests, NAME)[0]
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["type"] == "redis-streams" and trigger["metricType"] == "Value"
    assert trigger["metadata"] == {"stream": Keys(PREFIX).channel("thumbnails"), "streamLength": "20"}
    ((name, authentication),) = of_kind(manifests, "TriggerAuthentication").items()
    assert trigger["authenticationRef"] == {"name": name}
    secrets = {each["secret"]["secretName"] for each in pods(manifests)[NAME]["volumes"] if "secret" in each}
    assert {each["name"] for each in authentication["spec"]["secretTargetRef"]} == secrets


def test_the_chart_has_a_deployment_for_each_of_the_list() -> None:
    """Each with pods, channels, replicas and resources of its own."""
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    workers = [
        {"name": "mail", "channels": ["email.*", "news"], "replicas": 0, "args": ["--channel-retries", "3"]},
        {"name": "thumbnails", "channels": ["thumbnails"], "app": "shop.images", "resources": resources},
    ]
    manifests = render_chart({"redis": REDIS, "app": "shop.asgi", "channelWorkers": workers})
    mail, thumbnails = (deployment_of(manifests, f"channel-{name}")[1] for name in ("mail", "thumbnails"))
    assert (mail["replicas"], thumbnails["replicas"]) == (0, 2)
    assert mail["selector"] != thumbnails["selector"]
    (of_mail,), (of_thumbnails,) = (each["template"]["spec"]["containers"] for each in (mail, thumbnails))
    assert of_mail["args"] == [
        "worker", "shop.asgi", "--channel", "email.*", "--channel", "news", "--channel-retries", "3",
    ]  # fmt: skip
    assert of_thumbnails["args"][1] == "shop.images"
    assert of_thumbnails["resources"] == resources
    assert len(of_kind(manifests, "PodDisruptionBudget")) == 4


@pytest.mark.parametrize(
    ("worker", "named"),
    [
        ({"name": "mail"}, "channels"),
        ({"name": "Mail", "channels": ["mail"]}, "name"),
        ({"name": "mail", "channels": ["mail"], "replica": 3}, "replica"),
        ({"name": "mail", "channels": ["email.*"], "autoscaling": {"minReplicas": 2}}, "email.*"),
    ],
)
def test_what_could_not_run_is_refused_by_its_name(worker: dict[str, Any], named: str) -> None:
    """KEDA reads the length of one stream, and a pattern is the name of none."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render_chart({**CHANNEL_WORKERS, "channelWorkers": [worker]})
    assert named in refused.value.stderr
