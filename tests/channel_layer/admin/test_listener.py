"""The admin port: one answer for each connection, few at once, and one sentence if it cannot listen."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_layer.admin import listener
from channel_layer.admin.listener import CLIENTS_MAX, AdminListener, CannotListen, Page
from tests.support.serving import free_port, wait_until


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", hold: threading.Event | None = None) -> Iterator[int]:
    """The port of a listener with one page; `hold`: the page waits for it."""

    def page(accepted: str) -> Page:
        if hold is not None:
            hold.wait(20)
        return Page(200, f"you accept {accepted}".encode())

    port = free_port()
    with contextlib.closing(AdminListener(host, port, {"/page": page})) as server:
        server.start()
        yield port


def ask(port: int, path: str, method: str = "GET", host: str = "127.0.0.1") -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=20)) as client:
        client.request(method, path, headers={"Accept": "text/x"})
        answer = client.getresponse()
        return answer.status, answer.read()


def test_a_page_is_found_by_its_path_whatever_its_query() -> None:
    """Prometheus may send `name[]`."""
    with listening() as port:
        assert ask(port, "/page?a=b") == (200, b"you accept text/x")
        assert ask(port, "/page", "HEAD") == (200, b"")
        assert ask(port, "/")[0] == 404
        assert ask(port, "/page", "POST")[0] == 501


def test_a_port_in_use_is_named_in_one_sentence() -> None:
    """The operator reads it and nothing else."""
    with listening() as port, pytest.raises(CannotListen, match=rf"127\.0\.0\.1 port {port} \(--admin-port\): Address"):
        AdminListener("127.0.0.1", port, {})


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_addresses_are_those_of_both_families() -> None:
    """A pod may have either."""
    with listening("::") as port:
        assert ask(port, "/page", host="::1") == ask(port, "/page", host="127.0.0.1") == (200, b"you accept text/x")


def test_beyond_the_clients_that_are_answered_at_once_one_is_closed() -> None:
    """So no number of clients costs more than so many threads."""
    hold = threading.Event()
    with listening(hold=hold) as port, contextlib.ExitStack() as clients:
        for _ in range(CLIENTS_MAX):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"GET /page HTTP/1.0\r\n\r\n")
        wait_until(lambda: threads("towpath-admin-client") >= CLIENTS_MAX, "all are being answered")
        one_more = clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert one_more.recv(1) == b""
        hold.set()
        wait_until(lambda: threads("towpath-admin-client") == 0, "all were answered")
        assert ask(port, "/page")[0] == 200


def test_clients_that_say_nothing_keep_no_probe_out() -> None:
    """The oldest of them makes way, each time: a pod whose probe is not answered would be restarted."""
    with listening() as port, contextlib.ExitStack() as clients:
        silent = [
            clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(CLIENTS_MAX + 1)
        ]
        for _ in range(3):
            assert ask(port, "/page")[0] == 200
        assert silent[0].recv(1) == b""


def test_a_client_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold a thread."""
    monkeypatch.setattr(listener._Request, "timeout", 0.1)
    with listening() as port, socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        assert client.recv(1) == b""


def test_a_listener_that_is_closed_leaves_no_thread_and_no_port() -> None:
    """Another process may listen there at once."""
    with listening() as port:
        assert ask(port, "/page")[0] == 200
    wait_until(lambda: threads("towpath-admin") == 0, "its thread has ended")
    AdminListener("127.0.0.1", port, {}).close()


def test_a_forked_child_does_not_hold_the_port() -> None:
    """It may live on when its worker has gone, and would keep the next one from the port."""
    with listening() as port:
        child = os.fork()
        if child == 0:
            held = {link for each in Path("/proc/self/fd").iterdir() if (link := link_of(each))}
            os._exit(1 if held & sockets_on(port) else 0)
        assert sockets_on(port)
        assert os.waitpid(child, 0)[1] == 0


def link_of(descriptor: Path) -> str:
    """Empty for the one with which the folder itself is read."""
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""


def sockets_on(port: int) -> set[str]:
    """The sockets that listen on a port, as links of descriptors name them."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


def threads(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())
