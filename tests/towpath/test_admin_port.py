"""The admin port of real processes: what it shows under load, while a loop is blocked, and while a process stops."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.facts import wait_until
from tests.support.serving import (
    BIN,
    environment,
    free_port,
    recorded,
    redis_server,
    redis_url,
    towpath_interface,
    towpath_serve,
    towpath_worker,
)
from towpath.runtime.admin_ports import WORKERS_FROM

APPLICATION = """
import asyncio, time
from prometheus_client import Counter

ORDERS = Counter("shop_orders", "orders")

async def application(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    if scope["path"] == "/block":
        time.sleep(4)
    elif scope["path"] == "/wait":
        await asyncio.sleep(2)
    elif scope["path"] == "/late":
        await asyncio.sleep(0.3)
        while (await receive()).get("more_body"):
            pass
    elif scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        return await send({"type": "http.response.body", "body": b""})
    elif scope["path"] == "/fail":
        raise RuntimeError
    ORDERS.inc()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APPLICATION)
    return tmp_path


def free_admin_port() -> int:
    """A port, of which those that follow from it are free too."""
    while True:
        first = free_port()
        with contextlib.suppress(OSError, OverflowError), contextlib.ExitStack() as probes:
            for port in (first, first + 1, first + WORKERS_FROM, first + WORKERS_FROM + 1):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def samples(port: int) -> list[Sample]:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20)
    assert answer.status_code == 200
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def value(port: int, name: str, **labels: str) -> float:
    """The sum of all samples with this name and these labels; -1 if there is none."""
    found = [each.value for each in samples(port) if each.name == name and labels.items() <= each.labels.items()]
    return sum(found) if found else -1.0


