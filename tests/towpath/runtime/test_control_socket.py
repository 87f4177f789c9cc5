"""The control socket of a `serve`: it outlives a lack of descriptors, and nonsense."""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import socket
from pathlib import Path

import pytest

from towpath.runtime.control_socket import NAME, ControlSocket, Request


def test_who_asks_while_no_descriptor_is_free_is_heard_when_one_is(tmp_path: Path) -> None:
    """P7. One lack of them must not make a `serve` deaf for good."""
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    control = ControlSocket(tmp_path, requests.put)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    control.start()
    taken: list[int] = []
    try:
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            resource.setrlimit(resource.RLIMIT_NOFILE, (second.fileno() + 1, hard))
            with pytest.raises(OSError, match="Too many open files"):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            for client in (first, second):
                client.connect(str(tmp_path / NAME))
                client.sendall(b'{"do": "reload"}\n')
            heard = []  # the first, if the system had set a descriptor apart for it
            with contextlib.suppress(queue.Empty):
                while True:
                    heard.append(requests.get(timeout=0.2))
            assert len(heard) < 2
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            while len(heard) < 2:
                heard.append(requests.get(timeout=10))
            assert [request.asked for request in heard] == [{"do": "reload"}] * 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
        control.close()


def test_nonsense_at_the_control_socket_leaves_it_open(tmp_path: Path) -> None:
    """P12. The next request is served: also behind what is nested more deeply than a parser goes."""
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    control = ControlSocket(tmp_path, requests.put)
    control.start()
    try:
        for nonsense in (b"\xff\n", b"{\n", b"[" * 4000 + b"\n"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(tmp_path / NAME))
                client.sendall(nonsense)
                assert client.recv(1) == b""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / NAME))
            client.sendall(b'{"do": "reload"}\n')
            assert requests.get(timeout=10).asked == {"do": "reload"}
    finally:
        control.close()
