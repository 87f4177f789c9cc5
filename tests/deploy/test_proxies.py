"""The configurations of nginx and HAProxy that OPERATIONS.md shows are whole: each is run here, with other ports.

Debian's `nginx` and `haproxy`; where there is none, its tests are skipped by name.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.plain_http import PLAIN
from tests.support.serving import Server, free_port, running, towpath_serve

OPERATIONS = (Path(__file__).parents[2] / "OPERATIONS.md").read_text("utf-8")
APPLICATION = """
import json

async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
    elif scope["type"] == "http":
        fields = [(b"content-type", b"text/event-stream" if scope["path"] == "/stream" else b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"data: first\\n\\n", "more_body": True})
            await receive()
            await receive()
        seen = {"client": scope["client"][0], "scheme": scope["scheme"], "path": scope["path"]}
        await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
"""


def example(language: str, port: int, server: Server) -> str:
    """The block of the document, listening at `port`, in front of `server`."""
    found = re.search(rf"```{language}\n(.+?)```", OPERATIONS, re.DOTALL)
    assert found is not None
    text, heard = re.subn(r"(listen|bind) \S*80(;?)\n", rf"\1 127.0.0.1:{port}\2\n", found[1])
    text, sent = re.subn(r"127\.0\.0\.1:8000", f"127.0.0.1:{server.port}", text)
    assert (heard, sent) == (1, 1)
    return text


def nginx(folder: Path, server: Server) -> AbstractContextManager[Server]:
    """nginx with the example as the only site; whatever it writes stays in `folder`."""
    port = free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    text = f"{user}pid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}"
    path = folder / "nginx.conf"
    path.write_text(text + example("nginx", port, server) + "}\n")
    command = ["nginx", "-p", folder, "-c", path, "-g", "daemon off;"]
    return running("nginx", command, run_dir=folder, port=port)


def haproxy(folder: Path, server: Server) -> AbstractContextManager[Server]:
    """HAProxy with the example and nothing else."""
    port = free_port()
    path = folder / "haproxy.cfg"
    path.write_text(example("haproxy", port, server))
    return running(
        "haproxy", ["haproxy", "-f", path, "-db"], run_dir=folder, port=port, exit_codes=(0, -signal.SIGTERM)
    )


def needs(program: str) -> pytest.MarkDecorator:
    reason = f"there is no {program} (Debian: apt install {program})"
    return pytest.mark.skipif(shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None, reason=reason)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Behind both proxies, one after the other."""
    folder = tmp_path_factory.mktemp("behind")
    (folder / "mirror.py").write_text(APPLICATION)
    with towpath_serve("mirror", run_dir=folder, app_dir=folder) as server:
        yield server


@contextmanager
def fronted(
    make: Callable[[Path, Server], AbstractContextManager[Server]], folder: Path, server: Server
) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin")
        with make(folder, server) as proxy:
            yield proxy


@pytest.mark.parametrize(
    "make", [pytest.param(nginx, marks=needs("nginx")), pytest.param(haproxy, marks=needs("haproxy"))]
)
def test_the_proxy_of_the_document_brings_all_kinds_of_connections(
    make: Callable[[Path, Server], AbstractContextManager[Server]], tmp_path: Path, server: Server
) -> None:
    """A page with the client's own address, an event at once, and a WebSocket."""
    with fronted(make, tmp_path, server) as proxy, httpx.Client(**PLAIN, timeout=20) as client:
        forged = {
            "x-forwarded-for": "192.0.2.7"
        }  # 127.0.0.1 is the proxy's and the client's here, and trusted as a proxy
        seen = client.get(proxy.url + "/page?x=1", headers=forged).json()
        assert seen == {"client": "192.0.2.7", "scheme": "http", "path": "/page"}
        assert client.get(proxy.url + "/-/health/ready").status_code == 200
        with client.stream("GET", proxy.url + "/stream") as stream:
            assert next(stream.iter_lines()) == "data: first"
        with connect(proxy.websocket_url + "/socket", proxy=None) as socket:
            socket.send("hello")
            assert socket.recv(timeout=20) == "hello"
