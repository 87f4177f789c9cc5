"""How long a thread was ready to run and had no CPU."""

from __future__ import annotations

import os
import threading
import time

import pytest

from channel_layer.process import cpu_wait
from channel_layer.process.cpu_wait import CpuWait
from tests.support.facts import wait_until


def test_a_thread_that_shares_its_cpu_waits_for_it() -> None:
    """Four processes on one CPU, this thread among them."""
    before = os.sched_getaffinity(0)
    waited: list[float] = []

    def measure() -> None:
        os.sched_setaffinity(0, {min(before)})  # of this thread alone
        wait = CpuWait()
        end = time.monotonic() + 20.0
        while wait.total_s() < 0.02 and time.monotonic() < end:
            pass
        waited.append(wait.total_s())
        wait.close()

    thread = threading.Thread(target=measure)
    rivals = [rival(min(before)) for _ in range(3)]
    thread.start()
    wait_until(lambda: waited, "it has waited")
    thread.join()
    for pid in rivals:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert waited[0] >= 0.02


def rival(cpu: int) -> int:
    """A process that keeps this CPU busy until it is killed, or for a minute."""
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {cpu})
        end = time.monotonic() + 60.0
        while time.monotonic() < end:
            pass
        os._exit(0)
    return pid


def test_where_linux_does_not_tell_it_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_wait, "SCHEDSTAT", "/proc/no-such-file")
    wait = CpuWait()
    assert wait.total_s() == 0.0
    wait.close()
    wait.close()
