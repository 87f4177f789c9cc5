"""`docker-compose.yml` without an engine: what it uses of `towpath` is there, and it fits the drain. deploy/test_compose.py runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.serving import environment
from towpath.config.options import ROWS

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
#: What a forced exit takes after the graceful time, and the engine until it has sent the signal.
MARGIN_S = 5


@pytest.mark.parametrize("service", OURS)
def test_each_command_option_and_variable_exists(service: str) -> None:
    """A flag that was renamed would be found out by the next `docker compose up`."""
    command, *words = OURS[service]["command"]
    assert command == service
    rows = [row for row in ROWS if command in row.commands]
    assert {word for word in words if word.startswith("-")} <= {flag for row in rows for flag in row.flags.split("/")}
    known = {"TOWPATH_APP", *(name for row in ROWS for name in (row.env, *row.also_env))}
    assert OURS[service]["environment"].keys() <= known


@pytest.mark.parametrize("service", OURS)
def test_a_container_has_more_time_to_leave_than_its_process_takes(service: str) -> None:
    """P7. The engine kills what has not left by then."""
    graceful_s = int(OURS[service]["environment"]["TOWPATH_TIMEOUT_GRACEFUL_SHUTDOWN"])
    assert int(OURS[service]["stop_grace_period"].removesuffix("s")) >= graceful_s + MARGIN_S


def test_each_service_is_restarted_and_can_write_nowhere() -> None:
    """Ours have no rights beside that, and are those of the user that the image names."""
    assert set(SERVICES) == {"redis", "interface", "worker"}
    for service in SERVICES.values():
        assert service["restart"] == "unless-stopped" and service["read_only"] is True and "healthcheck" in service
    for service in OURS.values():
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r"^USER (\d+):\d+$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)


@pytest.mark.skipif(
    shutil.which("docker-compose") is None,
    reason="docker-compose is not installed (Debian: apt install docker-compose)",
)
def test_compose_takes_the_file_with_and_without_an_application_of_ones_own() -> None:
    """The one that is installed; OPERATIONS.md says which ones there are."""
    for variables in ({}, {"TOWPATH_IMAGE": "mysite", "TOWPATH_APP": "mysite.asgi", "TOWPATH_COMPILE": "0"}):
        done = subprocess.run(
            ["docker-compose", "--file", ROOT / "docker-compose.yml", "config"],
            env=environment(variables), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip  # one call
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        shown = yaml.safe_load(done.stdout)["services"]["worker"]
        assert shown["image"] == variables.get("TOWPATH_IMAGE", "towpath")
        assert shown["environment"]["TOWPATH_APP"] == variables.get("TOWPATH_APP", "examples.chat.app:application")
