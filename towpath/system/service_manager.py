"""The service manager that has started this process, such as systemd: it is told when the process serves, reloads and stops.

It waits for datagrams at the unix socket that `NOTIFY_SOCKET` names (sd_notify(3)). Without that variable nothing is sent. A datagram
that cannot be sent is reported on standard error, and stops nothing.
"""

from __future__ import annotations

import os
import socket
import time
from enum import Enum, auto

from channel_layer.protocol.illegal_move import legal_move
from towpath.system import standard_streams

VARIABLE = "NOTIFY_SOCKET"
TIMEOUT_S = 1.0  #: the service manager reads at once; one that hangs delays no client


class Stage(Enum):
    """What the service manager was told last."""

    STARTING = auto()  # nothing
    READY = auto()
    RELOADING = auto()
    STOPPING = auto()


#: Every legal move. Telling the same again is none, and does nothing.
MOVES = {
    Stage.STARTING: (Stage.READY, Stage.STOPPING),
    Stage.READY: (Stage.RELOADING, Stage.STOPPING),
    Stage.RELOADING: (Stage.READY, Stage.STOPPING),
    Stage.STOPPING: (),
}


class ServiceManager:
    """The service manager of this process, if it has one."""

    def __init__(self, address: str | None) -> None:
        """address: of its socket; `@` in front: an abstract one. None or empty: there is no service manager."""
        self._address = address
        self._stage = Stage.STARTING

    def report_ready(self) -> None:
        """Tell that the process serves, or that it has reloaded."""
        self._send(Stage.READY, "READY=1")

    def report_reloading(self) -> None:
        """Tell that the process reloads. `report_ready` ends that."""
        self._send(
            Stage.RELOADING, f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def report_stopping(self) -> None:
        """Tell that the process stops."""
        self._send(Stage.STOPPING, "STOPPING=1")

    def _send(self, stage: Stage, text: str) -> None:
        if stage is self._stage or self._stage is Stage.STOPPING:  # what ends a reload may come after the stop
            return
        self._stage = legal_move(MOVES, self._stage, stage, "what the service manager knows")
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(TIMEOUT_S)
                sender.sendto(text.encode(), _place(self._address))
        except OSError as error:
            line = f"towpath: the service manager at {self._address} cannot be told {text.splitlines()[0]}: {error}\n"
            standard_streams.write(standard_streams.STANDARD_ERROR, line.encode())


def of_this_process() -> ServiceManager:
    """The service manager that the environment names. Processes that this one starts are not told of it any more."""
    return ServiceManager(os.environ.pop(VARIABLE, None))


def _place(address: str) -> str:
    """The address as the kernel wants it: the name of an abstract socket begins with a zero byte."""
    return f"\0{address[1:]}" if address.startswith("@") else address
