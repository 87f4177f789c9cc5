"""`docker-compose.yml` as an operator uses it: up, a talk between containers, more and fewer workers and another image of them while
clients come and stay, down without a kill.

Not among the tests of `make test`: it needs a Docker engine, and builds an image.  Run: pytest deploy/test_compose.py

TOWPATH_COMPILE=0 in the environment tests the interpreted core, whose image is built in a minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.compose_load import load
from tests.support.serving import free_port, wait_until

PROJECT = Path(__file__).parents[1]
START_DEADLINE_S = 90.0


class Compose:
    """One run of the compose file, under a name and a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.name = f"towpath-test-{os.getpid()}"
        self.image, self.app = "towpath", ""
        self.command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]

    def __call__(self, *arguments: str) -> str:
        variables = {"TOWPATH_PUBLISH": f"127.0.0.1:{self.port}", "TOWPATH_IMAGE": self.image, "DOCKER_BUILDKIT": "0"}
        if self.app:
            variables["TOWPATH_APP"] = self.app
        environment = {**os.environ, **variables}
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


def logs(container: str) -> str:
    """What a container has logged."""
    done = subprocess.run(["docker", "logs", container], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


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


@pytest.fixture
def next_image() -> Iterator[str]:
    """An image that differs from the first one: what a deploy brings."""
    name = f"towpath-next-{os.getpid()}"
    text = "FROM towpath\nENV TOWPATH_LOG_LEVEL=debug\n"
    subprocess.run(["docker", "build", "--tag", name, "-"], input=text, text=True, check=True, capture_output=True)
    yield name
    docker("rmi", "--force", name)


def test_under_load_workers_come_go_and_get_another_image_and_no_client_notices(
    compose: Compose, next_image: str
) -> None:
    """P7. 100 clients send requests and 200 hold sockets: no request fails, and no socket is closed."""
    scale = ("up", "--detach", "--no-recreate", "--scale")
    with load(f"127.0.0.1:{compose.port}", requesting=100, connected=200) as clients:
        clients.go_on("before")
        for count in (4, 1):
            compose(*scale, f"worker={count}")
            wait_until(
                lambda count=count: len(compose.containers("worker")) == count, f"{count} workers", START_DEADLINE_S
            )
            clients.go_on(f"with {count}")
        compose.image = next_image
        compose("up", "--detach", "--no-deps", "--scale", "worker=1", "worker")
        (worker,) = compose.containers("worker")
        assert worker["Config"]["Image"] == next_image
        clients.go_on("with another image")
    compose.image = "towpath"
    compose("up", "--detach", "--no-deps", "--scale", "worker=2", "worker")
    assert clients.failed_requests == []
    assert clients.closed_sockets == []
    assert clients.answered > 1_000


#: Run in a container: ends the command, which process 1 waits for.
KILL = "import os, signal; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), signal.SIGKILL)"


def test_a_worker_that_is_killed_is_started_again(compose: Compose) -> None:
    """P6. Requests go on meanwhile: those that wait are the other worker's."""
    with load(f"127.0.0.1:{compose.port}", requesting=20, connected=0) as clients:
        killed = compose.containers("worker")[0]["Id"]
        docker("exec", killed, "python", "-c", KILL)
        wait_until(
            lambda: json.loads(docker("inspect", killed))[0]["RestartCount"] == 1,
            "it is started again",
            START_DEADLINE_S,
        )
        clients.go_on("after a kill")
    assert clients.failed_requests == []


@pytest.mark.parametrize("service", ["redis", "interface", "worker"])
def test_each_service_is_healthy_on_a_file_system_that_it_cannot_write_to(compose: Compose, service: str) -> None:
    """An attacker can leave nothing behind. A worker is asked at its admin port."""
    wait_until(
        lambda: all(each["State"]["Health"]["Status"] == "healthy" for each in compose.containers(service)),
        f"{service} is healthy",
        START_DEADLINE_S,
    )
    assert all(each["HostConfig"]["ReadonlyRootfs"] for each in compose.containers(service))


def test_any_user_will_do(compose: Compose) -> None:
    """OpenShift draws a number, and its group is 0. `serve` too keeps what it writes in its run folder."""
    for command, said in (
        (("worker",), "takes connections"),
        (("interface", "--port", "0"), "listens on"),
        (("serve", "examples.chat.app:application", "--port", "0"), "ready after"),
    ):
        container = compose("run", "--detach", "--user", "12345:0", "worker", *command).strip().splitlines()[-1]
        try:
            wait_until(lambda said=said, name=container: said in logs(name), f"{command[0]} serves", START_DEADLINE_S)
            docker("exec", container, "python", "-c", "import os; assert os.getuid() == 12345, os.getuid()")
        finally:
            print(logs(container))
            docker("rm", "--force", container)


def test_the_core_in_a_container_is_compiled_and_no_compiler_is_there(compose: Compose) -> None:
    """The image is built in two stages: what the first needs is not in the second."""
    for service in ("interface", "worker"):
        core = "interpreted" if os.environ.get("TOWPATH_COMPILE") == "0" else "compiled core"
        assert f"({core}, CPython 3." in compose("exec", "-T", service, "towpath", "--version")
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


#: With a library that the image does not have.
SHOP = """
import humanize


async def application(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the shop"})
"""


def test_an_application_of_ones_own_is_a_dockerfile_of_three_lines_and_two_variables(
    compose: Compose, tmp_path: Path
) -> None:
    """As README shows it."""
    (dockerfile,) = re.findall(r"```dockerfile\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    assert dockerfile.count("\n") == 3
    (tmp_path / "Dockerfile").write_text(dockerfile)
    (tmp_path / "requirements.txt").write_text("humanize\n")
    (tmp_path / "shop.py").write_text(SHOP)
    compose.image, compose.app = f"towpath-shop-{os.getpid()}", "shop"
    docker("build", "--tag", compose.image, str(tmp_path))
    try:
        compose("up", "--detach")
        wait_until(lambda: health(compose) == "healthy", "a healthy interface server", START_DEADLINE_S)
        assert httpx.get(f"http://127.0.0.1:{compose.port}/", timeout=60, trust_env=False).text == "the shop"
        assert {each["Config"]["User"] for each in compose.containers("worker")} == {"10001:10001"}
    finally:
        compose("rm", "--stop", "--force", "interface", "worker")
        docker("rmi", "--force", compose.image)
        compose.image, compose.app = "towpath", ""
