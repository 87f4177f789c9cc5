"""Logs in JSON, and access lines by gunicorn's atoms, on processes as users run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.facts import wait_until
from tests.support.plain_http import PLAIN
from tests.support.serving import (
    BIN,
    Server,
    free_port,
    redis_server,
    redis_url,
    towpath_interface,
    towpath_serve,
    towpath_worker,
)

#: Logs in a request from its task, from a task that it starts, and from sync threads; and prints what is no JSON.
ASGI = """
import asyncio, logging
from asgiref.sync import sync_to_async

log = logging.getLogger("mine")
print("not JSON {")
print('{"mine": true}')

async def later():
    log.warning("in a task of the request")

def view():
    log.warning("in a sync thread")

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        log.warning("in the lifespan")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["type"] == "websocket":
        await receive()
        log.warning("in a WebSocket")
        await send({"type": "websocket.accept"})
        return await receive()
    await asyncio.create_task(later())
    await sync_to_async(view)()
    await asyncio.to_thread(view)
    if scope["path"] == "/broken":
        raise LookupError("two\\nlines \\ud800")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
WSGI = """
import logging

def application(environ, start_response):
    logging.getLogger("mine").warning("of %s", environ["towpath.reply_channel"])
    start_response("200 OK", [])
    yield b"hel"
    logging.getLogger("mine").warning("in the iterator")
    yield b"lo"
"""
HOSTILE = b'GET /"%0A{\x7f"}?\xff HTTP/1.1\r\nHost: a\r\nUser-Agent: "\x9b2J\xe2\x80\xa8\\\r\nConnection: close\r\n\r\n'


def objects(server: Server) -> list[dict[str, Any]]:
    """The whole lines of a log; each must be an object. The one of the start in front of them may be text on standard error."""
    return [json.loads(line) for line in server.log.splitlines(keepends=True) if line.endswith("\n")]


def about(server: Server, connection: str) -> set[tuple[str, str, str]]:
    """Process, logger and message of each line about a connection."""
    lines = (line for line in objects(server) if line.get("connection") == connection)
    return {
        (line["process"], line["logger"], line["message"].partition(' - "')[2] or line["message"]) for line in lines
    }


def access_line(server: Server, target: str) -> dict[str, Any]:
    """The access line of this target, once it is there."""
    wait_until(lambda: any(line.get("target") == target for line in objects(server)), target)
    return next(line for line in objects(server) if line.get("target") == target)


def test_every_line_is_an_object_and_one_connection_is_found_in_both_processes(tmp_path: Path) -> None:
    """P12. Lines of `serve` and of the application among them, whatever a client has sent."""
    (tmp_path / "app.py").write_text(ASGI)
    options = ["--log-format", "json", "--log-level", "debug"]
    with towpath_serve("app", run_dir=tmp_path, app_dir=tmp_path, options=options) as server:
        assert httpx.get(f"{server.url}/whole", **PLAIN, timeout=15).text == "hello"
        assert httpx.get(f"{server.url}/broken", **PLAIN, timeout=15).status_code == 500
        with server.connect() as client:
            client.sendall(HOSTILE)
            client.recv(1000)
        with connect(f"{server.websocket_url}/socket"):
            socket = access_line(server, "/socket")
        whole, broken = access_line(server, "/whole"), access_line(server, "/broken")
        assert about(server, whole["connection"]) == {
            ("interface-0", "towpath.access", 'GET /whole HTTP/1.1" 200'),
            ("worker-0", "mine", "in a task of the request"),
            ("worker-0", "mine", "in a sync thread"),
        }
        assert (whole["status"], whole["bytes"], whole["method"]) == (200, 5, "GET")
        assert 0 < whole["duration_s"] < 15
        failed = next(line for line in objects(server) if "exception" in line)
        assert failed["connection"] == broken["connection"]
        assert failed["exception"].endswith("LookupError: two\nlines \\ud800")
        assert ("worker-0", "mine", "in a WebSocket") in about(server, socket["connection"])
    lines = objects(server)
    assert {line["process"] for line in lines if "process" in line} == {"serve", "worker-0", "interface-0"}
    assert [line["message"] for line in lines if line.get("logger") == "output" and line["process"] == "worker-0"] == [
        "not JSON {"
    ]
    assert {"mine": True} in lines
    assert all("connection" not in line for line in lines if line.get("message") == "in the lifespan")


