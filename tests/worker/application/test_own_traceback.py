"""What of a traceback is shown to the author of a project."""

from __future__ import annotations

import sys
from pathlib import Path

from worker.application.own_traceback import CHARS_MAX, OWN_FRAMES_MAX, SHORTENED, own_traceback


def shown(home: Path, source: str) -> str:
    """What is shown of what `source` raises, as a file of a project in `home`."""
    path = home / "own.py"
    path.write_text(source)
    try:
        exec(compile(source, str(path), "exec"), {})
    except BaseException as error:
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this file
        return own_traceback(error, home)
    raise AssertionError("it raises nothing")


def test_only_lines_of_the_projects_own_files_are_shown(tmp_path):
    """A library's twenty lines in between say nothing to its user; that they were there is said."""
    text = shown(tmp_path, "import json\ndef read():\n    json.loads('{')\nread()\n")
    assert text.splitlines()[:5] == [
        "Traceback (most recent call last):",
        f'  File "{tmp_path / "own.py"}", line 4, in <module>',
        "    read()",
        f'  File "{tmp_path / "own.py"}", line 3, in read',
        "    json.loads('{')",
    ]
    assert "decoder.py" not in text
    assert text.endswith(SHORTENED)


def test_where_nothing_was_left_out_nothing_is_said_of_it(tmp_path):
    assert shown(tmp_path, "1 / 0\n").endswith("ZeroDivisionError: division by zero\n")


def test_what_it_came_from_is_shown_too(tmp_path):
    """Often that is the error, and the last one only says that there was one."""
    source = (
        "try:\n    {}['DATABASE_URL']\nexcept KeyError as error:\n    raise RuntimeError('not configured') from error\n"
    )
    text = shown(tmp_path, source)
    assert (
        text.index("KeyError: 'DATABASE_URL'") < text.index("direct cause") < text.index("RuntimeError: not configured")
    )


def test_the_line_of_a_syntax_error_is_shown(tmp_path):
    assert "    def (\n" in shown(tmp_path, "compile('def (', 'other.py', 'exec')\n")


def test_each_error_of_a_group_is_shown(tmp_path):
    text = shown(tmp_path, "raise ExceptionGroup('both', [ValueError('one'), TypeError('two')])\n")
    assert "ValueError: one" in text and "TypeError: two" in text


def test_what_is_installed_in_the_projects_folder_is_not_its_own(tmp_path):
    """An environment often lies there."""
    library = tmp_path / ".venv" / "site-packages" / "library.py"
    library.parent.mkdir(parents=True)
    library.write_text("def fail():\n    1 / 0\n")
    text = shown(tmp_path, f"import sys\nsys.path.insert(0, {str(library.parent)!r})\nimport library\nlibrary.fail()\n")
    assert "library.py" not in text and "library.fail()" in text
    sys.path.remove(str(library.parent))
    del sys.modules["library"]


def test_it_is_bounded(tmp_path):
    """P12. By lines and by characters; the end is what counts."""
    deep = "def a(n):\n    b(n)\ndef b(n):\n    a(n - 1) if n else 1 / 0\na(100)\n"
    assert shown(tmp_path, deep).count("File ") == OWN_FRAMES_MAX
    text = shown(tmp_path, "raise ValueError('x' * 100_000 + 'end')\n")
    assert len(text) <= CHARS_MAX + len(SHORTENED) and text.endswith("end\n")


def test_frames_of_every_sub_package_of_ours_are_left_out_without_a_word(tmp_path):
    """They are how it was loaded; nobody misses them."""
    import worker.asgi.lifespan

    ours = f"exec(compile('def call(what): what()', {worker.asgi.lifespan.__file__!r}, 'exec'))"
    text = shown(tmp_path, f"{ours}\ndef fail():\n    1 / 0\ncall(fail)\n")
    assert "lifespan.py" not in text
    assert text.endswith("ZeroDivisionError: division by zero\n")