def status_of(port: int, path: str) -> int:
    """The status, or 0 if nothing listens there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=20).status_code
    except httpx.TransportError:
        return 0


@contextlib.contextmanager
def asking(url: str) -> Iterator[list[int]]:
    """Ask in another thread; the status is there when it has come."""
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(httpx.get(url, timeout=30).status_code))
    thread.start()
    yield statuses
    thread.join()


def test_each_process_of_a_serve_shows_its_own_figures(project: Path) -> None:
    """Two interface servers and two workers: what they show adds up to what the clients have seen."""
    first = free_admin_port()
    options = ("--admin-port", str(first), "--interfaces", "2", "--workers", "2")
    interfaces, workers = (first, first + 1), (first + WORKERS_FROM, first + WORKERS_FROM + 1)
    with towpath_serve("shop:application", run_dir=project, app_dir=project, options=options) as server:
        assert f"Metrics of interface-0 at http://127.0.0.1:{first}/metrics" in server.log
        for _ in range(20):
            assert httpx.get(server.url, timeout=20).status_code == 200
        assert httpx.get(f"{server.url}/fail", timeout=20).status_code == 500
        assert status_of(server.port, "/-/health/live") == 200

        def total(ports: tuple[int, ...], name: str, **labels: str) -> float:
            return sum(max(0.0, value(port, name, **labels)) for port in ports)

        wait_until(lambda: total(workers, "towpath_connections_adopted_total") == 21, "the workers have reported")
        wait_until(lambda: total(interfaces, "towpath_connections_opened_total") == 21, "so have the interface servers")
        assert total(interfaces, "towpath_http_responses_total", status="2xx") == 20
        assert total(interfaces, "towpath_http_responses_total", status="5xx") == 1
        assert total(interfaces, "towpath_http_responses_total") == 21, "health checks do not count"
        assert total(interfaces, "towpath_http_response_start_seconds_count") == 21
        sent, received = (
            total(interfaces, "towpath_client_bytes_total", direction=direction) for direction in ("sent", "received")
        )
        assert sent > 21 * len(b"HTTP/1.1 200 OK\r\n\r\n") < received, "and the health checks"
        wait_until(
            lambda: total(interfaces, "towpath_events_total", kind="ended", reason="failed") >= 1, "a counter is shown"
        )
        assert total(workers, "shop_orders_total") == 20, "the application's own"
        for port in (*interfaces, *workers):
            assert value(port, "towpath_ready") == 1
            assert value(port, "towpath_event_loop_delay_seconds_count") > 0
            assert value(port, "process_resident_memory_bytes") > 0
            assert status_of(port, "/-/health/live") == status_of(port, "/-/health/ready") == 200
        assert value(workers[0], "towpath_process_info", role="worker", app="shop:application") == 1
        shown = subprocess.run(
            [BIN / "towpath", "status", "--run-dir", project / "run"],
            env=environment({}),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert str(workers[1]) in shown.stdout


def test_a_worker_whose_loop_is_blocked_answers_and_shows_for_how_long(project: Path) -> None:
    """That is when an operator looks."""
    first = free_admin_port()
    port = first + WORKERS_FROM
    options = ("--admin-port", str(first))
    with (
        towpath_serve("shop:application", run_dir=project, app_dir=project, options=options) as server,
        asking(f"{server.url}/block") as statuses,
    ):
        wait_until(lambda: value(port, "towpath_event_loop_lag_seconds") > 2.5, "the lag is shown")
        assert not statuses, "it is still blocked"
        assert value(port, "towpath_places_free") == 0
        assert value(port, "towpath_lease_age_seconds") < 5  # its lease is not over
        assert status_of(port, "/-/health/live") == 200
        wait_until(lambda: value(port, "towpath_event_loop_lag_seconds") < 1, "it runs again")
        assert value(port, "towpath_event_loop_delay_seconds_sum") > 2.5


def test_what_waits_and_what_is_queued_again_is_counted_by_its_reason(project: Path) -> None:
    """A client that does not read, an application that does not receive, and a worker that dies with a request in hand."""
    first = free_admin_port()
    port = first + WORKERS_FROM
    options = ("--admin-port", str(first))

    def event(of: int, kind: str, reason: str) -> float:
        return value(of, "towpath_events_total", kind=kind, reason=reason)

    with (
        towpath_serve("shop:application", run_dir=project, app_dir=project, options=options) as server,
        server.connect() as deaf,
        server.connect() as eager,
    ):
        deaf.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: event(port, "paused", "application") >= 1, "the application waits for its client")
        eager.sendall(b"POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(900_000))
        wait_until(lambda: event(first, "paused", "client") >= 1, "the client waits for the application")
        eager.close()
        assert httpx.post(f"{server.url}/late", content=bytes(1_000_000), timeout=20).status_code == 200
        assert value(first, "towpath_client_paused_seconds_count") >= 1, "the pause is over"
        assert 0.1 < value(first, "towpath_client_paused_seconds_sum") < 10
        assert event(first, "peers", "dead") == 0
        with asking(f"{server.url}/wait") as statuses:
            wait_until(lambda: value(port, "towpath_connections_adopted_total") >= 3, "the worker has it")
            os.kill(recorded(project / "run" / "pids" / "worker-0") or 0, signal.SIGKILL)
        assert statuses == [200], "the next worker has answered it"
        wait_until(lambda: event(first, "requeued", "owner_died") >= 1, "it was queued again")
        wait_until(lambda: event(first, "peers", "dead") == 1, "a peer has died")
        assert event(first, "ended", "died") >= 1, "the download"


def test_a_process_that_stops_is_alive_and_not_ready(project: Path) -> None:
    """A worker while it finishes its requests, an interface server while it waits for balancers."""
    ports = free_admin_port(), free_port()
    with (
        redis_server(project / "redis") as redis,
        towpath_interface(
            redis_url(redis),
            run_dir=project,
            options=("--admin-port", str(ports[0]), "--drain-delay", "1.5"),
        ) as interface,
        towpath_worker(
            "shop:application",
            redis_url(redis),
            run_dir=project,
            app_dir=project,
            options=("--admin-port", str(ports[1])),
        ) as worker,
    ):
        for port in ports:
            wait_until(lambda port=port: status_of(port, "/-/health/ready") == 200, "ready")  # type: ignore[misc]
        with asking(f"{interface.url}/wait") as statuses:
            wait_until(lambda: value(ports[1], "towpath_connections") == 1, "the request is there")
            for process, port in ((worker, ports[1]), (interface, ports[0])):
                process.process.send_signal(signal.SIGTERM)
                wait_until(lambda port=port: status_of(port, "/-/health/ready") == 503, "not ready")  # type: ignore[misc]
                assert status_of(port, "/-/health/live") == 200
                assert value(port, "towpath_stopping") == 1
        assert statuses == [200]


def ended(*words: str | Path, **variables: str) -> tuple[int, str]:
    """Exit code and last line of a command that cannot start."""
    done = subprocess.run(
        [BIN / "towpath", *words], env=environment(variables), capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("command", ["interface", "worker"])
def test_a_missing_library_ends_the_start_with_one_sentence(project: Path, command: str) -> None:
    """It names what to install."""
    hidden = project / "hidden" / "prometheus_client"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text('raise ModuleNotFoundError("none", name="prometheus_client")')
    (project / "plain.py").write_text("async def application(scope, receive, send): ...")
    with redis_server(project / "redis") as redis:
        which = (
            (command, "--app-dir", project, "plain:application") if command == "worker" else (command, "--port", "0")
        )
        arguments = (*which, "--redis", redis_url(redis), "--admin-port", str(free_port()))
        code, line = ended(*arguments, PYTHONPATH=os.fspath(hidden.parent))
        assert code == 3
        assert "--admin-port needs prometheus_client: pip install '/path/to/towpath[metrics]'" in line


def test_a_serve_with_too_few_ports_behind_the_first_does_not_start(project: Path) -> None:
    """Nothing is started."""
    code, line = ended("serve", "shop:application", "--app-dir", project, "--port", "0", "--admin-port", "65500")
    assert code == 3
    assert "--admin-port 65500 leaves no port for the last of 8 slots of workers, twice --workers-max" in line


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["interface", "--admin-port", "{used}"], "admin port {used} on 127.0.0.1 is in use (--admin-port)"),
        (["worker", "shop", "--admin-port", "{used}"], "admin port {used} on 127.0.0.1 is in use (--admin-port)"),
        (
            ["serve", "shop", "--interfaces", "2", "--admin-port", "{before}"],
            "admin port {used} of interface-1 on 127.0.0.1 is in use; it follows from --admin-port {before} (--admin-port)",
        ),
        (["interface", "--port", "{free}", "--admin-port", "{free}"], "admin port {free} is the --port for clients too (--admin-port)"),
        (
            ["serve", "shop", "--port", "{free}", "--admin-port", "{free}"],
            "admin port {free} of interface-0 is the --port for clients too; it follows from --admin-port {free} (--admin-port)",
        ),
        (
            ["worker", "shop", "--admin-port", "1", "--admin-host", "192.0.2.1"],
            "192.0.2.1 is not an address of this machine (--admin-host)",
        ),
    ],
)  # fmt: skip  # a table
def test_an_admin_port_that_cannot_be_is_told_before_anything_is_started(
    command: list[str], said: str, project: Path
) -> None:
    """P12. In one sentence that names the option, whichever port followed from it; without a wait for Redis."""
    first = free_admin_port()
    with socket.create_server(("127.0.0.1", first + 1)):
        ports = {"used": first + 1, "before": first, "free": first}
        words = [str(BIN / "towpath"), *(word.format(**ports) for word in command)]
        port = [] if "--port" in command or "worker" in command else ["--port", "0"]
        ended = subprocess.run(
            [*words, *port], cwd=project, env=environment({}), capture_output=True, text=True, timeout=60
        )
    assert (ended.returncode, ended.stderr) == (3, f"towpath: {said.format(**ports)}\n")
