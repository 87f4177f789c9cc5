"""The process of supervisord: loads its modules, waits on its standard input for what it runs, and starts the first processes.

Run by its path, so that nothing of ours has to be imported. `serve` starts it before anything else, and both load their modules side by
side. If `serve` ends before it has said what to run, this process ends too.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys
import tempfile
import types
from typing import Any


def main() -> None:
    """Run supervisord as `serve` asks for it."""
    supervisord = _imported()
    asked = _receive()
    if asked is not None:
        _run(supervisord, asked)


def _imported() -> Any:
    """The module with supervisord, without OpenSSL, which is megabytes: TLS and passwords are not for its socket."""
    gc.disable()  # there is nothing to free in what modules make
    sys.modules["ssl"] = None  # type: ignore[assignment]  # None: this module cannot be imported
    sys.modules["hashlib"] = unused = types.ModuleType("hashlib")
    unused.__dict__["__getattr__"] = lambda _name: None
    from supervisor import supervisord

    for later in ("process", "rpcinterface", "web"):  # it would load them when it has its configuration
        importlib.import_module(f"supervisor.{later}")
    del sys.modules["hashlib"]
    gc.freeze()
    gc.enable()
    return supervisord


def _run(supervisord: Any, asked: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(asked["environment"])
    # supervisord needs a folder for temporary files, and deletes files in it: there may be none, and in that of all users it must not.
    tempfile.tempdir = asked["folder"]
    as_it_is = supervisord.Supervisor.runforever

    def runforever(self: Any) -> None:
        """Start the first processes, and go on as it is: it would start them after its first event, or a second."""
        slots = {name: each for group in self.process_groups.values() for name, each in group.processes.items()}
        for name in asked["started"]:
            slots[name].spawn()
        as_it_is(self)

    supervisord.Supervisor.runforever = runforever
    _keep_exit_statuses()
    supervisord.main(["-n", "-c", asked["configuration"]])


def _keep_exit_statuses() -> None:
    """Keep the exit status of a process that leaves too early as well: supervisor forgets it, and would report 0."""
    from supervisor.process import Subprocess, decode_wait_status

    as_it_is = Subprocess.finish

    def finish(self: Any, pid: int, status: int) -> None:
        as_it_is(self, pid, status)
        self.exitstatus = decode_wait_status(status)[0]

    Subprocess.finish = finish


def _receive() -> dict[str, Any] | None:
    """What `serve` asks for, after one byte that brings the descriptor of a listening socket along; None if `serve` has ended.

    The standard input is empty afterwards.
    """
    with socket.socket(fileno=os.dup(0)) as channel:
        first, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        with channel.makefile("rb") as rest:
            message = rest.read()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if not (first and message):
        return None
    asked: dict[str, Any] = json.loads(message)
    for descriptor in descriptors:
        os.dup2(descriptor, asked["descriptor"], inheritable=True)
        os.close(descriptor)
    return asked


if __name__ == "__main__":
    main()
