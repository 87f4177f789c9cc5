"""The status page as an operator sees it: a real fleet, the page of `towpath status --serve`, and a browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channel_layer.protocol.codec import pack
from channel_layer.protocol.keys import Keys
from tests.support.browser import ChatPage, chromium, needs_chromium
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, Server, free_port, running, towpath_serve
from tests.support.status_fleet import APPLICATION, load, resize, status_page

HOSTILE = "<img src=x onerror=\"document.title='taken'\">\u202e&amp;<script>document.title='taken'</script>"
SEEN = HOSTILE.replace("\u202e", r"\u202e")  #: what turns a line around is written out


class StatusPage(ChatPage):
    """The page in one browser, and what a person sees there."""

    def texts(self, selector: str) -> list[str]:
        return self._texts(selector)

    @property
    def workers(self) -> list[str]:
        """The names of the workers that are shown, without those that are just leaving."""
        return self.texts("#workers .card:not(.gone) .name")

    @property
    def findings(self) -> list[str]:
        return self.texts("#findings li:not(.gone) .sentence")

    @property
    def state(self) -> str:
        return str(self._one("body").get_attribute("data-state"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    (folder / "shop.py").write_text(APPLICATION)
    with towpath_serve("shop:application", run_dir=folder, app_dir=folder, options=("--workers", "3")) as running_serve:
        yield running_serve


@pytest.fixture(scope="module")
def status(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with status_page(server, tmp_path_factory.mktemp("status")) as page:
        yield page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StatusPage]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield StatusPage(driver)


def answer(status: Server, method: str, path: str, host: str = "localhost") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(status.host, status.port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def test_the_state_is_served_to_this_page_alone(status: Server) -> None:
    """A name of another site that leads here gets nothing, and neither does a path that is none of the page's."""
    code, fields, body = answer(status, "GET", "/status.json", f"127.0.0.1:{status.port}")
    assert code == 200 and fields["Content-Type"] == "application/json"
    assert {lease["role"] for lease in json.loads(body)["processes"]} == {"interface", "worker"}
    assert not any("Access-Control" in name for name in fields)
    for host in ("evil.example", f"evil.example:{status.port}"):
        code, _, body = answer(status, "GET", "/status.json", host)
        assert code == 421 and b"{" not in body
    assert answer(status, "GET", "/etc/passwd")[0] == 404
    code, fields, body = answer(status, "HEAD", "/")
    assert code == 200 and body == b"" and int(fields["Content-Length"]) > 10_000
    assert answer(status, "POST", "/")[0] == 501
    assert "script-src 'sha256-" in fields["Content-Security-Policy"]


def test_silent_clients_do_not_keep_others_out(status: Server) -> None:
    """More of them than are served at once are closed; when they have gone, the next one is answered."""
    with contextlib.ExitStack() as stack:
        for _ in range(80):
            stack.enter_context(socket.create_connection((status.host, status.port), timeout=10))
    assert answer(status, "GET", "/status.json")[0] == 200


@needs_chromium
def test_an_operator_sees_the_fleet_and_what_flows(server: Server, status: Server, browser: StatusPage) -> None:
    """Each process by its name, requests on their way, nothing wrong; and nothing of it loaded from elsewhere."""
    resize(browser.driver, 1180, 800)
    with load(server, 4, 6):
        browser.open(status.url)
        browser.wait_until(lambda: browser.workers == ["worker-0", "worker-1", "worker-2"], "three workers")
        assert browser.texts("#interfaces .name") == ["interface-0"]
        assert browser.texts("#queues .name") == ["direct", "http.request", "websocket.connect"]
        browser.wait_until(lambda: bool(browser.texts("#flows .moving")), "requests flow")
        browser.wait_until(lambda: browser.texts(".figure .value")[2] == "6", "six WebSockets")
        browser.wait_until(lambda: browser.texts(".figure .value")[4] == "5", "of five groups")
    assert browser.complaints == []
    loaded = "return performance.getEntriesByType('resource').map((each) => new URL(each.name).pathname)"
    assert set(browser.driver.execute_script(loaded)) == {"/status.json"}


