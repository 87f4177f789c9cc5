"""The first process of a container, which takes over the processes whose parents have gone.

The kernel makes process 1 their parent, and a process that it does not wait for stays as a zombie. A worker cannot wait for unknown
processes: it would take exit statuses away from the `subprocess` of its application. So the command runs in a child, and process 1 does
what an init does:

* It waits for every process that ends, and exits with the exit status of the command.
* It forwards signals. A terminal sends Ctrl-C to both, so that is left to the terminal.

Standard library alone: it runs before anything else is imported, and stays small.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from towpath.system.standard_streams import STANDARD_INPUT

SOCKETS_FOR = "LISTEN_PID"  #: names the process for which listening sockets were passed: the command, then
KILLED_BY = 128  #: the exit code of a command that a signal has ended, less the number of the signal, as in shells
OF_THE_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH})


def become_init() -> None:
    """In process 1, return in a child, and stay behind as its init. Elsewhere, return at once."""
    if os.getpid() != 1:
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    command = os.fork()
    if command == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if os.environ.get(SOCKETS_FOR) == "1":
            os.environ[SOCKETS_FOR] = str(os.getpid())
        return
    _supervise(command)


def _supervise(command: int) -> NoReturn:
    left_to_terminal = OF_THE_TERMINAL if os.isatty(STANDARD_INPUT) else frozenset()
    while True:
        number = signal.sigwait(signal.valid_signals())
        if number == signal.SIGCHLD:
            _wait_for_ended(command)
        elif number not in left_to_terminal:
            os.kill(command, number)


def _wait_for_ended(command: int) -> None:
    """Wait for every process that has ended, and exit if the command is one of them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == command:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else KILLED_BY - code)
        if pid == 0:
            return
