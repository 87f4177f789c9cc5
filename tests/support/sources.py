"""The project's own source files: where they lie, what they import, and what is written in them."""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("channel_layer", "interface_server", "worker", "towpath")


def modules() -> list[Path]:
    """The Python files of the four packages."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the project, also one that has just been written."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def matches(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name_of(path), pattern) for pattern in patterns)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file's tree."""
    return tuple(ast.walk(tree_of(path)))


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Everything that a file imports, at its top, inside functions and for types: full names."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively: name the package"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def top_level(names: frozenset[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@cache
def names_and_comments_of(path: Path) -> tuple[frozenset[str], tuple[str, ...]]:
    """All names that stand in a file's code, and its comments in order."""
    names, comments = set(), []
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.NAME:
            names.add(token.string)
        elif token.type == tokenize.COMMENT:
            comments.append(token.string)
    return frozenset(names), tuple(comments)


@cache
def prose_of(path: Path) -> str:
    """The docstrings and comments of a file."""
    _, comments = names_and_comments_of(path)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in nodes_of(path) if isinstance(node, documented)]
    return "\n".join([*comments, *docstrings])
