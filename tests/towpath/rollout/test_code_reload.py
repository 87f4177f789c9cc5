"""Which changes concern the application."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.facts import wait_until
from towpath.rollout.code_reload import ReloadWatch, Watched


@pytest.mark.parametrize(
    ("path", "concerns"),
    [
        ("/app/views.py", True),
        ("/app/page.html", True),
        ("/app/style.css", False),
        ("/app/tests/test_views.py", False),
        ("/app/generated.py", False),
    ],
)
def test_patterns_say_what_is_watched_beside_python(path: str, concerns: bool) -> None:
    """--reload-include adds, --reload-exclude takes away and wins."""
    watched = Watched((Path("/app"),), include=("*.html",), exclude=("tests", "generated.py"))
    assert watched.concerns(path) is concerns


@pytest.mark.parametrize(
    "pattern", ["drafts", "drafts/", "./drafts", "./drafts/", "drafts/*.py", "/srv/tests/drafts", "/srv/*/drafts/"]
)
def test_a_folder_is_meant_however_it_is_written(pattern: str) -> None:
    """Shells complete names with a slash behind. What stands above the folder that is watched is not meant."""
    watched = Watched((Path("/srv/tests"),), exclude=("tests", pattern))
    assert watched.concerns("/srv/tests/views.py")
    assert not watched.concerns("/srv/tests/drafts/a.py")
    assert not watched.concerns("/srv/tests/tests/test_a.py")


def test_a_saved_file_is_told_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    """Through the real file system."""
    told: list[str] = []
    watch = ReloadWatch(Watched((tmp_path,)), told.extend)
    watch.start()
    texts = 0

    def saved() -> bool:
        nonlocal texts  # the watch may not stand yet at the first save: save until it is told
        texts += 1
        (tmp_path / "notes.txt").write_text(str(texts))
        (tmp_path / "app.py").write_text(str(texts))
        return bool(told)

    wait_until(saved)
    watch.close()
    assert set(told) == {str(tmp_path / "app.py")}
