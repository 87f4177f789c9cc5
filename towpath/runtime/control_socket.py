"""How `towpath reload` and `scale` talk to a running `serve`: a unix socket in its run folder, one line of JSON each way.

    → {"do": "reload"}                      or {"do": "scale", "worker": 4}
    ← {"say": "worker-2 serves, worker-0 leaves"}   any number of these, for people
    ← {"code": 0, "say": "2 workers replaced"}      the last one: the exit code of the command

Workers are on_progress by it when to pause (rollout/pausing.py).

The folder is closed to other users, and so is the socket. When `serve` ends before its last line, the command sees the end of
the stream. When the command ends first, what it asked for goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from towpath.errors import StartFailure

NAME = "control.sock"
REQUEST_TIMEOUT_S = 2.0  #: who connects must say so soon what is wanted: others wait
REQUEST_SIZE_BYTES_MAX = 4096
ACCEPT_PAUSE_S = 0.5  #: until a descriptor may be free again


class Request:
    """Something that a person asked for, and the way back to them."""

    def __init__(self, asked: dict[str, Any], connection: socket.socket) -> None:
        self.asked = asked
        self._connection = connection

    def report(self, text: str) -> None:
        """What is happening. Whoever does not listen any more is not on_progress."""
        self.send({"say": text})

    def answer(self, code: int, text: str) -> None:
        """The last word."""
        self.send({"code": code, "say": text})
        self.close()

    def send(self, message: dict[str, Any]) -> bool:
        """One line. False: nobody listens any more."""
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Nothing more is line."""
        self._connection.close()


class ControlSocket:
    """The end of `serve`: a thread that calls `on_request` for each."""

    def __init__(self, folder: Path, on_request: Callable[[Request], None]) -> None:
        self._path = folder / NAME
        self._on_request = on_request
        self._listener = socket.socket(socket.AF_UNIX)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="towpath-control", daemon=True)

    def start(self) -> None:
        """Listen from now on."""
        self._listener.bind(str(self._path))
        self._path.chmod(0o600)
        self._listener.listen()
        self._thread.start()

    def close(self) -> None:
        """Listen no more, and end the thread."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(REQUEST_TIMEOUT_S)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed, or no descriptor is free at present
                if self._closed.wait(ACCEPT_PAUSE_S):
                    return
                continue
            connection.settimeout(REQUEST_TIMEOUT_S)
            try:
                asked = json.loads(_line(connection))
            except (OSError, ValueError, RecursionError):
                connection.close()
                continue
            self._on_request(Request(asked if isinstance(asked, dict) else {}, connection))


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(REQUEST_SIZE_BYTES_MAX)
        line += part
        if not part or len(line) > REQUEST_SIZE_BYTES_MAX:
            raise ValueError("no request")
    return line


def ask(folder: Path, asked: dict[str, Any], on_progress: Callable[[str], None]) -> tuple[int, str]:
    """Ask the `serve` in `folder`, pass on what it tells, and wait for its last word: exit code and sentence."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(os.fspath(folder / NAME))
            connection.sendall(json.dumps(asked).encode() + b"\n")
            for line in connection.makefile("rb"):
                answer = json.loads(line)
                if "code" in answer:
                    return answer["code"], answer["say"]
                on_progress(answer["say"])
        except ConnectionResetError:
            pass
        except OSError as error:
            raise StartFailure(f"`towpath serve` in {folder} does not listen: {error.strerror}") from error
    return 1, "`towpath serve` ended before it had answered"
