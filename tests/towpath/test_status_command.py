"""`towpath status` as it is typed: what it exits with, and what it refuses."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import msgpack
import pytest

from channel_layer.protocol.keys import Keys
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, environment, free_port, towpath_serve, wait_until


def status(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "towpath", "status", *words], capture_output=True, text=True, env=environment({}))


def put_lease(redis_server: RedisServer, prefix: str, node: str, **facts: object) -> None:
    keys, client = Keys(prefix), redis_server.client()
    client.zadd(keys.nodes, {node: 1})
    client.set(keys.lease(node), msgpack.packb(facts))


def test_the_exit_code_tells_of_errors_if_it_is_asked_for(redis_server: RedisServer, prefix: str) -> None:
    """Without `--check` it is 0: the state could be read. A warning is no reason for an alarm."""
    where = ("--redis", redis_server.url, "--prefix", prefix)
    empty = status(*where)
    assert empty.returncode == 0 and empty.stdout.startswith("ERROR:   no process is alive\n")
    assert status(*where, "--check").returncode == 1
    put_lease(redis_server, prefix, "interface.a", role="interface")
    put_lease(redis_server, prefix, "worker.a", role="worker", lag_ms=300.0, free={"http": 1, "websocket": 1})
    slow = status(*where, "--check", "--json")
    assert slow.returncode == 0 and [found["severity"] for found in json.loads(slow.stdout)["findings"]] == ["warning"]


@pytest.mark.parametrize("typed", ["shop", "shop:"])
def test_a_serve_has_one_app_however_it_was_typed(tmp_path: Path, typed: str) -> None:
    """Its interface server knows APP as it was typed, its worker as it was found; nothing is wrong with that."""
    (tmp_path / "shop.py").write_text("async def app(scope, receive, send):\n    raise RuntimeError\n")
    with towpath_serve(typed, run_dir=tmp_path, app_dir=tmp_path) as server:
        where = ("--run-dir", str(server.run_dir / "run"))
        shown = json.loads(status(*where, "--json").stdout)
        assert {(lease["role"], lease["app"]) for lease in shown["processes"]} == {
            ("interface", "shop:app"),
            ("worker", "shop:app"),
        }
        assert shown["findings"] == []


def test_a_redis_that_does_not_answer_is_no_finding_for_one_look(tmp_path: Path) -> None:
    """It is the sentence of the command, and its exit code is that of every command that cannot do its work."""
    where = ("--redis", f"unix://{tmp_path}/none.sock")
    gone = status(*where, "--check")
    assert gone.returncode == 3 and gone.stdout == "" and "is unreachable" in gone.stderr
    in_json = status(*where, "--json")
    assert in_json.returncode == 3 and in_json.stderr == gone.stderr
    (found,) = json.loads(in_json.stdout)["findings"]
    assert found["severity"] == "error" and found["sentence"] in gone.stderr, "a program gets its object all the same"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--serve", "host:http"), 3, "'host:http' is not HOST:PORT"),
        (("--serve", "8808", "--watch"), 2, "--serve stands alone"),
        (("--check", "--watch"), 2, "--check looks once"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_sentence(
    redis_server: RedisServer, words: tuple[str, ...], code: int, sentence: str
) -> None:
    refused = status("--redis", redis_server.url, *words)
    assert refused.returncode == code and sentence in refused.stderr


def test_a_port_in_use_is_named(redis_server: RedisServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = status("--redis", redis_server.url, "--serve", str(taken.getsockname()[1]))
    assert refused.returncode == 3 and "--serve HOST:PORT selects another address" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_page_ends_in_good_order(redis_server: RedisServer, tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0; a page that any client of the network can read says so."""
    port = free_port()
    command = [BIN / "towpath", "status", "--redis", redis_server.url, "--serve", f"0.0.0.0:{port}"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment({}),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
        )  # fmt: skip
    try:
        wait_until(lambda: "no password" in log.read_text(), "it listens")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /status.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.0 200")
        process.send_signal(number)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert f"the status page is at http://0.0.0.0:{port}/" in log.read_text() and "Traceback" not in log.read_text()
