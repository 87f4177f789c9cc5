"""A rollout without processes, and a client that sends requests to it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.facts import wait_until
from towpath.fleet.fleet import Fleet
from towpath.rollout.operations import Operations
from towpath.rollout.reload import NewCode, NewOptions, Reload
from towpath.rollout.rollout import Rollout
from towpath.runtime.control_socket import Request
from towpath.runtime.process_table import ProcessTable
from towpath.runtime.run_dir import RunDir
from towpath.runtime.worker_environment import WorkerEnvironment
from towpath.status.lease_reader import LeaseReader

SLOTS = [f"worker-{number}" for number in range(4)]


class Client:
    """One request, and what came back so far."""

    def __init__(self, asked: dict[str, Any]) -> None:
        here, self._there = socket.socketpair()
        self._there.setblocking(False)
        self.request = Request(asked, here)
        self.answers: list[dict[str, Any]] = []

    def read(self) -> None:
        try:
            self.answers.extend(map(json.loads, self._there.recv(4096).splitlines()))
        except BlockingIOError:
            pass

    @property
    def is_answered(self) -> bool:
        self.read()
        return bool(self.answers) and "code" in self.answers[-1]

    def close(self) -> None:
        self.request.close()
        self._there.close()


class Asked:
    """A rollout without processes."""

    def __init__(self, folder: RunDir, status: LeaseReader, check_command: Sequence[str]) -> None:
        self.logged: list[str] = []
        self.errors: list[str] = []
        self.options_read = 0
        self.fleet = Fleet(SLOTS, 2, count_max=2)
        operations = Operations(self.logged.append, self.errors.append)
        new_code = NewCode(self._read, check_command)
        self.reload = Reload(self.fleet, new_code, WorkerEnvironment(folder.folder, {}), operations)
        self.rollout = Rollout(ProcessTable(folder), status, {"worker": self.fleet}, self.reload, operations)

    def answers_to(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """All that one request gets, the answer last."""
        (answers,) = self.answers_to_all([asked])
        return answers

    def answers_to_all(self, requests: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """The same for requests that come at the same time."""
        clients = [Client(asked) for asked in requests]
        for client in clients:
            self.rollout.apply(client.request)

        def are_answered() -> bool:
            self.rollout.poll({})
            return all(client.is_answered for client in clients)

        wait_until(are_answered, "the answers")
        for client in clients:
            client.close()
        return [client.answers for client in clients]

    def _read(self) -> NewOptions:
        self.options_read += 1
        return NewOptions({"TOWPATH_GENERATION": "fleet/0"}, 0.0)


Asking = Callable[[Sequence[str]], Asked]
