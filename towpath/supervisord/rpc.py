"""The client of supervisord: XML-RPC over a unix socket in the run folder."""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from towpath.supervisord.conf import NO_RETRY_STATUS, SOCKET_NAME
from towpath.supervisord.process import Process

GONE = frozenset({"EXITED", "BACKOFF", "FATAL"})
NOT_THERE = (OSError, http.client.HTTPException, ProtocolError)


class Supervisor:
    """One supervisord. A command that it refuses, as its effect is there already, is no error here: poll `processes` again."""

    def __init__(self, run_dir: Path) -> None:
        transport = SupervisorTransport(None, None, f"unix://{run_dir / SOCKET_NAME}")
        self._server = ServerProxy("http://127.0.0.1", transport=transport, allow_none=True)
        self._transport = transport

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
