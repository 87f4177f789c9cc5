"""The admin port of each process of one `serve`: --admin-port and the number of its slot, for workers 100 more.

So interface-2 has the third port from --admin-port on, and worker-2 the third from 100 behind it, however many of them run.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

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
            f"--admin-port has ports for {WORKERS_FROM} interface servers, and --interfaces-max (4 times --interfaces if not given) "
            f"is {interfaces}",
            "admin_port",
        )
    last = first + WORKERS_FROM + workers - 1
    if last > PORT_MAX:
        raise BadSetting(
            f"--admin-port {first} leaves no port for the last of {workers} slots of workers, twice --workers-max: "
            f"it would be {last}, beyond {PORT_MAX}",
            "admin_port",
        )


def sentence(first: int, slot: str | None, why: str) -> str:
    """What is wrong with the admin port of this slot, and from which option it follows. why: `is in use`."""
    port = of_slot(first, slot)
    return (
        f"admin port {port} {why}"
        if slot is None
        else f"admin port {port} of {slot} {why}; it follows from --admin-port {first}"
    )


def check_apart(first: int, slots: Iterable[str | None], admin_host: str, host: str, port: int) -> None:
    """BadSetting if one of these slots would have the port for clients too. port: 0 if that is no fixed one."""
    if not first or not port or not _overlap(admin_host, host):
        return
    for slot in slots:
        if of_slot(first, slot) == port:
            raise BadSetting(sentence(first, slot, "is the --port for clients too"), "admin_port")


def _overlap(one: str, other: str) -> bool:
    """True unless both are addresses and not the same one. A name may stand for any address."""
    try:
        addresses = {ip_address(one), ip_address(other)}
    except ValueError:
        return True
    return len(addresses) == 1 or any(address.is_unspecified for address in addresses)
