"""Optional modules that are left out while others are imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from towpath.system.absent_modules import absent, hollow

UNUSED = "this"  #: a module of the standard library that no other imports


def test_a_module_is_absent_within_the_block_and_there_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    assert UNUSED not in sys.modules
    with absent(UNUSED), pytest.raises(ImportError):
        importlib.import_module(UNUSED)
    importlib.import_module(UNUSED)
    del sys.modules[UNUSED]


@pytest.mark.parametrize("left_out", [absent, hollow])
def test_a_module_that_is_imported_already_stays(left_out: Callable[[str], AbstractContextManager[None]]) -> None:
    before = sys.modules["subprocess"]
    with left_out("subprocess"):
        assert importlib.import_module("subprocess") is before
    assert sys.modules["subprocess"] is before


@pytest.mark.parametrize("module", ["towpath.serve.serve", "towpath.serve.supervision"])
def test_serve_loads_neither_openssl_nor_what_reads_versions(module: str) -> None:
    code = f"import sys, {module}; print([name for name in ('ssl', 'hashlib', 'importlib.metadata') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_hollow_module_does_nothing_and_the_real_one_can_be_imported_afterwards() -> None:
    with hollow(UNUSED, f"{UNUSED}.other"):
        importlib.import_module(f"{UNUSED}.other")
        stand_in = importlib.import_module(UNUSED)
        assert stand_in.Something(1, two=2).more().and_more is stand_in
    assert importlib.import_module(UNUSED) is not stand_in
    del sys.modules[UNUSED]
