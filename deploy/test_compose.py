"""`docker-compose.yml` as an operator uses it: up, a talk between containers, four workers, down without a kill.

Not among the tests of `make test`: it needs a Docker engine, and builds an image.  Run: pytest deploy/test_compose.py
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.serving import free_port, wait_until

PROJECT = Path(__file__).parents[1]
START_DEADLINE_S = 90.0


class Compose:
    """One run of the compose file, under a name and a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.name = f"towpath-test-{os.getpid()}"
        self.command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]

    def __call__(self, *arguments: str) -> str:
        environment = {**os.environ, "TOWPATH_PUBLISH": f"127.0.0.1:{self.port}", "DOCKER_BUILDKIT": "0"}
        command = [*self.command, "--project-name", self.name, *arguments]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=1_500)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def containers(self, service: str) -> list[dict[str, Any]]:
        ids = self("ps", "-q", service).split()
        return [] if not ids else list(json.loads(docker("inspect", *ids)))

    @contextlib.contextmanager
    def join(self, name: str) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
        """A participant of the chat, and what they were told at their arrival."""
        address = f"ws://127.0.0.1:{self.port}/socket?room=lock&name={name}&secret={name}-0123456789abcdef"
        with connect(address, proxy=None) as client:
            yield client, json.loads(client.recv(timeout=10))


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


def wait_for_text(client: ClientConnection, text: str) -> None:
    """Read until a participant has sent `text`."""
    while json.loads(client.recv(timeout=10)).get("text") != text:
        pass


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    run = Compose()
    try:
        run("up", "--detach", "--build")
        wait_until(lambda: health(run) == "healthy", "a healthy interface server", START_DEADLINE_S)
        yield run
    finally:
        print(run("logs", "--no-color", "--tail", "60"))
        run("down", "--volumes", "--timeout", "20")


def health(run: Compose) -> str:
    return str(run.containers("interface")[0]["State"]["Health"]["Status"])


def workers_met(run: Compose, wanted: int) -> set[str]:
    """The hosts of the workers that newcomers are served by, when `wanted` are known: they may be starting still."""
    hosts: set[str] = set()

    def met() -> bool:
        with run.join("newcomer") as (_, welcome):
            hosts.add(welcome["worker"]["host"])
        return len(hosts) >= wanted

    wait_until(met, f"{wanted} workers are met", START_DEADLINE_S)
    return hosts


def test_up_brings_one_interface_server_and_two_workers_whose_sockets_talk(compose: Compose) -> None:
    """Across containers: a message goes from the socket of one worker to the socket of another."""
    assert len(compose.containers("worker")) == 2
    assert len(workers_met(compose, 2)) == 2
    with compose.join("Ada") as (ada, _), compose.join("Grace") as (grace, _):
        ada.send(json.dumps({"kind": "say", "text": "is the lock free?", "ref": 1}))
        wait_for_text(ada, "is the lock free?")
        wait_for_text(grace, "is the lock free?")


def test_scale_brings_workers_that_take_connections_and_ends_no_socket(compose: Compose) -> None:
    """Sockets that were open before the new workers came stay where they are."""
    with compose.join("Ada") as (ada, _):
        compose("up", "--detach", "--no-recreate", "--scale", "worker=4")
        assert len(workers_met(compose, 4)) == 4
        ada.send(json.dumps({"kind": "say", "text": "still aboard", "ref": 1}))
        wait_for_text(ada, "still aboard")


def test_the_core_in_a_container_is_compiled_and_no_compiler_is_there(compose: Compose) -> None:
    """The image is built in two stages: what the first needs is not in the second."""
    for service in ("interface", "worker"):
        assert "(compiled core, CPython 3." in compose("exec", "-T", service, "towpath", "--version")
    look = "import shutil, sys; sys.exit(any(map(shutil.which, ('cc', 'gcc'))))"
    compose("exec", "-T", "interface", "python", "-c", look)


def test_nobody_in_a_container_is_root(compose: Compose) -> None:
    """Neither room needs a right that a plain user does not have."""
    for service in ("interface", "worker"):
        for container in compose.containers(service):
            assert container["Config"]["User"] == "10001:10001"


def test_stop_ends_every_process_by_itself(compose: Compose) -> None:
    """Exit code 0 within the grace period: nothing had to be killed (137), and nothing failed."""
    with compose.join("Ada"):
        compose("stop")
    ended = [each for service in ("interface", "worker") for each in compose.containers(service)]
    assert {each["Name"]: each["State"]["ExitCode"] for each in ended} == {each["Name"]: 0 for each in ended}
    assert len(ended) >= 3