def test_sync_code_of_wsgi_names_its_connection_too(tmp_path: Path) -> None:
    """Its context is not that of the task which waits for it. Without supervisord the process is named by its kind.

    The interface server has metrics too, which are measured at the same place.
    """
    (tmp_path / "app.py").write_text(WSGI)
    as_json = ["--log-format", "json"]
    with_metrics = [*as_json, "--admin-port", str(free_port())]
    with (
        redis_server(tmp_path / "redis") as redis,
        towpath_worker("app", redis_url(redis), run_dir=tmp_path, app_dir=tmp_path, options=as_json) as worker,
        towpath_interface(redis_url(redis), run_dir=tmp_path, options=with_metrics) as interface,
    ):
        assert httpx.get(f"{interface.url}/", **PLAIN, timeout=15).text == "hello"
        connection = access_line(interface, "/")["connection"]
        assert about(worker, connection) == {
            ("worker", "mine", f"of {connection}"),
            ("worker", "mine", "in the iterator"),
        }


def test_access_lines_by_the_atoms_of_gunicorn(tmp_path: Path) -> None:
    """From the command line of `serve` to the line, percent signs and quotation marks included; an escaped line stays one."""
    (tmp_path / "app.py").write_text(ASGI)
    form = '%(h)s "%(r)s" %(s)s %(B)s "%(a)s" "%({x-none}i)s" 100%% %(connection)s'
    with towpath_serve("app", run_dir=tmp_path, app_dir=tmp_path, options=["--access-log-format", form]) as server:
        httpx.get(f"{server.url}/?a", **PLAIN, timeout=15, headers={"user-agent": 'a "b"'})
        server.wait_for_log(r'INFO towpath.access: 127.0.0.1 "GET /?a HTTP/1.1" 200 5 "a \"b\"" "-" 100% interface')


@pytest.mark.parametrize("form", ["%(x)s", "%h"])
def test_an_unknown_atom_ends_the_start_in_one_sentence(form: str) -> None:
    """That names the option."""
    command = [BIN / "towpath", "interface", "--access-log-format", form]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 3
    assert f"--access-log-format': {form!r} is no atom" in ended.stderr.splitlines()[-1]


def test_a_log_configuration_in_text_may_show_the_connection(tmp_path: Path) -> None:
    """In the worker and in the interface server, which get the same file."""
    (tmp_path / "app.py").write_text(ASGI)
    config = {
        "version": 1,
        "formatters": {"f": {"format": "<%(towpath_connection)s> %(name)s %(message)s"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
        "root": {"handlers": ["h"], "level": "INFO"},
    }
    (tmp_path / "log.json").write_text(json.dumps(config))
    options = ["--log-config", str(tmp_path / "log.json"), "--access-log-format", "%(connection)s"]
    with towpath_serve("app", run_dir=tmp_path, app_dir=tmp_path, options=options) as server:
        httpx.get(f"{server.url}/", **PLAIN, timeout=15)
        server.wait_for_log("towpath.access")
        line = next(line for line in server.log.splitlines() if "towpath.access" in line)
        connection = line.rpartition(" ")[2]
        assert f"<{connection}> towpath.access {connection}" in line
        assert f"<{connection}> mine in a sync thread" in server.log
        assert "<-> mine in the lifespan" in server.log


def test_what_json_needs_is_loaded_where_it_is_asked_for() -> None:
    """decisions/0039."""
    loaded = (
        "import sys\nprint(*(name for name in sys.modules if 'log_format.json' in name or 'access_format' in name))"
    )
    source = f"import interface_server.http.server_context, channel_layer.process.log_setup\n{loaded}"
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == []
