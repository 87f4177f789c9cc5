"""Files: how many lie in a folder, how long they are, and what each must say or may not hold."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import ROOT, files, imports_of, modules, name_of, tree_of

#: The most files that a folder may hold.
FILES_MAX = 14
LINES_MAX = 400

#: The sentence of a sub-package's text that names its imports.
IMPORT_SENTENCE = re.compile(r"\b(May import|Imports) .*?[.;](?=\s|$)", re.DOTALL)
PROMISE = re.compile(r"^\| (P\d+) \| (kept|partly|later) \|", re.MULTILINE)


def lines_with(pattern: str) -> Iterator[tuple[str, str]]:
    """Name with line number, and line, of each line in a Python file that has the pattern."""
    for path in files():
        if path.suffix == ".py" and path != Path(__file__).resolve():
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if re.search(pattern, line):
                    yield f"{name_of(path)}:{number}", line


def test_no_folder_holds_more_files_than_can_be_seen_at_once() -> None:
    """Five to twelve where possible."""
    counts = Counter(path.parent for path in modules())
    assert not {folder.relative_to(ROOT).as_posix(): count for folder, count in counts.items() if count > FILES_MAX}


def test_no_module_grows_beyond_what_can_be_read_at_once() -> None:
    """Tests may: they are lists."""
    found = {
        name: count
        for path in files()
        if path.suffix == ".py"
        and not (name := name_of(path)).startswith("tests/")
        and (count := len(path.read_text("utf-8").splitlines())) > LINES_MAX
    }
    assert not found


def test_each_promise_that_is_kept_is_named_by_a_test() -> None:
    """PROTOCOL.md may not say "kept" where nobody looks."""
    promises = dict(PROMISE.findall((ROOT / "PROTOCOL.md").read_text("utf-8")))
    assert list(promises) == [f"P{number}" for number in range(1, 13)]
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name != "architecture"]
    named = {word for path in tests for word in re.findall(r"\bP\d+\b", path.read_text("utf-8"))}
    assert not [promise for promise, state in promises.items() if state == "kept" and promise not in named]


@pytest.mark.parametrize(
    "script", sorted((ROOT / "channel_layer" / "scripts").glob("*.lua")), ids=lambda path: path.stem
)
def test_each_script_says_what_it_takes_and_answers(script: Path) -> None:
    """A script is a part of the protocol, and its header is the reference."""
    head = []
    for line in script.read_text("utf-8").splitlines():
        if not line.startswith("--"):
            break
        head.append(line)
    assert head[0].startswith(f"-- {script.stem}: ")
    for word in ("KEYS[1]", "ARGV[1]", "Result "):
        assert any(line.startswith(f"-- {word}") for line in head), f"no line for {word}"


def test_each_exception_from_a_lint_has_its_reason_on_the_line() -> None:
    """`noqa` and `type: ignore` say which rule, and why not here. Tests are not typed strictly, and reach into what they test."""
    found = [
        where
        for where, line in lines_with(r"#\s*(noqa|type:\s*ignore)")
        if not (where.startswith("tests/") and "type: ignore[" in line)
        and not re.search(r"# noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*\s+\S|# type: ignore\[[a-z-]+(, ?[a-z-]+)*\]\s+# \S", line)
    ]
    assert not found


def test_no_test_mocks() -> None:
    """What would have to be mocked is a core, and takes values."""
    assert not [
        where for where, _ in lines_with(r"^\s*(import|from) (unittest\.)?mock\b|^\s*from unittest import .*mock")
    ]


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    """A path of one machine is a bug on every other."""
    machine = re.compile("/" + "(?:work|root)" + "/|/tmp/" + "brief")
    found = []
    for path in files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if machine.search(text):
            found.append(name_of(path))
    assert not found


def test_each_sub_package_says_what_it_is_and_what_it_may_import() -> None:
    """In three to six lines, and where to begin reading."""
    for path in modules():
        if path.name == "__init__.py" and path.parent.parent != ROOT:
            text = ast.get_docstring(tree_of(path)) or ""
            assert 3 <= len(text.splitlines()) <= 6, name_of(path)
            assert "Begin with" in text, name_of(path)
            assert IMPORT_SENTENCE.search(text), name_of(path)


def test_each_sub_package_imports_only_what_it_says() -> None:
    """Within its own package, and for towpath/ within all others: the sentence names a folder, or one file of it."""
    found = []
    for path in modules():
        folder = path.parent
        if path.name != "__init__.py" and folder.parent != ROOT:
            said = named_imports(folder / "__init__.py")
            package = folder.parent
            for name in imports_of(path):
                imported = ROOT / (name.replace(".", "/") + ".py")
                if not imported.is_file() or imported.parent == folder:
                    continue
                if imported.is_relative_to(package):
                    ways = prefixes(imported.relative_to(package))
                elif package.name == "towpath":
                    ways = prefixes(imported.relative_to(ROOT))
                else:
                    continue
                if not ways & said:
                    found.append(f"{name_of(path)} imports {name_of(imported)}")
    assert not found


def named_imports(init: Path) -> set[str]:
    """The folders and files that the import sentence of a sub-package names."""
    sentence = IMPORT_SENTENCE.search(ast.get_docstring(tree_of(init)) or "")
    assert sentence, name_of(init)
    return {word.rstrip("/.") for word in re.findall(r"[\w./]+", sentence[0])}


def prefixes(path: Path) -> set[str]:
    """A file's path, and those of all folders around it."""
    return {path.as_posix(), *(parent.as_posix() for parent in path.parents)}
