"""Builds the compiled core where TOWPATH_COMPILE=1. Without it this file adds nothing to pyproject.toml, and all is interpreted.

mypyc makes one extension module of the modules that pyproject.toml lists ([tool.towpath.compiled]), and a small one in the place of
each. Their sources are installed beside them: tracebacks show them, and an interpreter without these extension modules runs them.
decisions/0040 says why this is not the default.
"""

from __future__ import annotations

import os
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Distribution, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
#: The extension module with all of the code. It is inside of a package, since projects may have any name beside ours.
CORE = "channel_layer.core"
#: All files are optimized as one, and no function can be replaced from outside: 4 % less CPU for a request (benchmarks/NOTES.md).
WHOLE_PROGRAM = ["-flto=auto", "-fno-semantic-interposition", "-fvisibility=hidden"]


def project() -> dict[str, Any]:
    """The content of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def compiled_modules() -> list[str]:
    """The paths of the modules that are compiled, from the top of the project."""
    table = project()["tool"]["towpath"]["compiled"]
    found = {path.relative_to(ROOT).as_posix() for pattern in table["modules"] for path in ROOT.glob(pattern)}
    return sorted(path for path in found - set(table["left-out"]) if not path.endswith("/__init__.py"))


class Compiled(Distribution):
    """A distribution for one platform and one Python."""

    def has_ext_modules(self) -> bool:
        """True, although the extension modules are listed only when they are built: to make that list takes half a minute."""
        return True


class CompileCore(build_ext):
    """Translates the core to C, then compiles that, on all processors."""

    def finalize_options(self) -> None:
        """Refuse to compile into a folder of sources."""
        if self.inplace or "editable_wheel" in sys.argv:
            sys.exit("TOWPATH_COMPILE=1 does not go with --editable: what you edit would not be what runs")
        super().finalize_options()

    def run(self) -> None:
        """List the extension modules, and build them. Other commands ask for this one too, and need no list."""
        from mypyc.build import mypycify

        os.chdir(ROOT)  # mypy reads its settings there
        self.distribution.ext_modules = mypycify(compiled_modules(), group_name=CORE, multi_file=True, debug_level="0")
        self.initialize_options()  # the list is read by `finalize_options`, and that can be called only once
        self.include_dirs = ["build/channel_layer"]  # of the headers of an extension module inside of a package
        super().finalize_options()
        super().run()

    def build_extensions(self) -> None:
        """Compile the files of each extension module side by side: nearly all of the time is one extension module's."""
        if "gcc" in Path(self.compiler.compiler_so[0]).name:
            for extension in self.extensions:
                extension.extra_compile_args = [
                    *extension.extra_compile_args,
                    *WHOLE_PROGRAM,
                ]  # mypyc's list is that of all
                extension.extra_link_args = [*extension.extra_link_args, *WHOLE_PROGRAM]
        compile_all = self.compiler.compile

        def compile_each(sources: list[str], *arguments: Any, **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_all([source], *arguments, **options), sources)
                return [each for some in objects for each in some]

        self.compiler.compile = compile_each
        super().build_extensions()


def compiled() -> dict[str, Any]:
    """The arguments of `setup` for the compiled core. mypy reads the types of all libraries, so these are needed for the build."""
    tables = project()
    tools = [name for name in tables["dependency-groups"]["dev"] if name.startswith(("mypy", "types-"))]
    needed = [*tools, *tables["project"]["dependencies"]]
    return {"distclass": Compiled, "cmdclass": {"build_ext": CompileCore}, "setup_requires": needed}


if __name__ == "__main__":
    setup(**(compiled() if os.environ.get("TOWPATH_COMPILE") == "1" else {}))
