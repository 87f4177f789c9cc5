"""A reload: its states, the checks that it begins with, and what asks for it meanwhile."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from tests.towpath.rollout.asking import SLOTS, Asking, Client
from towpath.rollout.reload import MOVES, ReloadState

BROKEN = (sys.executable, "-c", "print('towpath: no such module'); raise SystemExit(3)")


@pytest.mark.parametrize("after", ReloadState)
@pytest.mark.parametrize("before", ReloadState)
def test_a_reload_moves_by_its_table_alone(asking: Asking, before: ReloadState, after: ReloadState) -> None:
    """Any other move would be a bug of ours, and is an error at once."""
    reload = asking(BROKEN).reload
    reload._state = before
    if after in MOVES[before]:
        reload._move(after)
        assert reload._state is after
    else:
        with pytest.raises(IllegalMove, match=f"from {before.name} to {after.name}"):
            reload._move(after)
        assert reload._state is before


def test_a_reload_while_there_is_no_interpreter_leaves_the_old_workers(asking: Asking, tmp_path: Path) -> None:
    """P7. A deployment that is just replacing its environment must not end what serves."""
    asked = asking((str(tmp_path / "removed" / "python"), "-m", "towpath"))
    answer = asked.answers_to({"do": "reload"})[-1]
    assert answer["code"] == 1 and "the application cannot be loaded" in str(answer["say"])
    assert asked.errors[-1].endswith("the old workers stay")
    assert asked.fleet.current == SLOTS[:2] and not asked.rollout.busy


def test_a_reload_that_cannot_leave_its_environment_leaves_the_old_workers(asking: Asking, tmp_path: Path) -> None:
    """P7. A disk may be full, or a cleaner may have removed the folder."""
    asked = asking((sys.executable, "-c", ""))
    shutil.rmtree(tmp_path / "run")
    answer = asked.answers_to({"do": "reload"})[-1]
    assert answer["code"] == 1 and "the new environment cannot be written" in str(answer["say"])
    assert asked.fleet.current == SLOTS[:2] and not asked.rollout.busy


def test_new_code_that_cannot_be_loaded_leaves_the_old_workers_and_tells_why(asking: Asking) -> None:
    """P7. The last sentence of the check is the answer."""
    asked = asking(BROKEN)
    answer = asked.answers_to({"do": "reload"})[-1]
    assert answer == {"code": 1, "say": "no such module"}
    assert asked.errors == ["no such module; the old workers stay"]
    assert asked.fleet.current == SLOTS[:2] and not asked.rollout.busy


def test_requests_during_a_reload_share_one_more_at_its_end(asking: Asking) -> None:
    """The check that runs may have read the files of before; each more would be the same again."""
    asked = asking(BROKEN)
    first, *others = asked.answers_to_all([{"do": "reload"}] * 3)
    assert [answers[-1]["code"] for answers in (first, *others)] == [1, 1, 1]
    assert len(first) == 1
    assert all(answers[0] == {"say": "a reload is under way; this one begins at its end"} for answers in others)
    assert asked.options_read == 2 == len(asked.errors)


def test_who_waits_for_a_reload_is_answered_when_serve_ends(asking: Asking) -> None:
    """Whether the reload is under way or comes after it; and the check ends too."""
    asked = asking((sys.executable, "-c", "input()"))
    clients = [Client({"do": "reload"}) for _ in range(2)]
    for client in clients:
        asked.rollout.apply(client.request)
    assert asked.rollout.busy
    check = asked.reload._check
    assert check is not None
    asked.rollout.close("`towpath serve` stops")
    for client in clients:
        assert client.is_answered
        assert client.answers[-1] == {"code": 1, "say": "`towpath serve` stops"}
        client.close()
    assert check._process.returncode is not None
