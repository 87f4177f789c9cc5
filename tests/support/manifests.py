"""The objects that `deploy/kubernetes` and `deploy/helm` become: each overlay as kubectl renders it, each set of values as helm does.

A *source* is the name of an overlay, or `helm …`. The tests of tests/deploy ask the same of all of them.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
CHART: Final = ROOT / "deploy" / "helm" / "towpath"
#: Where `make helm` puts what Debian has no package of.
TOOLS: Final = ROOT / "build" / "kubernetes"

Manifest = dict[str, Any]

OVERLAYS: Final = ("base", "overlays/development", "overlays/production", "overlays/keda", "overlays/channel-workers")
REDIS: Final = {"url": "redis://redis.example.com:6379/0"}
EVERYTHING: Final[Mapping[str, Any]] = {
    "image": {"repository": "registry.example.com/shop", "tag": "7"},
    "app": "shop.asgi",
    "settings": {"TOWPATH_WS_MAX_SIZE": 2097152, "TOWPATH_TIMEOUT_GRACEFUL_SHUTDOWN": 60, "TOWPATH_DRAIN_DELAY": 0.5},
    "redis": {"existingSecret": "redis"},
    "interface": {
        "autoscaling": {"enabled": True},
        "podAnnotations": {"example.com/a": "b"},
        "nodeSelector": {"pool": "web"},
    },
    "worker": {
        "args": ["--threads", "16"],
        "env": [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "database", "key": "url"}}}],
        "envFrom": [{"secretRef": {"name": "mail"}}],
        "tolerations": [{"key": "pool", "operator": "Exists"}],
    },
    "ingress": {
        "enabled": True,
        "host": "shop.example.com",
        "tlsSecret": "shop-tls",
        "annotations": {"example.com/c": "d"},
    },
    "networkPolicy": {"enabled": True, "workerEgress": [{"ports": [{"protocol": "TCP", "port": 5432}]}]},
}


def with_autoscaler(kind: str) -> dict[str, Any]:
    """EVERYTHING, and an autoscaler of this kind for the workers."""
    return {**EVERYTHING, "worker": {**EVERYTHING["worker"], "autoscaling": {"by": kind}}}


CHANNEL_WORKERS: Final[Mapping[str, Any]] = {
    "redis": {"existingSecret": "redis"},
    "networkPolicy": {"enabled": True},
    "channelWorkers": [
        {"name": "worker", "app": "shop.background:application", "channels": ["thumbnails"], "autoscaling": {"minReplicas": 2}},
    ],
}  # fmt: skip

HELM_VALUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "helm": {"redis": REDIS},
    "helm hpa": with_autoscaler("hpa"),
    "helm keda": with_autoscaler("keda"),
    "helm channels": CHANNEL_WORKERS,
}
SOURCES: Final = (*OVERLAYS, *HELM_VALUES)
#: Kinds that Kubernetes itself does not know.
OF_KEDA: Final = frozenset({"ScaledObject", "TriggerAuthentication"})


def kubectl() -> str:
    """The path of kubectl, with a kustomize that knows components (1.21 or later). Skips the test if there is none."""
    return _tool("kubectl")


def helm() -> str:
    """The path of helm. Skips the test if there is none."""
    return _tool("helm")


def _tool(name: str) -> str:
    brought = TOOLS / name / name
    found = str(brought) if os.access(brought, os.X_OK) else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (`make helm`)")
    return found


def run(*command: str) -> str:
    """What the command has printed. Raises CalledProcessError."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@functools.cache
def render(source: str) -> list[Manifest]:
    """All objects of one source. Do not change them."""
    if source in HELM_VALUES:
        return render_chart(HELM_VALUES[source])
    return list(yaml.safe_load_all(run(kubectl(), "kustomize", str(KUBERNETES / source))))


def render_chart(values: Mapping[str, Any], *options: str) -> list[Manifest]:
    """All objects of the chart with these values. Raises CalledProcessError."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        text = run(helm(), "template", "shop", str(CHART), "--values", file.name, "--namespace", "shops", *options)
    return [each for each in yaml.safe_load_all(text) if each is not None]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """The objects of this kind by their names."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The specification of the pods of each Deployment by the name of its first container: interface, worker, redis."""
    found = [each["spec"]["template"]["spec"] for each in of_kind(manifests, "Deployment").values()]
    return {spec["containers"][0]["name"]: spec for spec in found}


def containers(manifests: list[Manifest]) -> dict[str, Manifest]:
    """All containers by their names."""
    return {each["name"]: each for pod in pods(manifests).values() for each in pod["containers"]}


def ours(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The containers that run a command of Towpath."""
    return {name: each for name, each in containers(manifests).items() if name != "redis"}


def command_of(container: Manifest) -> str:
    """The command of Towpath that a container runs: interface or worker."""
    return str(container["args"][0])


def variables(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    """The environment of a container: that of its ConfigMaps first, then its own."""
    maps = of_kind(manifests, "ConfigMap")
    named = [each["configMapRef"]["name"] for each in container.get("envFrom", []) if "configMapRef" in each]
    own = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
    return {name: value for found in named for name, value in maps[found]["data"].items()} | own


def selected(manifests: list[Manifest], labels: Mapping[str, str]) -> dict[str, Manifest]:
    """The containers, by their names, of all pods that have these labels."""
    found = {}
    for deployment in of_kind(manifests, "Deployment").values():
        template = deployment["spec"]["template"]
        if labels.items() <= template["metadata"]["labels"].items():
            found.update({each["name"]: each for each in template["spec"]["containers"]})
    return found


def port_numbers(container: Manifest) -> dict[str, int]:
    """The ports of a container by their names."""
    return {each["name"]: each["containerPort"] for each in container.get("ports", [])}
