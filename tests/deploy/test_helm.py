"""The chart in `deploy/helm` makes the objects of `deploy/kubernetes`, and its values lead where they say."""

from __future__ import annotations

import copy
import json
import subprocess
from importlib.metadata import version
from typing import Any

import pytest
import yaml

from tests.support.manifests import (
    CHART,
    EVERYTHING,
    REDIS,
    Manifest,
    containers,
    helm,
    of_kind,
    ours,
    pods,
    render,
    render_chart,
    run,
    variables,
)

#: Values that are handed on as they are.
LEAVES = {"/settings", "/interface/resources", "/worker/resources"}


def without_names(pod: Manifest) -> Manifest:
    """A pod as both ways write it: without the names of ConfigMaps and Secrets, which Helm derives from the release."""
    found = copy.deepcopy(pod)
    for volume in found["volumes"]:
        volume.get("secret", {}).pop("secretName", None)
    (container,) = found["containers"]
    del container["envFrom"]
    container.pop("imagePullPolicy", None)
    container["env"] = [each for each in container["env"] if each["name"] != "TOWPATH_GENERATION"]
    for constraint in found["topologySpreadConstraints"]:
        constraint["labelSelector"]["matchLabels"].pop("app.kubernetes.io/instance", None)
    return found


def test_its_pods_are_those_of_the_base() -> None:
    """What one of the two ways gains, the other has to get."""
    base, chart = pods(render("base")), pods(render("helm"))
    for name in ("interface", "worker"):
        assert without_names(chart[name]) == without_names(base[name])


def test_its_settings_are_those_of_the_base() -> None:
    """FORWARDED_ALLOW_IPS among them."""
    (base,) = (each["data"] for name, each in of_kind(render("base"), "ConfigMap").items() if "rollout" not in name)
    (chart,) = of_kind(render("helm"), "ConfigMap").values()
    assert chart["data"] == base


@pytest.mark.parametrize(
    ("source", "overlay"), [("helm hpa", "production"), ("helm keda", "keda"), ("helm channels", "channel-workers")]
)
def test_it_has_an_object_for_each_of_the_overlays(source: str, overlay: str) -> None:
    """By kind; the Secret is brought there, too, and the number of the rollout stands in the Deployment."""
    chart = sorted(each["kind"] for each in render(source))
    kustomize = sorted(each["kind"] for each in render(f"overlays/{overlay}"))
    kustomize.remove("ConfigMap")
    assert chart == kustomize


def test_its_autoscalers_are_those_of_the_components() -> None:
    """But for names, and the namespace, which Helm knows and kustomize does not."""
    for source, overlay in (("helm hpa", "production"), ("helm keda", "keda")):
        for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            chart = [_text(each) for each in of_kind(render(source), kind).values()]
            kustomize = [_text(each) for each in of_kind(render(f"overlays/{overlay}"), kind).values()]
            assert sorted(chart) == sorted(kustomize)


def _text(manifest: Manifest) -> str:
    names = (("shop-towpath-redis", "towpath-redis"), ("shop-towpath-", ""), ('{namespace="shops"}', ""))
    text = yaml.safe_dump(manifest["spec"])
    for theirs, ours_ in names:
        text = text.replace(theirs, ours_)
    return text


def test_values_arrive_as_they_were_written() -> None:
    """Helm reads 2097152 as a fraction, and would hand 2.097152e+06 to the process."""
    manifests = render("helm hpa")
    settings = variables(manifests, ours(manifests)["interface"])
    assert settings["TOWPATH_WS_MAX_SIZE"] == "2097152"
    assert settings["TOWPATH_DRAIN_DELAY"] == "0.5"
    worker = ours(manifests)["worker"]
    assert worker["image"] == "registry.example.com/shop:7"
    assert worker["args"] == ["worker", "shop.asgi", "--threads", "16"]
    assert {"secretRef": {"name": "mail"}} in worker["envFrom"]
    assert "DATABASE_URL" in {each["name"] for each in worker["env"]}
    found = pods(manifests)
    assert found["interface"]["nodeSelector"] == {"pool": "web"}
    assert found["worker"]["tolerations"] == [{"key": "pool", "operator": "Exists"}]
    assert [each["secret"]["secretName"] for each in found["worker"]["volumes"] if "secret" in each] == ["redis"]
    (ingress,) = of_kind(manifests, "Ingress").values()
    assert ingress["spec"]["tls"] == [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}]
    assert ingress["metadata"]["annotations"]["example.com/c"] == "d"
    (policy,) = (each for name, each in of_kind(manifests, "NetworkPolicy").items() if "worker" in name)
    assert policy["spec"]["egress"][-1] == {"ports": [{"protocol": "TCP", "port": 5432}]}


