"""Sockets that systemd passes: in processes that got them as it passes them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.serving import environment

ROOT = Path(__file__).parents[3]
#: Takes the place that systemd has: descriptors from 3 on, and variables that name this process.
AS_SYSTEMD = Path(__file__).parents[2] / "support" / "as_systemd.py"
ASK = """
import sys
from towpath.errors import StartFailure
from towpath.runtime import passed_socket
try:
    print(passed_socket.descriptor(sys.argv[1:]))
except StartFailure as failure:
    print(failure)
"""


def asked(sockets: Sequence[socket.socket], *given: str, env: dict[str, str] | None = None) -> str:
    """What `descriptor` answers, or why it fails, in a process to which these sockets were passed."""
    numbers = [each.fileno() for each in sockets]
    ask = [sys.executable, "-c", ASK, *given]
    command = [sys.executable, str(AS_SYSTEMD), ",".join(map(str, numbers)), *ask]
    if not numbers:
        command = ask
    done = subprocess.run(
        command, cwd=ROOT, env=environment(env or {}), pass_fds=numbers, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_socket_that_is_passed_is_the_one_to_listen_on() -> None:
    """Of either kind, and whatever else is said of it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert asked([listening]) == "3"
        assert asked([listening], "backlog", "redis") == "3"


def test_without_a_socket_nothing_changes() -> None:
    """A variable that is left from a parent names another process."""
    assert asked([]) == "None"
    assert asked([], env={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == "None"
    assert asked([], "port") == "None"


@pytest.mark.parametrize("name", ["host", "port", "uds"])
def test_another_address_at_the_same_time_is_a_mistake(name: str) -> None:
    """P12. Else one of the two would be ignored."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert (
            asked([listening], name)
            == f"systemd passes a socket to listen on, and --{name} is given too; leave one of them out"
        )


def test_of_several_sockets_one_is_chosen_by_fd() -> None:
    """P12. A process listens on one."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        assert asked([one, other]) == (
            "systemd passes 2 sockets, and a process listens on one: leave one ListenStream= in the .socket unit, "
            "or choose one by --fd (3 to 4)"
        )
        assert asked([one, other], "fd") == "None"


def test_a_socket_that_does_not_listen_is_refused(tmp_path: Path) -> None:
    """P12. `Accept=yes` passes connections, `ListenDatagram=` another kind of socket, `ListenFIFO=` none."""
    here, there = socket.socketpair()
    with here, there, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for each in (here, datagrams):
            assert (
                asked([each]) == "the socket that systemd passes does not listen: it needs ListenStream= and Accept=no"
            )
    with (tmp_path / "file").open("w") as file:
        assert asked([file]).startswith("systemd passes descriptor 3, which is no socket: ")  # type: ignore[list-item]
