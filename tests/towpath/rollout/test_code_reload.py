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


def test_settings_are_watched_by_their_path_alone() -> None:
    """Whatever their names; a pattern excludes them too, and their folder is not that of the application."""
    site, env = Path("/etc/shop/site.toml"), Path("/app/.env")
    watched = Watched((Path("/app"),), include=("*.toml", ".env"), files=frozenset({site, env}))
    assert watched.has_settings(str(site)) and watched.has_settings(str(env))
    assert not watched.has_settings("/etc/shop/other.toml")
    assert watched.concerns("/app/other.toml") and not watched.concerns(str(env)), "it is reported once"
    assert not Watched((), exclude=("site.toml",), files=frozenset({site})).has_settings(str(site))


@pytest.mark.parametrize("replaced", [False, True], ids=["written", "replaced"])
def test_saved_settings_are_told_however_they_are_saved(tmp_path: Path, replaced: bool) -> None:
    """Through the real file system. Many editors write another file and give it the name."""
    told: list[str] = []
    project, file = tmp_path / "project", tmp_path / "site.toml"
    project.mkdir()
    watch = ReloadWatch(Watched((project,), files=frozenset({file})), told.extend)
    watch.start()
    texts = 0

    def saved() -> bool:
        nonlocal texts  # as below
        texts += 1
        (tmp_path / "other.toml").write_text(str(texts))
        (tmp_path / "draft" if replaced else file).write_text(str(texts))
        if replaced:
            (tmp_path / "draft").rename(file)
        return bool(told)

    wait_until(saved)
    watch.close()
    assert set(told) == {str(file)}


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
