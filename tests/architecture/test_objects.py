"""Objects: few arguments to make one, a class that can be read at once, and nothing hung on another object afterwards."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.sources import ROOT, modules, name_of, nodes_of, tree_of

ARGUMENTS_MAX = 5
CLASS_LINES_MAX = 300
#: In a forked child, threads must not reach the event loop of its parent: there, and only there, a method of the loop is replaced.
REPLACED_ON_PURPOSE = frozenset(("worker/application/fork_guard.py: loop.call_soon_threadsafe",))


def classes_of(path: Path) -> Iterator[ast.ClassDef]:
    return (node for node in nodes_of(path) if isinstance(node, ast.ClassDef))


def constructor_of(cls: ast.ClassDef) -> ast.FunctionDef | None:
    return next((node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)


def too_many_arguments(constructor: ast.FunctionDef, lines: list[str]) -> str:
    """Why a constructor takes too much; empty if it does not. `lines` are those of its file."""
    arguments = constructor.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - 1
    if positional > ARGUMENTS_MAX:
        return f"{positional} positional arguments"
    head = lines[constructor.lineno - 2 : constructor.body[0].lineno - 1]
    if positional + len(arguments.kwonlyargs) > ARGUMENTS_MAX and not any("# " in line for line in head):
        return f"{positional + len(arguments.kwonlyargs)} arguments and no comment why"
    return ""


def is_data(cls: ast.ClassDef) -> bool:
    """True if a class gets its constructor from its fields: a dataclass or a named tuple."""
    made = (*cls.decorator_list, *cls.bases)
    return any(re.match(r"(dataclasses\.)?dataclass\b|(typing\.)?NamedTuple$", ast.unparse(node)) for node in made)


def takes_by_keyword_only(cls: ast.ClassDef) -> bool:
    return any("kw_only=True" in ast.unparse(decorator) for decorator in cls.decorator_list)


def positional_fields(cls: ast.ClassDef) -> list[str]:
    """The fields that the constructor of such a class takes by position."""
    found: list[str] = []
    for node in cls.body if is_data(cls) and not takes_by_keyword_only(cls) else ():
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            annotation, value = ast.unparse(node.annotation), ast.unparse(node.value) if node.value else ""
            if annotation.endswith("KW_ONLY"):
                break
            if "ClassVar[" not in annotation and "init=False" not in value and "kw_only=True" not in value:
                found.append(node.target.id)
    return found


def private_arguments(cls: ast.ClassDef) -> list[str]:
    """The private fields that the constructor of a dataclass takes, by position or by keyword."""
    return [
        node.target.id
        for node in cls.body
        if is_data(cls)
        and isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and re.match(r"_[^_]|__", node.target.id)
        and "ClassVar[" not in ast.unparse(node.annotation)
        and not (node.value is not None and "init=False" in ast.unparse(node.value))
    ]


def long_data() -> set[str]:
    """Dataclasses and named tuples that take too many fields by position."""
    return {
        f"{name_of(path)}: {cls.name} takes {len(names)} fields by position"
        for path in modules()
        for cls in classes_of(path)
        if len(names := positional_fields(cls)) > ARGUMENTS_MAX
    }


def long_constructors() -> set[str]:
    found = set()
    for path in modules():
        lines = path.read_text("utf-8").splitlines()
        for cls in classes_of(path):
            constructor = constructor_of(cls)
            if constructor is not None and (why := too_many_arguments(constructor, lines)):
                found.add(f"{name_of(path)}: {cls.name} takes {why}")
    return found


@cache
def defined_classes() -> dict[str, ast.ClassDef]:
    """From full name to each class of the four packages."""
    return {
        f"{name_of(path)[:-3].replace('/', '.')}.{cls.name}": cls
        for path in modules()
        for cls in tree_of(path).body
        if isinstance(cls, ast.ClassDef)
    }


def bases_of(cls_name: str) -> set[str]:
    """Full names of the classes of ours that a class inherits from, directly or not."""
    module, _, _ = cls_name.rpartition(".")
    path = ROOT / f"{module.replace('.', '/')}.py"
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in nodes_of(path)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found = set()
    for base in defined_classes()[cls_name].bases:
        name = ast.unparse(base.value if isinstance(base, ast.Subscript) else base)
        full = imported.get(name, f"{module}.{name}")
        if full in defined_classes():
            found |= {full} | bases_of(full)
    return found


def lines_of(cls: ast.ClassDef) -> int:
    return (cls.end_lineno or cls.lineno) - cls.lineno + 1


def large_classes() -> set[str]:
    """Classes that have too many lines, over all the files in which their bases lie."""
    found = set()
    for full, cls in defined_classes().items():
        lines = lines_of(cls) + sum(lines_of(defined_classes()[base]) for base in bases_of(full))
        if lines > CLASS_LINES_MAX:
            found.add(f"{full.rpartition('.')[0].replace('.', '/')}.py: {cls.name}")
    return found


def is_callable_type(annotation: ast.expr | None) -> bool:
    return annotation is not None and "Callable[" in ast.unparse(annotation)


@cache
def callback_names() -> frozenset[str]:
    """Names of attributes that hold something to call: annotated so, or taken from an argument that is."""
    annotated: dict[bool, set[str]] = {True: set(), False: set()}
    for path in modules():
        for node in nodes_of(path):
            if isinstance(node, ast.AnnAssign):
                name = node.target.attr if isinstance(node.target, ast.Attribute) else ast.unparse(node.target)
                annotated[is_callable_type(node.annotation)].add(name)
            elif isinstance(node, ast.FunctionDef):
                annotated[True] |= kept_callbacks(node)
    return frozenset(annotated[True] - annotated[False])


def kept_callbacks(function: ast.FunctionDef) -> set[str]:
    """Names of attributes that a function fills with an argument of its own that can be called."""
    arguments = [*function.args.args, *function.args.kwonlyargs]
    given = {argument.arg for argument in arguments if is_callable_type(argument.annotation)}
    return {
        target.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in given
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }


@cache
def method_names() -> frozenset[str]:
    """Names that are functions, and never an attribute with a value or a property, in the four packages."""
    functions, values = set(), set()
    for node in (node for path in modules() for node in nodes_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_property = any(ast.unparse(decorator).endswith("property") for decorator in node.decorator_list)
            (values if is_property else functions).add(node.name)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            values.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return frozenset(functions - values)


def is_callback(value: ast.expr, functions: frozenset[str]) -> bool:
    """True if an expression is a lambda, or names a function or a method without calling it."""
    match value:
        case ast.Lambda():
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in functions
    return False


def attached_in(tree: ast.Module, callbacks: frozenset[str], functions: frozenset[str]) -> set[str]:
    """Attributes of other objects that are given a callback: `other.name = function`. A module may complete its own tables."""
    found = set()
    for node in (
        node for statement in tree.body if not isinstance(statement, ast.Assign) for node in ast.walk(statement)
    ):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if (
                    isinstance(target, ast.Attribute)
                    and not (isinstance(target.value, ast.Name) and target.value.id in ("self", "cls"))
                    and (target.attr in callbacks or is_callback(node.value, functions))
                ):
                    found.add(ast.unparse(target))
    return found


def attached_callbacks() -> set[str]:
    return {
        f"{name_of(path)}: {target}"
        for path in modules()
        for target in attached_in(tree_of(path), callback_names(), method_names())
    } - REPLACED_ON_PURPOSE


def test_a_constructor_takes_few_arguments() -> None:
    """Five at most, or by keyword only, with a comment that tells why."""
    assert not long_constructors(), "let values that travel together be one frozen object, or comment why not"


def test_a_class_of_data_takes_few_fields_by_position() -> None:
    """Dataclasses and named tuples: five at most, the others by keyword. None on the path of a request has more."""
    assert not long_data(), "make the class, or the fields behind the fifth, keyword-only (`kw_only=True`, `KW_ONLY`)"


def test_a_private_field_is_no_argument() -> None:
    """The state of an object is not handed to its constructor: `field(init=False)`."""
    found = {
        f"{name_of(path)}: {cls.name} takes {n}"
        for path in modules()
        for cls in classes_of(path)
        for n in private_arguments(cls)
    }
    assert not found


def test_no_class_is_longer_than_can_be_read_at_once() -> None:
    """Also not one that is cut into mixins and bases in several files."""
    assert not large_classes(), "let a part of it be an object of its own"


def test_no_callback_is_hung_on_another_object() -> None:
    """An object is whole when its constructor returns, as far as a check can tell."""
    assert not attached_callbacks(), "hand it to the constructor, or let a method take it"


def test_what_is_against_these_rules_is_found() -> None:
    """The checks above can fail."""
    cls = ast.parse("class A:\n    def __init__(self, a, b, c, *, d, e, f):\n        pass\n").body[0]
    assert isinstance(cls, ast.ClassDef)
    constructor = constructor_of(cls)
    assert constructor is not None
    assert too_many_arguments(constructor, ["class A:", "    def __init__(…):", "        pass"])
    assert not too_many_arguments(constructor, ["class A:", "    def __init__(…):  # why", "        pass"])
    fields = "".join(f"    {name}: int\n" for name in "abcdef")
    for text, count in (
        (f"@dataclass(slots=True)\nclass A:\n{fields}    _g: int = field(default=0, init=False)\n", 6),
        (f"class A(NamedTuple):\n{fields}", 6),
        (f"@dataclass(kw_only=True)\nclass A:\n{fields}", 0),
        (f"@dataclass\nclass A:\n    a: ClassVar[int] = 1\n    b: int\n    _: KW_ONLY\n{fields}", 1),
        (f"class A:\n{fields}", 0),
    ):
        cls = ast.parse(text).body[0]
        assert isinstance(cls, ast.ClassDef)
        assert len(positional_fields(cls)) == count
        assert not private_arguments(cls)
    cls = ast.parse("@dataclass\nclass A:\n    _a: int = 0\n").body[0]
    assert isinstance(cls, ast.ClassDef)
    assert private_arguments(cls) == ["_a"]
    source = (
        "def f():\n    a.b = f\n    self.c = f\n    self.d.on_end = x\n    self.e.count = 1\n    a.g = lambda: None\n"
    )
    assert attached_in(ast.parse(source), frozenset({"on_end"}), frozenset("f")) == {"a.b", "self.d.on_end", "a.g"}
