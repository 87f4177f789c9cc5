"""Each command, option, variable, port and name that the manifests use is one that exists."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from channel_layer.messaging.generations import parse
from interface_server.settings import InterfaceSettings
from tests.support.manifests import (
    ROOT,
    SOURCES,
    Manifest,
    command_of,
    containers,
    of_kind,
    ours,
    port_numbers,
    render,
    selected,
    variables,
)
from towpath.commands.processes import towpath
from towpath.config.options import ROWS

OPTIONS = {name: row for row in ROWS for name in (row.env, *row.also_env)}


@pytest.mark.parametrize("source", SOURCES)
def test_every_variable_is_an_option_of_a_process(source: str) -> None:
    """An unknown variable is ignored, so a misspelt one would never be noticed."""
    manifests = render(source)
    for container in ours(manifests).values():
        for variable in variables(manifests, container):
            assert variable in OPTIONS, variable
        # Those of the Deployment alone, of this very command; the ConfigMap is shared.
        for each in container["env"]:
            known = OPTIONS.get(each["name"])
            assert each["name"] == "DATABASE_URL" or (known and command_of(container) in known.commands), each["name"]


@pytest.mark.parametrize("source", SOURCES)
def test_the_program_understands_what_it_is_started_with(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command, options, variables and their values, as the command line itself reads them."""
    manifests = render(source)
    for name, container in ours(manifests).items():
        command, *arguments = container["args"]
        assert command == ("interface" if name == "interface" else "worker")
        with monkeypatch.context() as environment:
            for variable, value in variables(manifests, container).items():
                environment.setenv(variable, value)
            context = towpath.commands[command].make_context(command, list(arguments))
        graceful_s = float(variables(manifests, container)["TOWPATH_TIMEOUT_GRACEFUL_SHUTDOWN"])
        assert context.params["timeout_graceful_shutdown"] == graceful_s
        assert context.params["redis_url_file"] == "file:///run/secrets/towpath-redis/url"


def test_a_misspelt_option_would_be_found() -> None:
    """The test above sees what a person would have overlooked."""
    with pytest.raises(click.UsageError):
        towpath.commands["interface"].make_context("interface", ["--hosts", "::"])


@pytest.mark.parametrize("source", SOURCES)
def test_workers_have_a_generation_that_can_rise(source: str) -> None:
    """P7. A worker with a generation that is none does not start."""
    manifests = render(source)
    fleet, number = parse(variables(manifests, ours(manifests)["worker"])["TOWPATH_GENERATION"])
    assert fleet == "worker"
    assert number > 0
    assert "TOWPATH_GENERATION" not in variables(manifests, ours(manifests)["interface"])


@pytest.mark.parametrize("source", SOURCES)
def test_every_port_has_a_listener(source: str) -> None:
    """By number where the process is told, by name elsewhere."""
    manifests = render(source)
    interface = ours(manifests)["interface"]
    args = interface["args"]
    assert port_numbers(interface)["http"] == int(args[args.index("--port") + 1])
    for container in ours(manifests).values():
        assert port_numbers(container)["admin"] == int(variables(manifests, container)["TOWPATH_ADMIN_PORT"])
        assert variables(manifests, container)["TOWPATH_ADMIN_HOST"] == "::"
    for name, container in containers(manifests).items():
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if port := container.get(probe, {}).get("httpGet", {}).get("port"):
                assert port in port_numbers(container), (name, probe)
    for service in of_kind(manifests, "Service").values():
        for container in _selected(manifests, service["spec"]["selector"]):
            assert all(port["targetPort"] in port_numbers(container) for port in service["spec"]["ports"])
    for policy in of_kind(manifests, "NetworkPolicy").values():
        for container in _selected(manifests, policy["spec"]["podSelector"]["matchLabels"]):
            ports = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
            assert set(ports) <= port_numbers(container).keys()


def _selected(manifests: list[Manifest], labels: dict[str, str]) -> list[Manifest]:
    found = list(selected(manifests, labels).values())
    assert found, labels
    return found


@pytest.mark.parametrize("source", ["overlays/production", "overlays/keda", "helm hpa"])
def test_the_ingress_leads_to_the_service_and_waits_for_as_long_as_we_do(source: str) -> None:
    """A shorter timeout gives up requests that wait for a worker, and WebSockets between two pings."""
    manifests = render(source)
    ((name, ingress),) = of_kind(manifests, "Ingress").items()
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    backend = path["backend"]["service"]
    ports = of_kind(manifests, "Service")[backend["name"]]["spec"]["ports"]
    assert backend["port"]["name"] in {port["name"] for port in ports}
    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.org/websocket-services"] == backend["name"]
    timeouts = {key: value for key, value in annotations.items() if key.endswith("-timeout")}
    assert len(timeouts) == 4, name
    settings = InterfaceSettings()
    for value in timeouts.values():
        assert int(value.removesuffix("s")) > settings.redis.queue_wait_s + settings.ws_ping_interval_s


@pytest.mark.parametrize("source", ["overlays/production", "overlays/keda", "helm hpa"])
def test_only_interface_servers_are_reached_and_both_kinds_reach_redis_and_dns(source: str) -> None:
    """What an application needs beyond that is a rule more."""
    manifests = render(source)
    policies = {
        next(iter(selected(manifests, each["spec"]["podSelector"]["matchLabels"]))): each["spec"]
        for each in of_kind(manifests, "NetworkPolicy").values()
    }
    assert policies.keys() == {"interface", "worker"}
    admin = {"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": "admin"}]}
    assert policies["interface"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": "http"}]}, admin]
    assert policies["worker"]["ingress"] == [admin]
    for policy in policies.values():
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        ports = [(port["protocol"], port["port"]) for rule in policy["egress"] for port in rule["ports"]]
        assert {("UDP", 53), ("TCP", 53), ("TCP", 6379)} <= {*ports}


def test_the_image_is_the_one_that_the_dockerfile_makes() -> None:
    """It runs as the user that the pods name, and has the application that the base starts and the library of the admin port."""
    dockerfile = Path(ROOT, "deploy", "Dockerfile").read_text()
    for source in SOURCES:
        for pod in of_kind(render(source), "Deployment").values():
            security = pod["spec"]["template"]["spec"]["securityContext"]
            if "redis" not in pod["metadata"]["name"]:
                assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in dockerfile
    installed = [dockerfile, *(path.read_text() for path in Path(ROOT, "deploy").glob("requirements*"))]
    assert any("[metrics]" in text or "prometheus-client" in text for text in installed)
    assert "COPY examples/chat /srv/examples/chat" in dockerfile
