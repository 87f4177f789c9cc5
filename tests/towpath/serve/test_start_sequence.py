"""What `serve` says about a start that fails does not depend on when it looked."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from towpath.serve import start_sequence as start_sequence_module
from towpath.serve.log_pipes import LogPipes
from towpath.serve.start_sequence import FailedStart, StartSequence
from towpath.serve.startup_output import StartupOutput
from towpath.supervisord.process import Process


@pytest.mark.parametrize("seen_loading", [True, False], ids=["seen while it loaded", "seen only when it had ended"])
def test_a_worker_that_loaded_and_failed_is_told_from_one_that_cannot_load(tmp_path: Path, seen_loading: bool) -> None:
    """P12. APP can be loaded, so the sentence names the worker that could not start. There is no greeting: nothing is served."""
    sequence, shown = start_sequence(tmp_path)
    if seen_loading:
        running = Process(name="worker-0", state="STARTING", pid=7, loaded=True)
        assert sequence.poll_processes({"worker-0": running}, ["worker-0"], ["worker-0"], frozenset()) is False
    ended = Process(name="worker-0", state="BACKOFF", cannot_start=True, reason="no lifespan", loaded=True)
    found = poll_to_the_end(sequence, ended)
    assert found == FailedStart("worker-0 could not start: no lifespan")
    assert shown == []


@pytest.mark.parametrize("late", [False, True], ids=["it listens in time", "its marker cannot be written"])
def test_the_greeting_comes_when_clients_are_accepted(
    tmp_path: Path, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12. It says an address. A lease is written before the interface server listens, and a full disk holds no start up."""
    sequence, shown = start_sequence(tmp_path)
    names, leases = ["interface-0", "worker-0"], frozenset({7, 8})
    worker = Process(name="worker-0", state="RUNNING", pid=8)
    deaf = Process(name="interface-0", state="RUNNING", pid=7, listens=False)
    seen = {"interface-0": deaf, "worker-0": worker}
    assert sequence.poll_processes(seen, names, ["worker-0"], frozenset({8})) is False
    assert sequence.poll_processes(seen, names, ["worker-0"], leases) is False
    assert shown == []
    if late:
        monkeypatch.setattr(start_sequence_module, "LISTENS_WITHIN_S", 0.0)
    else:
        seen = {**seen, "interface-0": replace(deaf, listens=True)}
    assert sequence.poll_processes(seen, names, ["worker-0"], leases) is True
    assert shown == ["greeting"]


def test_a_worker_that_could_not_load_is_reported_as_if_loading_had_been_tried_beforehand(tmp_path: Path) -> None:
    """No greeting: its own sentence is all there is to show."""
    sequence, shown = start_sequence(tmp_path)
    ended = Process(name="worker-0", state="BACKOFF", cannot_start=True, reason="no module", loaded=False)
    assert poll_to_the_end(sequence, ended) == FailedStart("no module", "worker-0")
    assert shown == []


def start_sequence(tmp_path: Path) -> tuple[StartSequence, list[str]]:
    """A start of one worker, and the list that its greeting is added to."""
    shown: list[str] = []
    folder = os.open(tmp_path, os.O_RDONLY)
    pipes = LogPipes(folder, ["worker-0"], lambda lines: None)
    os.close(folder)
    return StartSequence(StartupOutput("small", pipes, lambda: shown.append("greeting"))), shown


def poll_to_the_end(sequence: StartSequence, ended: Process) -> FailedStart | bool:
    """The last of the polls that see this process alone; a failure may need a second one."""
    for _ in range(2):
        found = sequence.poll_processes({ended.name: ended}, [ended.name], [ended.name], frozenset())
        if found:
            break
    return found
