"""What a service manager is told, by real datagrams."""

from __future__ import annotations

import os
import re
import time
from contextlib import closing
from pathlib import Path

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from tests.support.notify_socket import NotifySocket, notify_socket
from towpath.system import service_manager
from towpath.system.service_manager import ServiceManager


def test_each_stage_is_told_once(tmp_path: Path) -> None:
    """systemd takes a second READY=1 for the end of a reload."""
    with notify_socket(tmp_path) as told:
        manager = ServiceManager(told.address)
        manager.report_ready()
        manager.report_ready()
        assert told.waiting() == "READY=1"
        before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        manager.report_reloading()
        manager.report_reloading()
        text = told.waiting()
        moment = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", text or "")
        assert moment is not None, text
        assert before_us <= int(moment[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        manager.report_ready()
        manager.report_stopping()
        manager.report_stopping()
        assert [told.waiting(), told.waiting(), told.waiting()] == ["READY=1", "STOPPING=1", None]


def test_what_ends_after_the_stop_is_not_told(tmp_path: Path) -> None:
    """A reload that is cut off by SIGTERM."""
    with notify_socket(tmp_path) as told:
        manager = ServiceManager(told.address)
        manager.report_stopping()
        manager.report_ready()
        manager.report_reloading()
        assert [told.waiting(), told.waiting()] == ["STOPPING=1", None]


def test_what_has_not_served_does_not_reload() -> None:
    """An error in this program."""
    with pytest.raises(IllegalMove):
        ServiceManager(None).report_reloading()


def test_an_abstract_socket_is_one_without_a_file() -> None:
    """Containers use them: `@` stands for the zero byte."""
    with closing(NotifySocket(f"@towpath-test-{os.getpid()}")) as told:
        ServiceManager(told.address).report_ready()
        assert told.waiting() == "READY=1"


def test_a_socket_that_has_gone_is_a_line_and_no_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a line the operator would see a start that times out, and no reason."""
    ServiceManager(str(tmp_path / "gone")).report_ready()
    assert capfd.readouterr().err == (
        f"towpath: the service manager at {tmp_path / 'gone'} cannot be told READY=1: [Errno 2] No such file or directory\n"
    )


def test_processes_of_ours_are_not_told_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the application starts has nothing to tell."""
    with notify_socket(tmp_path) as told:
        monkeypatch.setenv(service_manager.VARIABLE, told.address)
        service_manager.of_this_process().report_ready()
        assert service_manager.VARIABLE not in os.environ
        service_manager.of_this_process().report_ready()
        assert [told.waiting(), told.waiting()] == ["READY=1", None]
