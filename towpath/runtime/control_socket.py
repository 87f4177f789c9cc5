"""The control socket of a running `serve`, for `reload` and `scale`: lines of JSON on a unix socket.

    → {"do": "reload"}                      or {"do": "scale", "worker": 4}
    ← {"say": "worker-2 serves, worker-0 leaves"}   any number of reports, for people
    ← {"code": 0, "say": "2 workers replaced"}      the answer, with the exit code of the command

Workers learn from it when to pause (rollout/pausing.py).

It lies in the run folder, which is closed to other users, and so is the socket. When `serve` ends before it has answered, the
command sees the end of the stream. When the command ends first, its request is still carried out.
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
REQUEST_TIMEOUT_S = 2.0  #: for the request of a new connection: others wait
REQUEST_SIZE_BYTES_MAX = 4096
ACCEPT_PAUSE_S = 0.5  #: before the next try, when no descriptor is free


class Request:
    """A request to `serve`, and the connection for its answer."""

    def __init__(self, asked: dict[str, Any], connection: socket.socket) -> None:
        self.asked = asked
        self._connection = connection

    def report(self, text: str) -> None:
        """Report progress. It is dropped if the other side has closed the connection."""
        self.send({"say": text})

    def answer(self, code: int, text: str) -> None:
        """Send the answer and close the connection."""
        self.send({"code": code, "say": text})
        self.close()

    def send(self, message: dict[str, Any]) -> bool:
        """Send one line. False if the other side has closed the connection."""
        try:
            self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class ControlSocket:
    """The listening side, in `serve`: a thread that calls `on_request` for each request."""

    def __init__(self, folder: Path, on_request: Callable[[Request], None]) -> None:
        self._path = folder / NAME
        self._on_request = on_request
        self._listener = socket.socket(socket.AF_UNIX)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="towpath-control", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._listener.bind(str(self._path))
        self._path.chmod(0o600)
        self._listener.listen()
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and end the thread."""
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
    """Send a request to the `serve` in `folder`, pass on its reports, and return its answer: exit code and sentence."""
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
