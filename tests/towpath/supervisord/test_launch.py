"""A supervisord that is launched before its configuration is known."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.facts import wait_until
from towpath.supervisord import conf as supervisord_conf
from towpath.supervisord.conf import Plan
from towpath.supervisord.launch import Launch
from towpath.supervisord.rpc import Supervisor
from towpath.system.processes import Identity

NUMBER = supervisord_conf.DESCRIPTORS_CLOSED_BELOW + 7
#: Stands for each process: leaves a file with its variable, and with the address of the socket that it has inherited.
PROGRAM = f"""
import os, pathlib, socket, sys, time
try:
    port = socket.socket(fileno={NUMBER}).getsockname()[1]
except OSError:
    port = None
path = pathlib.Path(os.environ["LEFT"], os.environ["SUPERVISOR_PROCESS_NAME"])
path.with_suffix(".draft").write_text(f"{{port}} {{os.environ.get('FOREIGN')}}")
path.with_suffix(".draft").rename(path)
time.sleep(60)
"""
Configured = Callable[..., Path]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Writes a configuration, and the program that it starts; its path."""

    def write(**changed: object) -> Path:
        for folder in ("pids", "logs", "left"):
            (tmp_path / folder).mkdir()
        program = tmp_path / "program.py"
        program.write_text(PROGRAM)
        plan = Plan(
            command=(sys.executable, str(program)), app="module", run_dir=str(tmp_path), socket=None, descriptor=NUMBER,
            embedded=False, interfaces_max=2, user="root" if os.geteuid() == 0 else None,
        )  # fmt: skip
        path = tmp_path / supervisord_conf.FILE_NAME
        path.write_text(supervisord_conf.render(dataclasses.replace(plan, **changed)))  # type: ignore[arg-type]  # a test's own
        return path

    return write


@contextmanager
def ended(supervisord: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """It is ended behind the block, with the processes that it has started."""
    try:
        yield supervisord
    finally:
        supervisord.terminate()
        supervisord.communicate()


def left(path: Path) -> set[str]:
    return {each.name for each in (path.parent / "left").iterdir() if not each.suffix}


def test_it_starts_the_first_processes_without_being_asked(configured: Configured) -> None:
    """By itself supervisord would start them after its first event, or a second."""
    path = configured()
    environment = {**os.environ, "LEFT": str(path.parent / "left")}
    with ended(Launch().run(path, environment, ["interface-0", "worker-1"], None)):
        wait_until(lambda: left(path) == {"interface-0", "worker-1"}, "the first processes are there")


def test_the_exit_status_of_a_process_that_leaves_at_once_is_the_true_one(configured: Configured) -> None:
    """supervisor forgets it if the process has not lived for a second, and would report 0."""
    path = configured()
    (path.parent / "program.py").write_text("import os; os._exit(9)")
    with ended(Launch().run(path, os.environ, ["worker-0"], None)):
        supervisor = Supervisor(path.parent)

        def how_it_left() -> set[str]:
            return {each.end for each in supervisor.processes() or () if each.name == "worker-0"}

        wait_until(lambda: how_it_left() == {"left with exit status 9"}, "it has left")


def test_percent_signs_in_the_path_of_the_run_folder_mean_nothing(
    configured: Configured, tmp_path: Path, short_path: Path
) -> None:
    """supervisord expands some of its values twice, and one that is not in its file."""
    folder = short_path / "50%s %(process_num)d"
    for name in ("pids", "logs"):
        (folder / name).mkdir(parents=True)
    path = configured(run_dir=str(folder)).rename(folder / supervisord_conf.FILE_NAME)
    with ended(Launch().run(path, {**os.environ, "LEFT": str(tmp_path / "left")}, ["worker-0"], None)):
        wait_until(lambda: (tmp_path / "left" / "worker-0").exists(), "the first process is there")
        assert (folder / "logs" / "worker-0").exists()


def test_its_processes_get_the_given_environment_alone_and_the_descriptor_under_its_number(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREIGN", "of the process that launched it")
    path = configured()
    environment = {name: value for name, value in os.environ.items() if name != "FOREIGN"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.dup2(listener.fileno(), NUMBER)
        try:
            launch = Launch()
            supervisord = launch.run(path, {**environment, "LEFT": str(path.parent / "left")}, ["interface-0"], NUMBER)
        finally:
            os.close(NUMBER)
        with ended(supervisord):
            wait_until(lambda: left(path) == {"interface-0"}, "the process is there")
        text = (path.parent / "left" / "interface-0").read_text()
        assert text == f"{listener.getsockname()[1]} None"


def test_it_is_ended_if_there_is_nothing_to_run() -> None:
    """An option was wrong, or the port is in use."""
    launch = Launch()
    process = Identity.of(launch.pid)
    launch.drop()
    launch.drop()
    assert process is not None and not process.is_alive


def test_one_that_runs_is_not_dropped(configured: Configured) -> None:
    path = configured()
    launch = Launch()
    with ended(launch.run(path, os.environ, [], None)) as supervisord:
        launch.drop()
        wait_until(lambda: (path.parent / supervisord_conf.SOCKET_NAME).is_socket(), "it answers")
        assert supervisord.poll() is None


def test_it_ends_with_a_serve_that_was_killed_before_it_could_say_what_to_run() -> None:
    code = "import time; from towpath.supervisord.launch import Launch; print(Launch().pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as serve:
        assert serve.stdout is not None
        process = Identity.of(int(serve.stdout.readline()))
        serve.send_signal(signal.SIGKILL)
    assert process is not None
    wait_until(lambda: not process.is_alive, "it has ended")


def test_it_ends_if_nothing_can_tell_it_any_more_what_to_run() -> None:
    """On systems that send no signal when a parent dies, this is what ends it."""
    launch = Launch()
    launch._channel.close()
    assert launch._process.wait(30) == 0
    launch.drop()


def test_what_it_writes_when_it_dies_is_there_to_be_read(tmp_path: Path) -> None:
    """`serve` shows it, and ends."""
    supervisord = Launch().run(tmp_path / "missing.conf", os.environ, [], None)
    text, _ = supervisord.communicate()
    assert supervisord.returncode and b"missing.conf" in text
