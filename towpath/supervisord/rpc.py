"""Talking to supervisord: XML-RPC over a unix socket in the run folder."""

from __future__ import annotations

import contextlib
import http.client
from typing import Any
from xmlrpc.client import Fault, ProtocolError, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from towpath.runtime.run_dir import RunDir
from towpath.supervisord.conf import GIVEN_UP, SOCKET_NAME, WORKER
from towpath.supervisord.process import Process

GONE = frozenset({"EXITED", "BACKOFF", "FATAL"})
NOT_THERE = (OSError, http.client.HTTPException, ProtocolError)


class Supervisor:
    """One supervisord. Whatever it refuses because it is so already, is no error here: look at `processes` again."""

    def __init__(self, folder: RunDir) -> None:
        transport = SupervisorTransport(None, None, f"unix://{folder.path / SOCKET_NAME}")
        self._folder = folder
        self._server = ServerProxy("http://127.0.0.1", transport=transport, allow_none=True)
        self._transport = transport

    def processes(self) -> dict[str, Process] | None:
        """Every process by its name; None while supervisord does not answer."""
        try:
            answered: Any = self._server.supervisor.getAllProcessInfo()
        except (Fault, *NOT_THERE):
            self._transport.close()
            return None
        return {info["name"]: self._process(info) for info in answered}

    def start(self, name: str) -> None:
        """Start one process, and do not wait for it."""
        self._folder.forget(name)
        self._ask("startProcess", name)

    def stop(self, name: str) -> None:
        """Ask one process to leave, and do not wait for it."""
        with contextlib.suppress(OSError):  # it finds out a moment later
            self._folder.say_that_it_leaves(name)
        self._ask("stopProcess", name)

    def _ask(self, method: str, name: str) -> None:
        program = name.rpartition("-")[0] or name
        with contextlib.suppress(Fault, *NOT_THERE):
            getattr(self._server.supervisor, method)(f"{program}:{name}", False)

    def _process(self, info: dict[str, Any]) -> Process:
        name = info["name"]
        sentence = self._folder.failure(name)
        state, status = info["statename"], info["exitstatus"]
        end = f"left with exit status {status}" if status >= 0 else "was ended by a signal"
        given_up = state == "EXITED" and status == GIVEN_UP  # by everybody, as after the last of its tries
        return Process(
            name,
            "FATAL" if given_up else state,
            info["pid"],
            sentence is not None,
            sentence or "",
            self._folder.wish(name),
            end if state in GONE and info["stop"] >= info["start"] else "",  # else it could not even be executed
            not name.startswith(WORKER) or self._folder.has_loaded(name),
        )
