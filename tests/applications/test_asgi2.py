"""ASGI 2 applications, found out by themselves: as a class, and as a closure."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from websockets.sync.client import connect

from tests.applications.served import KINDS, served
from tests.support.serving import Server

APPS = {"class": "asgi2_app:Application", "closure": "asgi2_app:closure"}


@pytest.fixture(scope="module", params=[(kind, shape) for kind in KINDS for shape in APPS], ids="-".join)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind, shape = request.param
    with served(kind, APPS[shape], tmp_path_factory.mktemp(f"asgi2-{kind}-{shape}")) as server:
        yield server


@pytest.fixture
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["server"][1])


def test_a_request_is_answered(client: httpx.Client, shape: str) -> None:
    assert client.post("/boats", content=b"cargo").text == f"{shape} 2.0 /boats cargo"


def test_a_websocket_is_served(server: Server, shape: str) -> None:
    with connect(server.websocket_url + "/talk", proxy=None) as socket:
        for text in ("ahoy", ""):
            socket.send(text)
            assert socket.recv(timeout=15) == f"{shape}: {text}"


def test_raising_before_the_instance_is_called_gives_500(client: httpx.Client) -> None:
    """Nothing has reached the client by then."""
    assert client.get("/refused").status_code == 500
    assert client.get("/boats").status_code == 200
