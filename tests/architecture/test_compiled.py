"""What is compiled: pyproject.toml lists it, setup.py builds it, and each module that is left out there says why."""

from __future__ import annotations

import ast
import re
import runpy

from tests.support.sources import ROOT

SETUP = runpy.run_path(str(ROOT / "setup.py"))
TABLE = SETUP["project"]()["tool"]["towpath"]["compiled"]

#: What runs for each request, message or packet. Every module here is compiled, or left out with a reason.
HOT = frozenset(
    (
        "channel_layer/messaging",
        "channel_layer/protocol",
        "interface_server/access_log",
        "interface_server/affinity",
        "interface_server/connections",
        "interface_server/direct",
        "interface_server/groups",
        "interface_server/http",
        "interface_server/http1",
        "interface_server/queue",
        "interface_server/transport",
        "interface_server/websocket",
        "worker/asgi",
        "worker/connections",
        "worker/placement",
    )
)


def test_each_hot_folder_is_compiled_as_a_whole() -> None:
    """A new file is compiled without a word."""
    assert {pattern.removesuffix("/*.py") for pattern in TABLE["modules"] if pattern.endswith("/*.py")} == HOT


def test_each_entry_of_the_list_stands_for_modules_that_exist() -> None:
    """A file that was moved would else be interpreted, and only slower."""
    assert not [pattern for pattern in TABLE["modules"] if not list(ROOT.glob(pattern))]


def test_each_module_that_is_left_out_exists_would_be_compiled_and_says_why() -> None:
    """The reason is a sentence for the next one who tries."""
    found = {path.relative_to(ROOT).as_posix() for pattern in TABLE["modules"] for path in ROOT.glob(pattern)}
    assert not set(TABLE["left-out"]) - found
    assert not [name for name, why in TABLE["left-out"].items() if not re.fullmatch(r"\w.{10,}", why)]


def test_nothing_that_is_compiled_is_started_as_a_program() -> None:
    """`python -m` needs a source."""
    assert not [name for name in SETUP["compiled_modules"]() if name.endswith(("__main__.py", "__init__.py"))]


def test_constants_of_compiled_modules_are_final() -> None:
    """Compiled code looks any other name of a module up in a dictionary, each time. Names of types are CamelCase, and no constants."""
    assert not [
        f"{path}: {ast.unparse(statement)}"
        for path in SETUP["compiled_modules"]()
        for statement in ast.parse((ROOT / path).read_text("utf-8")).body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and not is_final(statement)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if not re.fullmatch(r"_?[A-Z][a-z]\w*", ast.unparse(target))
    ]


def is_final(statement: ast.Assign | ast.AnnAssign) -> bool:
    """True if mypy refuses a second value."""
    return isinstance(statement, ast.AnnAssign) and ast.unparse(statement.annotation).startswith("Final")
