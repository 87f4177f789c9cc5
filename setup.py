"""Builds the compiled core where TOWPATH_COMPILE is set. Without it this file adds nothing to pyproject.toml, and all is interpreted.

TOWPATH_COMPILE=1 compiles, TOWPATH_COMPILE=profile compiles twice: the first core counts how often each of its branches is taken
while core_profile/exercise.py exercises it, and the second is optimized for that (gcc, profile-guided optimization).

mypyc makes one extension module of the modules that pyproject.toml lists ([tool.towpath.compiled]), and a small one in the place of
each. Their sources are installed beside them: tracebacks show them, and an interpreter without these extension modules runs them.
decisions/0040 says why this is not the default.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
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

    #: What gcc is told beside the rest, in this pass.
    flags = WHOLE_PROGRAM

    def finalize_options(self) -> None:
        """Refuse to compile into a folder of sources."""
        if self.inplace or "editable_wheel" in sys.argv:
            sys.exit("TOWPATH_COMPILE does not go with --editable: what you edit would not be what runs")
        super().finalize_options()

    def run(self) -> None:
        """List the extension modules, and build them. Other commands ask for this one too, and need no list."""
        from mypyc.build import mypycify

        os.chdir(ROOT)  # mypy reads its settings there
        self.distribution.ext_modules = mypycify(compiled_modules(), group_name=CORE, multi_file=True, debug_level="0")
        self.initialize_options()  # the list is read by `finalize_options`, and that can be called only once
        self.include_dirs = ["build/channel_layer"]  # of the headers of an extension module inside of a package
        super().finalize_options()
        if how() == "profile":
            self.run_with_profile()
        else:
            super().run()

    def run_with_profile(self) -> None:
        """Build a core that counts, exercise it, and build from the same C again what suits the counts."""
        self.run_command("build_py")
        self.force = True
        name = self.compiler  # each pass makes an object of it
        with tempfile.TemporaryDirectory(prefix="towpath-profile-") as counts:
            self.flags = [*WHOLE_PROGRAM, f"-fprofile-generate={counts}"]
            super().run()
            subprocess.run([sys.executable, "core_profile/exercise.py", self.build_lib], check=True)
            # Partial: what was not exercised is compiled as without a profile, and not for size. mypyc makes an error of each warning.
            self.compiler = name
            self.flags = [
                *WHOLE_PROGRAM,
                f"-fprofile-use={counts}",
                "-fprofile-partial-training",
                "-Wno-missing-profile",
            ]
            super().run()

    def build_extensions(self) -> None:
        """Compile the files of each extension module side by side: nearly all of the time is one extension module's."""
        # mypyc's lists are those of all extension modules, and the same in each pass.
        mypyc_flags = [(each, each.extra_compile_args, each.extra_link_args) for each in self.extensions]
        compiler = " ".join(self.compiler.compiler_so[:2])
        if "gcc" not in compiler and how() == "profile":
            sys.exit(f"TOWPATH_COMPILE=profile needs gcc (CC=gcc), and this compiler is {compiler!r}")
        if "gcc" in compiler:
            for extension, compile_flags, link_flags in mypyc_flags:
                extension.extra_compile_args = [*compile_flags, *self.flags]
                extension.extra_link_args = [*link_flags, *self.flags]
        compile_all = self.compiler.compile

        def compile_each(sources: list[str], *arguments: Any, **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_all([source], *arguments, **options), sources)
                return [each for some in objects for each in some]

        self.compiler.compile = compile_each
        super().build_extensions()
        for extension, compile_flags, link_flags in mypyc_flags:
            extension.extra_compile_args, extension.extra_link_args = compile_flags, link_flags


def compiled() -> dict[str, Any]:
    """The arguments of `setup` for the compiled core. mypy reads the types of all libraries, so these are needed for the build."""
    tables = project()["project"]
    tools = [name for name in project()["dependency-groups"]["dev"] if name.startswith(("mypy", "types-"))]
    needed = [*tools, *tables["dependencies"]]
    if how() == "profile" and not any(map(shutil.which, ("valkey-server", "redis-server"))):
        needed += tables["optional-dependencies"]["embedded"]  # core_profile/exercise.py serves
    return {"distclass": Compiled, "cmdclass": {"build_ext": CompileCore}, "setup_requires": needed}


def how() -> str:
    """The value of TOWPATH_COMPILE: `1`, `profile`, or nothing."""
    value = os.environ.get("TOWPATH_COMPILE", "")
    if value not in ("", "0", "1", "profile"):
        sys.exit(f"TOWPATH_COMPILE is 1 or profile, or 0 for the interpreted core, and not {value!r}")
    return value.removeprefix("0")


if __name__ == "__main__":
    setup(**(compiled() if how() else {}))
