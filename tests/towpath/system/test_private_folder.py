"""The run folder and its path are closed to other users: what another local user has made is not trusted, and not used."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import BIN, environment
from towpath.errors import StartFailure
from towpath.runtime import run_dir
from towpath.runtime.run_dir import RunDir
from towpath.system.private_folder import NotPrivate, PrivateFolder
from towpath.system.processes import Identity

NOBODY = 65534
WAITS = [sys.executable, "-c", "import signal; signal.pause()"]

another_user = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in which every user may make files, as the one for temporary files."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        Path(path).chmod(0o1777)
        yield Path(path)


def given_away(path: Path) -> Path:
    """It belongs to another user from now on, as if that one had made it."""
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return path


def test_our_own_link_is_followed_and_the_path_behind_it_is_known(tmp_path: Path) -> None:
    """`/tmp` is a link on macOS, and `/var/run` on Debian."""
    (tmp_path / "real").mkdir()
    (tmp_path / "there").symlink_to("real")
    folder = PrivateFolder.open(tmp_path / "there" / ".." / "there" / "new", make=True)
    assert (folder.path, folder.made) == (tmp_path / "real" / "new", 1)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.close()


def test_a_link_that_leads_to_itself_ends(tmp_path: Path) -> None:
    """As the system has it."""
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="symbolic links"):
        PrivateFolder.open(tmp_path / "round" / "run")


@another_user
@pytest.mark.parametrize("what", ["folder", "parent", "link", "link to a parent"])
def test_what_another_user_has_made_on_the_way_is_refused(shared: Path, what: str) -> None:
    """It could become another folder at any moment, also one that was ours when we looked."""
    ours = shared / "ours"
    (ours / "run").mkdir(parents=True, mode=0o700)
    path = {
        "folder": shared / "theirs",
        "parent": shared / "theirs" / "run",
        "link": shared / "link",
        "link to a parent": shared / "parents" / "run",
    }[what]
    (shared / "theirs").mkdir()
    (shared / "link").symlink_to(ours / "run")
    (shared / "parents").symlink_to(ours)
    for name in ("theirs", "link", "parents"):
        given_away(shared / name)
    with pytest.raises(NotPrivate, match=f"another user \\(uid {NOBODY}\\)"):
        PrivateFolder.open(path, make=True)
    with pytest.raises(StartFailure, match="another user"):
        RunDir.acquire(path)
    with pytest.raises(StartFailure, match="is not to be believed"):
        run_dir.facts(path)
    assert list((ours / "run").iterdir()) == []


@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o755, False)])
def test_a_parent_in_which_others_may_exchange_folders_is_refused(tmp_path: Path, mode: int, refused: bool) -> None:
    """The sticky bit protects the files of each user."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)
    if refused:
        with pytest.raises(NotPrivate, match="may be written by other users"):
            PrivateFolder.open(tmp_path / "open" / "run", make=True)
    else:
        PrivateFolder.open(tmp_path / "open" / "run", make=True).close()


@another_user
def test_a_group_that_is_not_ours_counts_as_others(tmp_path: Path) -> None:
    """A group of one's own is usual for folders of projects."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o770)
    PrivateFolder.open(tmp_path / "open" / "run", make=True).close()
    os.chown(tmp_path / "open", 0, NOBODY)
    with pytest.raises(NotPrivate, match="may be written by other users"):
        PrivateFolder.open(tmp_path / "open" / "run")


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Nor is anything read that is no file: a pipe would hang its reader."""
    folder = PrivateFolder.open(tmp_path / "run", make=True)
    (tmp_path / "secret").write_text("x")
    (tmp_path / "run" / "facts.json").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "run" / "serve")
    for name in ("facts.json", "serve"):
        with pytest.raises(OSError, match=r"symbolic|not a file"):
            folder.read(name)
    folder.close()


@another_user
@pytest.mark.parametrize("word", ["stop", "reload", "status", "scale"])
def test_a_command_of_root_does_not_believe_a_folder_that_another_user_made(shared: Path, word: str) -> None:
    """It would end, or ask, whatever process that user has written down."""
    path = shared / "towpath-0"
    path.mkdir(mode=0o700)
    with subprocess.Popen(WAITS) as victim:
        try:
            (path / "serve").write_text(f"{Identity.of(victim.pid)}\n")
            (path / "facts.json").write_text('{"redis": "redis://127.0.0.1:1/0", "prefix": "x:"}')
            for file in (*path.iterdir(), path):
                given_away(file)
            words = [BIN / "towpath", word, *(["worker=1"] if word == "scale" else []), "--run-dir", path]
            ended = subprocess.run(words, env=environment({}), capture_output=True, text=True, timeout=60)
            assert (ended.returncode, victim.poll()) == (1, None), ended.stderr
            assert f"belongs to another user (uid {NOBODY})" in ended.stderr
        finally:
            victim.kill()


def test_nobody_is_believed_to_run_where_nobody_holds_the_folder(tmp_path: Path) -> None:
    """A number in a file says little: it may have been restored from somewhere, or be left from a container's last life."""
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "serve").write_text(f"{Identity.of(os.getpid())}\n")
    assert run_dir.facts(tmp_path / "run") is None


@another_user
def test_the_runtime_folder_of_another_user_is_not_our_default(monkeypatch: pytest.MonkeyPatch, shared: Path) -> None:
    """`su` and `sudo -E` leave its variable set."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(shared))
    assert run_dir.default_path(80, None, None) == shared / "towpath" / "80"
    given_away(shared)
    assert run_dir.default_path(80, None, None) == Path("/tmp/towpath-0/80")


def test_any_text_is_written_and_read_in_any_locale(tmp_path: Path) -> None:
    """A path may contain bytes that are no UTF-8; in an ASCII locale each other byte is one of them."""
    code = """
import sys
from pathlib import Path
from towpath.system.private_folder import PrivateFolder
folder = PrivateFolder.open(Path(sys.argv[1]))
folder.write("file", sys.argv[2])
folder.write("file", folder.read("file"))
"""
    ascii_locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    text = "sp\u00e4t \udcff"
    subprocess.run([sys.executable, "-c", code, tmp_path, text], env=environment(ascii_locale), check=True)
    assert (tmp_path / "file").read_bytes() == text.encode(errors="surrogateescape")
