"""The client of supervisord: XML-RPC over a unix socket in the run folder.

supervisor has a transport for that too, whose module brings its whole server along: 5 MiB in each `serve`. OpenSSL would be 4 MiB.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

from towpath.supervisord.conf import NO_RETRY_STATUS, SOCKET_NAME
from towpath.supervisord.process import Process
from towpath.system.absent_modules import absent

with absent("ssl"):
    import http.client
    from xml.parsers.expat import ExpatError
    from xmlrpc.client import Fault, ProtocolError, ServerProxy, Transport

GONE = frozenset({"EXITED", "BACKOFF", "FATAL"})
#: What a call raises while supervisord is not there, or ends in the middle of its answer.
NOT_THERE = (OSError, http.client.HTTPException, ProtocolError, ExpatError)


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connect. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


class _Transport(Transport):
    """Keeps one connection to the socket at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._kept: _Connection | None = None

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """The connection; it connects when it is used."""
        if self._kept is None:
            self._kept = _Connection(self._path)
        return self._kept

    def close(self) -> None:
        """End the connection. The next request makes another one."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


class Supervisor:
    """One supervisord. A command that it refuses, as its effect is there already, is no error here: poll `processes` again."""

    def __init__(self, run_dir: Path) -> None:
        self._transport = _Transport(run_dir / SOCKET_NAME)
        self._server = ServerProxy("http://127.0.0.1", transport=self._transport, allow_none=True)

    def processes(self) -> list[Process] | None:
        """Every process; None while supervisord does not answer."""
        try:
            answered: Any = self._server.supervisor.getAllProcessInfo()
        except (Fault, *NOT_THERE):
            self._transport.close()
            return None
        return [_process(info) for info in answered]

    def start(self, name: str) -> None:
        """Start one process, without waiting for it."""
        self._ask("startProcess", name)

    def stop(self, name: str) -> None:
        """Ask one process to leave, without waiting for it."""
        self._ask("stopProcess", name)

    def _ask(self, method: str, name: str) -> None:
        program = name.rpartition("-")[0] or name
        with contextlib.suppress(Fault, *NOT_THERE):
            getattr(self._server.supervisor, method)(f"{program}:{name}", False)


def _process(info: dict[str, Any]) -> Process:
    state, status = info["statename"], info["exitstatus"]
    end = f"left with exit status {status}" if status >= 0 else "was ended by a signal"
    # supervisord does not retry, as after the last of its tries.
    is_final = state == "EXITED" and status == NO_RETRY_STATUS
    was_executed = state in GONE and info["stop"] >= info["start"]
    return Process(
        name=info["name"], state="FATAL" if is_final else state, pid=info["pid"], end=end if was_executed else ""
    )