def test_grace_periods_follow_the_graceful_time() -> None:
    """One value, not three that must agree."""
    short, long = pods(render("helm")), pods(render("helm hpa"))
    for name in ("interface", "worker"):
        assert long[name]["terminationGracePeriodSeconds"] == short[name]["terminationGracePeriodSeconds"] + 30


def annotations(values: dict[str, Any], *options: str) -> dict[str, dict[str, str]]:
    """Of the pods of each Deployment."""
    found = of_kind(render_chart(values, *options), "Deployment")
    return {name: each["spec"]["template"]["metadata"]["annotations"] for name, each in found.items()}


def test_other_settings_replace_the_pods() -> None:
    """A ConfigMap that changes under its name is read by no process that runs."""
    before = annotations({"redis": REDIS})
    after = annotations({"redis": REDIS, "settings": {"TOWPATH_WS_MAX_SIZE": "1MiB"}})
    for name in before:
        assert before[name]["checksum/settings"] != after[name]["checksum/settings"]
    assert annotations(dict(EVERYTHING))["shop-towpath-interface"]["example.com/a"] == "b"


@pytest.mark.parametrize(
    ("values", "options", "generation"),
    [
        ({}, (), "worker/1"),
        ({}, ("--is-upgrade",), "worker/1"),
        ({"generation": 1764543210}, (), "worker/1764543210"),
    ],
)
def test_the_generation_is_the_revision_or_what_was_given(
    values: dict[str, Any], options: tuple[str, ...], generation: str
) -> None:
    """`helm template` is always the first revision. P7."""
    manifests = render_chart({"redis": REDIS, **values}, *options)
    assert variables(manifests, ours(manifests)["worker"])["TOWPATH_GENERATION"] == generation


def test_a_url_of_redis_becomes_a_secret_with_what_keda_needs() -> None:
    """Without one no Secret is made, and without either nothing is."""
    values = {"redis": {**REDIS, "address": "redis:6379", "password": "secret"}}
    (secret,) = of_kind(render_chart(values), "Secret").values()
    assert secret["stringData"] == {"url": REDIS["url"], "address": "redis:6379", "password": "secret"}
    assert not of_kind(render("helm hpa"), "Secret")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render_chart({})
    assert "redis.existingSecret" in refused.value.stderr


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"interface": {"replica": 3}}, "replica"),
        ({"settings": {"WS_MAX_SIZE": 1}}, "WS_MAX_SIZE"),
        ({"worker": {"autoscaling": {"by": "cpu"}}}, "/worker/autoscaling/by"),
        ({"generation": "web/7"}, "/generation"),
    ],
)
def test_a_value_that_is_misspelt_is_refused_by_its_name(values: dict[str, Any], named: str) -> None:
    """Helm itself ignores a value that no template reads."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render_chart({"redis": REDIS, **values})
    assert named in refused.value.stderr


def test_every_value_has_its_place_in_the_schema() -> None:
    """And the other way round."""

    def places(schema: dict[str, Any], path: str = "") -> set[str]:
        inner = schema.get("properties", {})
        return {f"{path}/{name}" for name in inner}.union(
            *(places(each, f"{path}/{name}") for name, each in inner.items())
        )

    def names(values: dict[str, Any], path: str = "") -> set[str]:
        found = set()
        for name, value in values.items():
            found.add(f"{path}/{name}")
            if isinstance(value, dict) and value and f"{path}/{name}" not in LEAVES:
                found |= names(value, f"{path}/{name}")
        return found

    schema = json.loads((CHART / "values.schema.json").read_text())
    assert places(schema) - {"/global"} == names(yaml.safe_load((CHART / "values.yaml").read_text()))


def test_a_release_of_any_name_finds_its_own_pods() -> None:
    """Two releases in a namespace share neither names nor labels."""
    manifests = render("helm")
    assert {name for each in ("Deployment", "Service") for name in of_kind(manifests, each)} == {
        "shop-towpath", "shop-towpath-interface", "shop-towpath-worker",
    }  # fmt: skip
    for deployment in of_kind(manifests, "Deployment").values():
        assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "shop"


def test_helm_finds_nothing_to_say_and_the_version_is_ours() -> None:
    """The tag of the image is the version of Towpath unless another one is given."""
    said = run(helm(), "lint", "--strict", str(CHART), "--set", "redis.url=redis://redis:6379/0")
    assert "0 chart(s) failed" in said
    tags = {each["image"].rpartition(":")[2] for name in ("base", "helm") for each in containers(render(name)).values()}
    assert tags == {version("towpath")}
