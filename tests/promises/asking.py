"""Clients that ask all the while, whatever befalls Redis, and how soon they are answered again. P9."""

from __future__ import annotations

import itertools
import threading
import time

import httpx
from websockets.sync.client import ClientConnection

from tests.support.plain_http import PLAIN
from tests.support.serving import Server

BACK_S = 2.0  #: from the end of the trouble until new work flows
ANSWER_TIMEOUT_S = 30.0


class Asking:
    """Clients in a closed loop: none of them may ever hang."""

    def __init__(self, interface: Server, clients: int = 3) -> None:
        self.answers: list[tuple[float, int]] = []  # when, and the status
        self.faults: list[str] = []
        self._over = threading.Event()
        self._names = itertools.count(1)
        self._url = interface.url
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def _ask(self, number: int) -> None:
        methods = ("GET", "POST")
        with httpx.Client(**PLAIN, timeout=ANSWER_TIMEOUT_S) as client:
            while not self._over.wait(0.01):
                try:
                    answer = client.request(methods[number % 2], f"{self._url}/hello/{next(self._names)}")
                except httpx.HTTPError as error:
                    self.faults.append(repr(error))
                else:
                    self.answers.append((time.monotonic(), answer.status_code))

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def after(self, moment: float) -> list[int]:
        return [status for when, status in list(self.answers) if when > moment]


def echo(socket: ClientConnection, text: str, timeout_s: float = 15) -> None:
    socket.send(text)
    assert socket.recv(timeout=timeout_s) == text


def answered(interface: Server) -> bool:
    """Does new work flow?"""
    try:
        return httpx.get(f"{interface.url}/hello", **PLAIN, timeout=BACK_S).status_code == 200
    except httpx.HTTPError:
        return False


def flows_again(interface: Server) -> float:
    """After how long new work flows."""
    began = time.monotonic()
    while not answered(interface):
        assert time.monotonic() - began < 40, f"no new work flows\n{interface.log[-4000:]}"
    return time.monotonic() - began
