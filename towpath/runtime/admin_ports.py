"""The admin port of each process of one `serve`: --admin-port and the number of its slot, for workers 100 more.

So interface-2 has the third port from --admin-port on, and worker-2 the third from 100 behind it, however many of them run.
"""

from __future__ import annotations

from towpath.errors import BadSetting

WORKERS_FROM = 100  #: the first port of a worker, from --admin-port on
PORT_MAX = 65_535


def of_slot(first: int, slot: str | None) -> int:
    """The admin port of the process in this slot (`worker-3`); without a slot, `first` itself.

    first: --admin-port; 0: there is no admin port.
    """
    if not first or slot is None:
        return first
    role, _, number = slot.rpartition("-")
    return first + int(number) + (WORKERS_FROM if role == "worker" else 0)


def check(first: int, interfaces: int, workers: int) -> None:
    """BadSetting if so many slots have no port each."""
    if not first:
        return
    if interfaces > WORKERS_FROM:
        raise BadSetting(
            f"--admin-port has ports for {WORKERS_FROM} interface servers, and --interfaces-max is {interfaces}",
            "admin_port",
        )
    last = first + WORKERS_FROM + workers - 1
    if last > PORT_MAX:
        raise BadSetting(
            f"--admin-port {first} leaves no port for the last worker: it would be {last}, beyond {PORT_MAX}",
            "admin_port",
        )
