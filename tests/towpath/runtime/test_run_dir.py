"""The folder of a running `serve`: held by one, swept by the next."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from towpath.errors import StartFailure
from towpath.runtime import run_dir, run_dir_pointer
from towpath.runtime.run_dir import RunDir
from towpath.runtime.run_dir_pointer import RunDirPointer
from towpath.system.processes import Identity, end_all

WAITS = [sys.executable, "-c", "import signal; signal.pause()"]


def test_a_folder_has_one_holder_and_is_closed_to_others(tmp_path: Path) -> None:
    """0700, and the second one learns the process that was first."""
    path = tmp_path / "run"
    folder = RunDir.acquire(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with pytest.raises(StartFailure, match=f"pid {os.getpid()}"):
        RunDir.acquire(path)
    folder.release()


@pytest.mark.parametrize(("length", "fits"), [(82, True), (83, False)])
def test_a_path_too_long_for_the_sockets_in_it_is_refused_before_anything_is_made(length: int, fits: bool) -> None:
    """Linux takes 107 bytes, and supervisord's socket has a longer name while it is made."""
    with tempfile.TemporaryDirectory() as parent:
        path = Path(parent) / ("x" * (length - len(parent) - 1))
        if fits:
            RunDir.acquire(path).release()
        else:
            with pytest.raises(StartFailure, match="too long for a unix socket; use another --run-dir"):
                RunDir.acquire(path)
        assert not path.exists()


def test_nothing_is_left_of_a_folder_that_was_made(short_path: Path) -> None:
    """And a folder that was there before stays, empty; so does one above it."""
    RunDir.acquire(short_path / "t" / "80").release()
    assert list(short_path.iterdir()) == []
    RunDir.acquire(short_path).release()
    assert list(short_path.iterdir()) == []
    (short_path / "before").mkdir()
    RunDir.acquire(short_path / "before" / "80").release()
    assert list((short_path / "before").iterdir()) == []


def test_who_comes_after_a_killed_serve_takes_away_what_that_one_had_made(tmp_path: Path) -> None:
    """The folder itself says what was made for it."""
    os.close(RunDir.acquire(tmp_path / "t" / "80").folder.descriptor)
    RunDir.acquire(tmp_path / "t" / "80").release()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_data_of_somebody_is_refused_untouched(tmp_path: Path) -> None:
    """`--run-dir .` in a project: its `logs`, `pids`, `serve` and `facts.json` are not ours."""
    for name in ("logs/app.log", "pids/worker-0", "serve", "facts.json", "towpath/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    tmp_path.chmod(0o755)
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with pytest.raises(StartFailure, match="is no run folder of `towpath serve`, and not empty; use another --run-dir"):
        RunDir.acquire(tmp_path)
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_what_somebody_puts_into_a_run_folder_stays(tmp_path: Path) -> None:
    """Also where it looks like ours; and the folder is a run folder still."""
    folder = RunDir.acquire(tmp_path / "run")
    (folder.path / "logs" / "mine.log").write_text("mine")
    (folder.path / "core.12").write_text("mine")
    folder.release()
    RunDir.acquire(tmp_path / "run").release()
    left = sorted(path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*"))
    assert left == [".towpath-run-dir", "core.12", "logs", "logs/mine.log"]


def test_facts_are_told_only_of_a_serve_that_is_alive(tmp_path: Path) -> None:
    """A number alone says nothing: it may be another process by now."""
    folder = RunDir.acquire(tmp_path / "run")
    folder.publish_facts(redis="unix:///x")
    assert run_dir.facts(folder.path) == {"redis": "unix:///x", "pid": os.getpid()}
    (folder.path / "serve").write_text(f"{os.getpid()} 12\n")
    assert run_dir.facts(folder.path) is None
    folder.release()


def test_what_a_killed_serve_left_behind_is_ended_first(tmp_path: Path) -> None:
    """Orphans would hold the port; a process that only has the number of an orphan is left alone."""
    orphan, stranger = subprocess.Popen(WAITS), subprocess.Popen(WAITS)
    killed = RunDir.acquire(tmp_path / "run")
    killed.record("worker-0", orphan.pid)
    (killed.path / "pids" / "worker-1").write_text(f"{stranger.pid} 12\n")
    killed.folder.close()
    folder = RunDir.acquire(tmp_path / "run")
    assert orphan.wait(10) == -signal.SIGTERM
    assert stranger.poll() is None
    assert folder.children() == []
    folder.release()
    stranger.kill()
    stranger.wait()


def test_a_signal_reaches_the_very_process_that_was_written_down_or_nobody() -> None:
    """Its number may be another's by now."""
    with subprocess.Popen(WAITS) as process:
        known = Identity.of(process.pid)
        assert known is not None
        Identity(process.pid, "12").send(signal.SIGKILL)
        assert Identity(process.pid, "12").wait_gone(0), "that one has gone"
        assert not known.wait_gone(0)
        known.send(signal.SIGTERM)
        assert known.wait_gone(20)
    assert process.returncode == -signal.SIGTERM


def test_an_orphan_that_does_not_listen_is_killed() -> None:
    """Patience ends."""
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    deaf = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert deaf.stdout is not None
    deaf.stdout.readline()
    known = Identity.of(deaf.pid)
    assert known is not None
    end_all([known], 0.1)
    assert deaf.wait(10) == -signal.SIGKILL
    deaf.stdout.close()


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((8000, None, None), "8000"),
        ((8000, "/run/x.sock", None), "uds-run-x.sock"),
        ((8000, None, 3), "8000"),
        ((0, None, 3), "fd-3"),
    ],
)
def test_every_place_to_listen_at_has_a_folder_of_its_own(
    place: tuple[int, str | None, int | None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that `status` and `stop` find a `serve` by the same options."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert run_dir.default_path(*place) == Path("/run/user/1/towpath") / name
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert run_dir.default_path(*place) == Path(f"/tmp/towpath-{os.getuid()}") / name


def test_a_unix_socket_has_one_folder_however_its_path_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`status` may be asked from another folder than `serve` was started in."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    names = {run_dir.default_path(0, uds, None) for uds in ("../x.sock", str(tmp_path / "x.sock"))}
    assert len(names) == 1


def test_a_serve_with_a_run_folder_of_its_own_is_found_by_its_place(tmp_path: Path) -> None:
    """As long as it runs; the last one counts, and nothing is left."""
    place, first, last = tmp_path / "t" / "80", tmp_path / "first", tmp_path / "last"
    assert RunDirPointer.write(place, place) is None, "it is the default, where commands look"
    one, two = RunDirPointer.write(place, first), RunDirPointer.write(place, last)
    assert one is not None and two is not None
    (tmp_path / "t" / "81.run-dir").write_text(str(tmp_path / "of a killed one"))
    assert RunDirPointer.write(place, last) is not None
    one.remove()
    assert run_dir_pointer.follow(place) == last
    two.remove()
    assert run_dir_pointer.follow(place) == place
    assert list(tmp_path.glob("t/*")) == []