@needs_chromium
@pytest.mark.parametrize("width", [1180, 390])
def test_the_page_is_as_wide_as_the_device(status: Server, browser: StatusPage, width: int) -> None:
    """On a phone too: nothing has to be moved sideways."""
    resize(browser.driver, width, 800)
    browser.open(status.url)
    browser.wait_until(lambda: len(browser.workers) == 3, "three workers")
    assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width


@needs_chromium
def test_a_dead_worker_goes_and_a_finding_comes(server: Server, status: Server, browser: StatusPage) -> None:
    """And both end by themselves. A blocked event loop is named with its worker; a lost status is not shown as a live one."""
    resize(browser.driver, 1180, 800)
    browser.open(status.url)
    browser.wait_until(lambda: len(browser.workers) == 3, "three workers")
    nodes = "return [...document.querySelectorAll('#workers .card:not(.gone)')].map((card) => card.dataset.node)"
    before = set(browser.driver.execute_script(nodes))
    processes: list[dict[str, Any]] = json.loads(answer(status, "GET", "/status.json")[2])["processes"]
    dead, frozen = [lease for lease in processes if lease["role"] == "worker"][:2]
    os.kill(dead["pid"], signal.SIGKILL)
    browser.wait_until(lambda: dead["node"] not in browser.driver.execute_script(nodes), "the dead worker is not shown")
    browser.wait_until(lambda: len(browser.workers) == 3, "its successor", 40.0)
    assert len(before & set(browser.driver.execute_script(nodes))) == 2
    os.kill(frozen["pid"], signal.SIGSTOP)
    try:
        sentence = f"(pid {frozen['pid']}) runs and has no lease"
        browser.wait_until(lambda: sentence in "; ".join(browser.findings), "its lease is over", 40.0)
    finally:
        os.kill(frozen["pid"], signal.SIGCONT)
    browser.wait_until(lambda: browser.findings == ["Nothing is wrong."], "all is well again", 40.0)


@needs_chromium
def test_what_strangers_write_is_text_and_never_markup(
    redis_server: RedisServer, browser: StatusPage, tmp_path: Path
) -> None:
    """P12. Names of processes, applications and channels; and a page without its server says that it shows the past."""
    prefix = "hostile:"
    keys, client, port = Keys(prefix), redis_server.client(), free_port()
    client.zadd(keys.nodes, {HOSTILE: 1, "odd": 1})
    lease = {"role": "worker", "app": HOSTILE, "host": HOSTILE, "version": HOSTILE, "free": HOSTILE, "pid": HOSTILE}
    client.set(keys.lease(HOSTILE), pack(lease))
    client.set(
        keys.lease("odd"), pack({"role": "interface", "websockets": HOSTILE, "connections": -1, "app": "odd:app"})
    )
    client.zadd(keys.shared_channels, {HOSTILE: 1})
    client.xadd(keys.channel(HOSTILE), {"b": "1"})
    command = [BIN / "towpath", "status", "--serve", str(port), "--redis", redis_server.url, "--prefix", prefix]
    with running("status", command, run_dir=tmp_path, port=port, ready=lambda page: "page is at" in page.log) as status:
        browser.open(status.url)
        browser.wait_until(lambda: SEEN in browser.texts(".queue .name"), "the channel")
        assert browser.workers == [SEEN]
        assert any("run another APP" in sentence or "runs another APP" in sentence for sentence in browser.findings)
        assert browser.driver.title == "Towpath status"
        found = "return document.querySelectorAll('main img, main script, #findings img, #findings script').length"
        assert browser.driver.execute_script(found) == 0
        assert browser.complaints == []
    browser.wait_until(lambda: browser.state == "lost", "the page says that it is not connected")
    assert browser.findings == ["This page has lost its towpath status --serve"]
